"""The engine on virtual cameras: what is found, what is kept of it, and what happens when cameras misbehave."""

from __future__ import annotations

import gc
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from edusense import Site
from edusense.errors import StreamLostError, StreamProtocolError, UsageError
from edusense.sim.camera import VirtualCamera
from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding
from edusense.sim.library import PlayerLibrary
from edusense.sim.player import ClipSource
from edusense.video import CameraSource, Engine, EngineEvent

SMALL = Encoding(width=320, height=240, fps=10.0, gop_s=1.0)
LARGE = Encoding(width=640, height=480, fps=10.0, gop_s=1.0)
FAST = {"answer_s": 2.0, "stall_s": 1.0, "sessions_per_s": 100.0}


def source(camera: VirtualCamera, **more: Any) -> CameraSource:
    return CameraSource(
        **{"id": camera.id, "url": camera.rtsp, "user": camera.user, "password": camera.password} | more
    )


class Listener:
    """Reads an engine's events in a thread, and waits for those that a test wants."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[EngineEvent] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for event in self.engine.events():
            self.events.append(event)

    def wait(self, what: Callable[[EngineEvent], bool], seconds: float = 20.0) -> EngineEvent:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in list(self.events):
                if what(event):
                    return event
            time.sleep(0.02)
        said = [event.to_json() for event in self.events[-20:]]
        raise AssertionError(f"it did not happen in {seconds} s; the last that was said: {said}")

    def until(
        self, what: Callable[[dict[str, dict[str, Any]]], bool], seconds: float = 20.0
    ) -> dict[str, dict[str, Any]]:
        """The status rows by camera, as soon as they are as wanted."""
        deadline = time.monotonic() + seconds
        while not what(rows := {row["id"]: row for row in self.engine.stats()}):
            assert time.monotonic() < deadline, {name: (row["state"], row["reason"]) for name, row in rows.items()}
            time.sleep(0.02)
        return rows

    def states(self, camera: str) -> list[str]:
        return [event.state for event in self.events if event.kind == "camera" and event.camera == camera]


@pytest.fixture
def cameras() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_motion_is_found_with_its_clip_and_pictures(cameras: ExitStack) -> None:
    """The small stream is watched, the large one kept; an event's clip comes from the large one."""
    streams = {
        "main": ClipSource(library_clip("corridor", LARGE, seconds=20.0, seed=3)),
        "sub": ClipSource(library_clip("corridor", SMALL, seconds=20.0, seed=3)),
    }
    camera = cameras.enter_context(VirtualCamera("c1", streams=streams, onvif_port=None))
    watched = source(camera, url=camera.url("sub"), keep_url=camera.url("main"))
    engine = cameras.enter_context(Engine([watched], pre_roll_s=1.5, **FAST))
    listener = Listener(engine)
    with pytest.raises(StreamLostError):
        engine.snapshot("c1")
    confirmed = listener.wait(lambda event: event.kind == "motion-confirmed")
    so_far = engine.clip(confirmed.id or "")
    event = listener.wait(lambda event: event.kind == "motion")
    assert event.id == confirmed.id
    assert event.start_s is not None
    assert event.end_s is not None
    assert event.decoder == "pyav"
    assert event.state == "confirmed"
    assert 0 < (event.score or 0) <= 1
    assert (event.clock_error_s or 9) < 1.0
    assert all(x + w <= 320 and y + h <= 240 for x, y, w, h in event.regions)

    staged = [one for one in camera.staged(event.start_s - 2, event.end_s + 2, "sub") if not one.get("lure")]
    assert any(event.start_s < one["end_s"] and event.end_s > one["start_s"] for one in staged), f"{event}: {staged}"
    one = min(staged, key=lambda one: abs(one["start_s"] - (event.start_s or 0)))
    assert abs(event.start_s - one["start_s"]) < 1.0
    assert confirmed.time_s - one["start_s"] < 1.0 + 1.0 + 1.0, "a GOP, a second, and a slow machine"

    data = engine.clip(event.id or "")
    assert len(data) > len(so_far) > 1000
    with av.open(io.BytesIO(data)) as clip:
        stream = clip.streams.video[0]
        assert (stream.width, stream.height) == (640, 480)
        pictures = list(clip.decode(stream))
        length = float(pictures[-1].pts * pictures[-1].time_base)
    assert pictures[0].key_frame
    assert event.end_s - event.start_s + 1.5 < length + 0.3, "from before the motion to after it"
    thumbnail = Image.open(io.BytesIO(engine.thumbnail(event.id or "")))
    assert thumbnail.size == (320, 240)
    assert Image.open(io.BytesIO(engine.snapshot("c1", width=160))).size == (160, 120)

    (row,) = engine.stats()
    assert row["kind"] == "camera"
    assert row["state"] == row["keep_state"] == "playing"
    assert row["reason"] == "plays h264 320×240"
    assert row["pictures_received"] > 40
    assert row["pictures_looked_at"] > 20
    assert row["decoders"] == {"pyav": row["pictures_decoded"]}
    assert row["events"] >= 1
    assert row["gate"]["state"] in {"learning", "trusted", "helper", "off"}
    assert row["bitrate_kbit"] > 10
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 2.0
    assert list(engine.events()) is not None
    engine.close()


def test_zones_say_where_motion_counts_and_can_change_while_it_plays(cameras: ExitStack) -> None:
    streams = {"main": ClipSource(library_clip("corridor", SMALL, seconds=20.0, seed=3))}
    camera = cameras.enter_context(VirtualCamera("c1", streams=streams, onvif_port=None))
    whole = {"kind": "ignore", "polygon": [(0, 0), (1, 0), (1, 1), (0, 1)]}
    engine = cameras.enter_context(Engine([source(camera), source(camera, id="blind", zones=(whole,))], **FAST))
    listener = Listener(engine)
    listener.wait(lambda event: event.kind == "motion" and event.camera == "c1")
    looked = {row["id"]: row["pictures_looked_at"] for row in engine.stats()}
    assert looked["blind"] > 20
    assert not [event for event in listener.events if event.camera == "blind" and event.kind == "motion-confirmed"]
    engine.set_zones("blind", ())
    listener.wait(lambda event: event.kind == "motion-confirmed" and event.camera == "blind", 40.0)
    assert listener.states("blind").count("connecting") == 1, "its stream went on"
    with pytest.raises(UsageError, match="no camera `other`"):
        engine.set_zones("other", ())


FAULTS = {
    "drop@1": ("lost", "stream-lost"),
    "stall@1": ("stalled", "stream-timeout"),
    "garbage@1": ("lost", "stream-protocol"),
    "refuse-auth": ("refused", "stream-refused"),
    "slow-start@5": ("lost", "stream-timeout"),
}


def test_every_fault_is_named_and_costs_the_others_nothing(cameras: ExitStack) -> None:
    clip = ClipSource(library_clip("room", SMALL, seconds=20.0))
    bad = {
        fault: cameras.enter_context(VirtualCamera(fault, streams={"main": clip}, fault=fault, onvif_port=None))
        for fault in FAULTS
    }
    odd = [
        cameras.enter_context(VirtualCamera(fault, streams={"main": clip}, fault=fault, onvif_port=None))
        for fault in ("sps-change@2", "clock-jump@1")
    ]
    good = cameras.enter_context(VirtualCamera("good", streams={"main": clip}, onvif_port=None))
    engine = cameras.enter_context(Engine([source(camera) for camera in [*bad.values(), *odd, good]], **FAST))
    listener = Listener(engine)
    for fault, (state, code) in FAULTS.items():
        event = listener.wait(
            lambda event, fault=fault, state=state: event.camera == fault and event.state == state  # type: ignore[misc]
        )
        assert event.code == code, f"{fault}: {event}"
        assert event.reason
        assert bad[fault].password not in repr(event)
    for fault in ("drop@1", "stall@1", "garbage@1"):
        bad[fault].fault = None
    back = listener.until(
        lambda rows: all(rows[fault]["state"] == "playing" for fault in ("drop@1", "stall@1", "garbage@1"))
    )
    assert all(back[fault]["reconnects"] >= 1 for fault in ("drop@1", "stall@1", "garbage@1"))
    listener.until(lambda rows: rows["sps-change@2"]["reason"] != rows["good"]["reason"])
    rows = {row["id"]: row for row in engine.stats()}
    for name in ("good", "clock-jump@1", "sps-change@2"):
        assert rows[name]["state"] == "playing", rows[name]
        assert rows[name]["reconnects"] == 0, rows[name]
        assert rows[name]["lost"] == 0
        assert rows[name]["trouble"] is None
    assert listener.states("good").count("connecting") == 1
    assert any(
        event.kind == "camera" and event.camera == "sps-change@2" and "×" in (event.reason or "")
        for event in listener.events
    )
    assert rows["sps-change@2"]["pictures_looked_at"] > 0
    # A refused password is not tried again by itself.
    assert listener.states("refuse-auth").count("connecting") == 1
    bad["refuse-auth"].fault = None
    engine.retry("refuse-auth")
    listener.wait(lambda event: event.camera == "refuse-auth" and event.state == "playing")


def test_a_changed_password_is_tried_at_once_and_the_rest_goes_on(cameras: ExitStack) -> None:
    clip = ClipSource(library_clip("room", SMALL, seconds=20.0))
    first, second = (
        cameras.enter_context(VirtualCamera(name, streams={"main": clip}, onvif_port=None, schemes=schemes))
        for name, schemes in (("first", ("digest",)), ("second", ("basic",)))
    )
    engine = cameras.enter_context(Engine([source(first, password="wrong-geheim"), source(second)], **FAST))
    listener = Listener(engine)
    refused = listener.wait(lambda event: event.camera == "first" and event.state == "refused")
    assert "geheim" not in repr(refused)
    listener.wait(lambda event: event.camera == "second" and event.state == "playing")
    engine.update([source(first), source(second)])
    listener.wait(lambda event: event.camera == "first" and event.state == "playing")
    assert listener.states("second").count("connecting") == 1
    engine.update([source(second)])
    listener.wait(lambda event: event.camera == "first" and event.state == "stopped")
    assert [row["id"] for row in engine.stats()] == ["second"]


def test_cameras_are_called_at_the_pace_that_is_set() -> None:
    """Three hundred cameras after a power cut: nobody is called out of turn."""
    calls: list[float] = []
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        port = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                calls.append(time.monotonic())
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        with Engine(
            [CameraSource(str(n), f"rtsp://127.0.0.1:{port}/{n}") for n in range(300)], sessions_per_s=40.0
        ) as engine:
            time.sleep(2.0)
            stats = engine.stats()
        server.shutdown(socket.SHUT_RDWR)
    assert 40 < len(calls) <= 90, len(calls)
    windows = [sum(begin <= call < begin + 1 for call in calls) for begin in calls]
    assert max(windows) <= 44, max(windows)
    assert {row["state"] for row in stats} <= {"waiting", "connecting", "lost"}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(TypeError, match="no setting"):
        Engine([], colour=1.0)
    with pytest.raises(UsageError, match="two cameras"):
        Engine([CameraSource("a", "rtsp://h/"), CameraSource("a", "rtsp://h/")])
    with pytest.raises(StreamProtocolError) as caught:
        Engine([CameraSource("a", "http://u:geheim@h/")])
    assert "geheim" not in str(caught.value)
    with pytest.raises(UsageError, match="needs `id` and `url`"):
        Engine([{"id": "a"}])
    with Engine() as engine:
        for call in (engine.clip, engine.thumbnail, engine.snapshot, engine.retry):
            with pytest.raises(UsageError):
                call("nobody")
        assert engine.stats() == []
        assert list(engine.events(timeout=0.05)) == []
    assert "geheim" not in repr(CameraSource("a", "rtsp://h/", "u", "geheim"))


def test_a_forgotten_engine_says_so() -> None:
    engine = Engine()
    with pytest.warns(ResourceWarning, match="forgotten"):  # noqa: PT031 -- letting go and collecting belong together
        del engine
        gc.collect()


def test_what_a_gate_has_learned_outlives_the_engine(cameras: ExitStack) -> None:
    clip = ClipSource(library_clip("room", SMALL, seconds=20.0))
    camera = cameras.enter_context(VirtualCamera("one", streams={"main": clip}, onvif_port=None))
    with Engine([source(camera)], **FAST) as engine:
        listener = Listener(engine)
        listener.until(lambda rows: rows["one"]["gate"]["state"] != "learning")
        kept = engine.kept_gates()
    assert list(kept) == ["one"]
    assert 0 < len(kept["one"]) < 2048
    engine = cameras.enter_context(Engine([source(camera)], **FAST))
    assert not engine.restore_gate("two", kept["one"])
    assert not engine.restore_gate("one", kept["one"][:-1])
    assert engine.restore_gate("one", kept["one"])
    listener = Listener(engine)
    listener.until(lambda rows: rows["one"]["pictures_received"] > 0)
    (row,) = engine.stats()
    # It has not seen the groups from which a new one learns.
    assert row["pictures_received"] < 100
    assert row["gate"]["state"] != "learning"
    assert not engine.restore_gate("one", kept["one"]), "pictures have come"


def test_probes_tell_how_often_the_gate_saw_what_moved(cameras: ExitStack) -> None:
    clip = ClipSource(library_clip("room", SMALL, seconds=20.0))
    camera = cameras.enter_context(VirtualCamera("one", streams={"main": clip}, onvif_port=None))
    engine = cameras.enter_context(Engine([source(camera)], probe_s=0.5, **FAST))
    listener = Listener(engine)
    rows = listener.until(lambda rows: rows["one"]["gate"]["probes_moved"] > 0)
    assert rows["one"]["gate"]["agreement"] is None, "one probe proves nothing"
    assert rows["one"]["gate"]["habits"] == []


def test_an_event_has_its_picture_and_its_clip_as_arrays(cameras: ExitStack) -> None:
    clip = ClipSource(library_clip("room", SMALL, seconds=20.0))
    camera = cameras.enter_context(VirtualCamera("one", streams={"main": clip}, onvif_port=None))
    engine = Engine([source(camera)], **FAST)
    with engine:
        event = next(event for event in engine.events(timeout=30.0) if event.kind == "motion")
        assert event.start_s is not None
        luma = event.thumbnail()
        assert (luma.shape, luma.dtype.name) == ((240, 320), "uint8")
        pictures = list(event.clip())
        times = [at_s for at_s, _ in pictures]
        assert times == sorted(times)
        assert times[0] < event.start_s < times[-1]
        assert {picture.shape for _, picture in pictures} == {(240, 320)}
        assert len(pictures) >= 10 * (times[-1] - times[0]) - 2
        assert "engine" not in event.to_json()
        with pytest.raises(UsageError, match="has no pictures"):
            replace(event, kind="camera", id=None).thumbnail()
    with pytest.raises(UsageError, match="engine that told this event is gone"):
        replace(event, engine=None).clip()


def test_cameras_of_a_site_file_are_asked_for_their_streams(cameras: ExitStack, tmp_path: Path) -> None:
    library = PlayerLibrary(seconds=8.0)
    cameras.callback(library.close)
    one, two = (
        cameras.enter_context(
            VirtualCamera(name, library=library, encodings={"main": LARGE, "sub": SMALL}, password="s3cret", **more)
        )
        for name, more in (("asked", {}), ("refusing", {"faults": ("digest-only",)}))
    )
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "wrong").touch(mode=0o600)
    (tmp_path / "wrong").write_text("wrong")
    text = """[site]
id = "s"
number = 1
[credentials.right]
user = "edusense"
password = "file:secret"
[credentials.wrong]
user = "edusense"
password = "file:wrong"
[[rooms]]
id = "1"
kind = "gym"
"""
    assert one.onvif is not None
    assert two.onvif is not None
    for name, camera, login in (("asked", one, "right"), ("refusing", two, "wrong")):
        where = str(camera.onvif).split("/")[2]
        text += f'[[cameras]]\nid = "{name}"\nroom = "1"\naddress = "{where}"\ncredentials = "{login}"\n'
    text += f'[[cameras]]\nid = "by-url"\nroom = "1"\nurl = "{one.url("main")}"\ncredentials = "right"\n'
    text += '[[cameras]]\nid = "away"\nroom = "1"\naddress = "127.0.0.1:1"\n'
    (tmp_path / "school.toml").write_text(text)
    site = Site.load(tmp_path / "school.toml")
    assert site.cameras[0] == Site.load(tmp_path / "school.toml").cameras[0]
    engine = cameras.enter_context(Engine(site.cameras, **FAST))
    listener = Listener(engine)
    listener.until(
        lambda rows: {name for name, row in rows.items() if row["state"] == "playing"} == {"asked", "by-url"}
    )
    refused = listener.wait(lambda event: event.camera == "refusing" and event.state == "refused")
    assert (refused.code, refused.stream) == ("device-refused", "watch")
    away = listener.wait(lambda event: event.camera == "away" and event.state == "lost")
    assert away.hint
    assert "s3cret" not in repr(listener.events) + repr(site.cameras)
    # The same cameras again: nobody is called anew; one that is no longer named goes.
    engine.update(site.cameras[2:])
    assert [row["id"] for row in engine.stats()] == ["by-url"]
