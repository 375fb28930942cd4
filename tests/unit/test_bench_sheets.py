"""Data sheets: a camera that misbehaves in a known way, a reader with a known rhythm, a disk; what is said of each."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edusense.bench import camera, disk, reader
from edusense.bench.camera_watch import Seen, Watched
from edusense.bench.case import Fact, Measured
from edusense.devices import Card
from edusense.errors import BenchNotMeasuredError
from edusense.sim.camera import VirtualCamera
from edusense.sim.encode import Encoding
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense.video import Inspection

PASSWORD = "a-secret-314"


def facts(measured: Measured) -> dict[str, Fact]:
    return {fact.name: fact for fact in measured.facts}


def sheet(encoding: Encoding, seconds: float) -> Measured:
    with VirtualCamera("hall", password=PASSWORD, encoding=encoding, seconds=20.0) as served:
        return camera.measure(
            served.rtsp,
            served.user,
            PASSWORD,
            seconds=seconds,
            calls=2,
            most_sessions=3,
            asks=2,
            onvif=served.onvif or "",
        )


def test_a_good_camera_is_fit_and_every_line_is_there():
    measured = sheet(Encoding(width=320, height=240, fps=10.0, gop_s=1.0), 5.0)
    found = facts(measured)
    assert found["verdict"].value in {"fit", "fit, with reservations"}, found["verdict"]
    assert found["stream"].value == "h264 High, 320×240"
    assert found["key pictures"].value == "1.0 s apart at most"
    assert found["sessions"].value == "3 of 3 at once"
    assert found["pictures missing"].state == "ok"
    assert found["ONVIF"].value.startswith("edusense Virtual Camera")
    assert found["noise by night"].value == "not measured" or found["noise by day"].value == "not measured"
    assert {curve.id for curve in measured.curves} >= {"rate", "sizes", "qp"}
    figures = {figure.id: figure for figure in measured.figures}
    assert set(figures) >= {"rate", "jitter", "missing", "first-picture", "bitrate", "gop", "onvif", "snapshot"}
    assert figures["rate"].value == pytest.approx(10.0, rel=0.1)
    assert figures["gop"].value == pytest.approx(1.0, abs=0.05)
    assert PASSWORD not in repr(measured)


@pytest.mark.parametrize(
    ("described", "name", "value", "words"),
    [
        ({"rate_kind": "constant"}, "bit rate", "constant", "hides motion"),
        ({"codec": "jpeg"}, "stream", "jpeg", "ten times the network"),
        ({"b_pictures": True}, "B-pictures", "yes", "switch them off"),
        ({"notes": ["a smart codec is suspected"]}, "note", "a smart codec", ""),
    ],
)
def test_what_is_wrong_with_a_stream_is_a_reservation_with_its_reason(
    described: dict[str, Any], name: str, value: str, words: str
):
    shape = {"source": "x", "codec": "h264", "rate_kind": "variable", "width": 640, "height": 360, **described}
    found = camera._stream_facts(pictures(), Inspection(**shape))
    fact = next(one for one in found if one.name == name)
    assert fact.state == "warn"
    assert value in fact.value
    assert words in fact.words
    verdict = camera._verdict(found)
    assert verdict.value == "fit, with reservations"
    assert value in verdict.words


def test_a_long_time_between_key_pictures_is_a_reservation():
    shape = Inspection("x", "h264", rate_kind="variable")
    (fact,) = (one for one in camera._stream_facts(pictures(gop=250), shape) if one.name == "key pictures")
    assert (fact.state, fact.value) == ("warn", "up to 10.0 s apart")


@pytest.mark.parametrize(("noise", "state"), [(0.5, "ok"), (6.0, "ok"), (20.0, "warn"), (90.0, "warn")])
def test_noise_is_judged_as_the_gate_sees_it(noise: float, state: str):
    assert camera._of_noise(noise)[0] == state


def test_a_camera_that_cannot_be_reached_is_not_measured():
    with pytest.raises(BenchNotMeasuredError, match="cannot be reached"):
        camera.measure("rtsp://127.0.0.1:9/nobody", seconds=1.0)
    with pytest.raises(BenchNotMeasuredError, match="no camera was named"):
        camera.measure()


def pictures(
    count: int = 500,
    *,
    fps: float = 25.0,
    ppm: float = 0.0,
    leave_out: tuple[int, ...] = (),
    queue_s: float = 0.0,
    gop: int = 50,
) -> Watched:
    """A stream whose clock and losses are known."""
    found = Watched("h264")
    for number in range(count):
        if number in leave_out:
            continue
        pts_s = number / fps
        late = queue_s if number % 10 == 5 else 0.0
        at_s = 0.5 + pts_s * (1 - ppm * 1e-6) + late
        found.pictures.append(Seen(at_s, pts_s, 8000 if number % gop else 80_000, 0, number % gop == 0, "P", 28.0))
    return found


def test_missing_pictures_are_counted_by_the_cameras_own_times():
    assert pictures().missing() == 0
    assert pictures(leave_out=(100, 101, 300)).missing() == 3


@pytest.mark.parametrize("ppm", [0.0, 150.0, -400.0])
def test_a_clock_that_drifts_is_seen_and_does_not_count_as_jitter(ppm: float):
    watched = pictures(3000, ppm=ppm, queue_s=0.04)
    drift = watched.drift()
    assert drift is not None
    assert drift.ppm == pytest.approx(ppm, abs=max(5.0, 2 * drift.interval_ppm))
    late = sorted(watched.jitter_ms())
    assert late[len(late) // 2] < 2
    assert 38 < late[-1] < 44


def test_too_short_a_look_says_nothing_of_the_clock():
    assert pictures(100).drift() is None


def test_rate_and_kinds_by_second():
    seconds = pictures().by_second()
    assert all(kbit in {25 * 8.0, 24 * 8.0 + 80} for _, kbit, _, _ in seconds)
    assert {key for _, _, key, _ in seconds} == {0.0, 80.0}


# ---- a reader


@pytest.fixture
def held(tmp_path: Path):
    """A reader on which three cards are laid, one after the other, as soon as it is opened."""
    device = VirtualRdm6300(tmp_path / "reader")
    over = threading.Event()

    def lay() -> None:
        assert device.wait_open(30)
        for number in range(3):
            device.tap(Card.parse(f"em4100:01006{number}E9AE"))
            if over.wait(1.2):
                return

    thread = threading.Thread(target=lay)
    thread.start()
    yield device
    over.set()
    thread.join()
    device.close()


def test_a_reader_on_which_cards_are_laid(held: VirtualRdm6300):
    said: list[str] = []
    measured = reader.measure(f"rdm6300:{held.path}", seconds=40.0, cards=3, _say=said.append)
    found = facts(measured)
    assert found["verdict"].state in {"ok", "warn"}
    assert found["taps"].value == "3, of 3 cards"
    assert "0" in found["bad frames"].value
    assert said[0].startswith("lay a card on")
    assert said[-1].startswith("3 of 3")
    figures = {figure.id: figure for figure in measured.figures}
    assert len(figures["tap"].runs) == 3
    assert figures["bad-frames"].value == 0.0


def test_nobody_lays_a_card(tmp_path: Path):
    device = VirtualRdm6300(tmp_path / "reader")
    try:
        with pytest.raises(BenchNotMeasuredError, match="nobody laid a card"):
            reader.measure(f"rdm6300:{device.path}", seconds=0.3)
    finally:
        device.close()
    with pytest.raises(BenchNotMeasuredError, match="no port"):
        reader.measure("rdm6300:/dev/nothing-here", seconds=0.3)


# ---- a disk


def test_a_disk_says_what_it_allows_a_terminal(tmp_path: Path):
    measured = disk.measure(tmp_path, writes=30, megabytes=8)
    found = facts(measured)
    assert "99 of 100 lights within" in found["a terminal alone"].value
    assert "cameras of 4 Mbit/s" in found["clips"].value
    assert not list(tmp_path.iterdir())


def test_a_disk_that_may_not_be_written_is_not_measured(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BenchNotMeasuredError, match="cannot be written"):
        disk.measure(tmp_path / "file")


@pytest.mark.parametrize(
    ("p99_us", "state"), [(60.0, "ok"), (90_000.0, "ok"), (150_000.0, "warn"), (700_000.0, "fail")]
)
def test_a_slow_disk_is_judged_by_what_a_child_waits(p99_us: float, state: str):
    found = disk._facts((p99_us,) * 100, (p99_us,) * 100, (), 20.0, "ext4")
    assert found[0].state == state
    assert found[1].state == state


def test_memory_is_no_disk():
    found = {fact.name: fact for fact in disk._facts((50.0,) * 100, (50.0,) * 100, (), 20.0, "tmpfs")}
    assert found["what it is"].state == "fail"
    assert "power-cut" in found["honesty"].words
