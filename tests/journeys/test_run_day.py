"""The real `edusense run` on a small school: cameras, cards, events, clips, and a clean end."""

from __future__ import annotations

import io
import json
import signal
import socket
import stat
import time

import av
import pytest

import edusense
from edusense.errors import BoxNotRunningError, BoxUnknownError, CardError
from edusense.meals import Ledger

CAMERA_KEYS = {
    "id", "room", "state", "reason", "pictures_received", "pictures_looked_at", "pictures_decoded", "decoders",
    "bitrate_kbit", "lost", "gate", "events", "last_event_s", "reconnects",
}  # fmt: skip


def test_a_day_in_the_canteen(tiny_school):
    school = tiny_school
    school.start()
    box = school.connect()
    follower = box.events(since=0, follow=True, kinds=["tap"])
    verdicts = []
    for number in (0, 1, 0, 3):
        school.tap(number)
        verdicts.append(next(follower))
        time.sleep(0.6)  # a card counts as gone after 0.3 s
    assert [(row["granted"], row["reason"], row["pupil"]) for row in verdicts] == [
        (True, None, 1001),
        (True, None, 1002),
        (False, "already-served", 1001),
        (False, "no-consent", 1004),
    ]
    assert verdicts[2]["message"].startswith("already served at ")
    assert verdicts[2]["record"] == verdicts[0]["record"]
    # A tap through the socket says who made it, and holds for all terminals of the school.
    by_hand = box.tap("left", "em4100:010063E9B0")
    assert by_hand["granted"]
    assert by_hand["by"].startswith("process ")
    assert box.tap("left", "010063E9B0")["reason"] == "already-served"
    with pytest.raises(CardError):
        box.tap("left", "no card")
    with pytest.raises(BoxUnknownError, match="no terminal `right`"):
        box.tap("right", "em4100:010063E9B0")
    follower.close()

    terminal = school.row("terminal", "left")
    assert terminal["state"] == "ready"
    assert terminal["granted"] == 3
    assert terminal["refused"] == {"already-served": 2, "no-consent": 1}
    begun = time.monotonic()
    assert school.stop() == 0
    assert time.monotonic() - begun < 5
    assert not (school.folder / "data/box.sock").exists()
    with pytest.raises(BoxNotRunningError):
        box.status()

    with Ledger.open(school.folder / "data/ledger", read_only=True) as ledger:
        records = ledger.records()
        assert ledger.verify().ok
        assert ledger.verify().closed
    meals = records[records["kind"] == Ledger.KIND_MEAL]
    assert meals["pupil"].tolist() == [1001, 1002, 1003]
    assert (records["kind"] == Ledger.KIND_SHOWN).sum() == 3
    events = "".join(path.read_text("utf-8") for path in (school.folder / "data/events").iterdir())
    assert '"state":"stopped"' in events
    for told in (events, school.said()):
        assert "Айгерім" not in told
        assert school.password not in told


def test_motion_with_clip_thumbnail_and_snapshot(running_school):
    school = running_school
    box = school.connect()
    event = school.events("motion")[0]
    assert event["state"] == "confirmed"
    assert event["end_s"] > event["start_s"] > time.time() - 200
    assert event["regions"]
    assert all(len(region) == 4 for region in event["regions"])
    # While the gate is learning, pixels may be the first to see it: then nothing was suspected.
    steps = [row["kind"] for row in box.events(since=0) if row.get("id") == event["id"]]
    assert steps[-2:] == ["motion-confirmed", "motion"]

    def stored() -> dict:
        return {path.suffix: path for path in (school.folder / "data/clips").glob(f"*/{event['id']}.*")}

    school.until(lambda: len(stored()) == 3)
    assert {stat.S_IMODE(path.stat().st_mode) for path in stored().values()} == {0o640}
    assert json.loads(stored()[".json"].read_text()) == event
    clip = box.clip(event["id"], reason="a test")
    assert clip == stored()[".mp4"].read_bytes()
    with av.open(io.BytesIO(clip)) as container:
        pictures = list(container.decode(video=0))
        length_s = float(pictures[-1].pts * pictures[-1].time_base)
    # It begins before the motion did and lasts longer.
    assert length_s > event["end_s"] - event["start_s"]
    for picture in (box.thumbnail(event["id"], reason="a test"), box.snapshot(school.camera.id, reason="a test")):
        assert picture.startswith(b"\xff\xd8\xff")
    for ask in (box.clip, box.thumbnail):
        with pytest.raises(BoxUnknownError, match="there is no"):
            ask("../../../../etc/passwd", reason="a test")
        with pytest.raises(BoxUnknownError):
            ask("205-0-1-1", reason="a test")
    with pytest.raises(BoxUnknownError, match="no camera `206`"):
        box.snapshot("206", reason="a test")
    with pytest.raises(BoxUnknownError, match="no camera `206`"):
        box.retry("206")
    box.retry(school.camera.id)


def test_the_rows_of_status(running_school):
    rows = running_school.connect().status()
    assert [row["kind"] for row in rows] == ["box", "camera", "camera", "terminal", "ledger"]
    box, camera, _, terminal, ledger = rows
    assert box["version"] == edusense.__version__
    assert box["pid"] == running_school.processes[0].pid
    assert box["uptime_s"] > 0
    assert 0 < box["cpu_s"] < 60
    assert 10e6 < box["rss_bytes"] <= box["peak_bytes"] < 1e9
    assert box["state"] == "running"
    assert {part["state"] for part in box["parts"].values()} == {"running"}
    assert camera.keys() >= CAMERA_KEYS
    assert camera["pictures_received"] > 10
    assert camera["gate"].keys() >= {"state", "level", "threshold", "noise"}
    assert camera["decoders"]
    assert camera["pictures_decoded"] > 0
    assert (terminal["id"], terminal["reader"], terminal["state"]) == ("left", "left", "ready")
    assert (ledger["state"], ledger["path"]) == ("open", str(running_school.folder / "data/ledger"))
    assert ledger["records"] == ledger["synced"] >= 1
    assert ledger["segments"] == 1


def test_systemd_hears_ready_alive_and_stopping(tiny_school):
    address = tiny_school.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(30)
        process = tiny_school.start({"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "2000000"})
        ready = systemd.recv(4096).decode().splitlines()
        assert ready[0] == "READY=1"
        assert f"MAINPID={process.pid}" in ready
        assert tiny_school.connect().hello()["pid"] == process.pid
        beats = [systemd.recv(4096) for _ in range(4)]
        assert beats == [b"WATCHDOG=1"] * 4
        process.send_signal(signal.SIGINT)
        while (said := systemd.recv(4096)) == b"WATCHDOG=1":
            pass
        assert said.startswith(b"STOPPING=1")
    assert process.wait(10) == 0
