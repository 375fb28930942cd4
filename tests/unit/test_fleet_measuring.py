"""Figures of a stream out of arrivals, what a picture is like, and what is found of both; what is kept of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edusense.devices.camera import CameraClock, CameraEvent, CameraProfile
from edusense.fleet.comparing import Finding, clock_findings, event_findings, merged, stream_findings
from edusense.fleet.health import CameraHealth
from edusense.fleet.health_store import HealthStore
from edusense.fleet.measuring import Measured, figures
from edusense.fleet.sight import changed, looked_at, sharpness
from edusense.video.engine import Arrival

CALLED = 1_000.0


def arrivals(count=100, fps=20.0, gop=20, *, delay=lambda index: 0.0, stamp=lambda index, ticks: ticks, **more):
    """A stream that begins half a second after the call."""
    return [
        Arrival(
            more.get("session", 1),
            CALLED + 0.5 + index / fps + delay(index),
            stamp(index, round(90_000 * index / fps)),
            9_000 if index % gop == 0 else 1_000,
            index % gop == 0,
            0,
            index == 0,
        )
        for index in range(count)
    ]


def test_an_even_stream_is_measured_as_it_is():
    found = figures(arrivals(), CALLED)
    assert (found.pictures, found.fps, found.gop, found.gop_s) == (100, 20.0, 20, 1.0)
    assert (found.first_picture_s, found.speed, found.jitter_ms) == (0.5, 1.0, 0.0)
    assert found.kbit == pytest.approx((9_000 + 19 * 1_000) * 0.008, abs=0.1)
    assert (found.lost, found.backwards, found.gaps, found.changes) == (0, 0, 0, 0)
    assert stream_findings("stream", _seen(found), None) == []


def test_what_is_wrong_with_a_stream_is_counted():
    rows = arrivals(delay=lambda index: 0.3 * (index % 2))
    assert figures(rows, CALLED).jitter_ms > 150
    # Half the rate by our clock than by its own.
    slow = figures(arrivals(stamp=lambda index, ticks: 2 * ticks), CALLED)
    assert (slow.fps, slow.speed) == (10.0, 2.0)
    gaps = figures(arrivals(stamp=lambda index, ticks: ticks + 90_000 * (index >= 50)), CALLED)
    assert (gaps.gaps, gaps.backwards) == (1, 0)
    back = figures(arrivals(stamp=lambda index, ticks: ticks - 9_000 * (index == 50)), CALLED)
    assert back.backwards == 1
    lossy = [row._replace(lost=3) if index == 7 else row for index, row in enumerate(arrivals())]
    assert figures(lossy, CALLED).lost == 3
    # Timestamps begin anew with a session: that is no jump.
    both = arrivals(40) + [row._replace(session=2, received_s=row.received_s + 9) for row in arrivals(60)]
    found = figures(both, CALLED)
    assert (found.backwards, found.gaps, found.changes, found.fps) == (0, 0, 0, 20.0)
    assert figures([], CALLED).first_picture_s is None
    assert figures(arrivals(1), CALLED).fps is None


def test_one_group_alone_has_a_bit_rate_and_no_length():
    found = figures(arrivals(30, gop=100), CALLED)
    assert (found.gop, found.gop_s) == (None, None)
    assert found.kbit == pytest.approx((9_000 + 28 * 1_000) * 0.008 / (29 / 20), rel=0.01)


def _seen(found, **more):
    found.state, found.codec, found.width, found.height = "playing", "h264", 640, 360
    for name, value in more.items():
        setattr(found, name, value)
    return found


SAID = CameraProfile("p1", "main", 640, 360, 20.0, 400, "H264", 20)


def checks(found, said=SAID):
    return [one.check for one in stream_findings("stream", found, said)]


def test_what_is_sent_is_held_against_what_is_said():
    assert checks(_seen(figures(arrivals(), CALLED))) == []
    assert checks(_seen(figures(arrivals(), CALLED), width=320, height=180)) == ["size"]
    assert checks(_seen(figures(arrivals(), CALLED), codec="h265")) == ["codec"]
    assert checks(_seen(figures(arrivals(fps=12.0, gop=12), CALLED))) == ["rate", "gop"]
    assert checks(_seen(figures(arrivals(gop=50), CALLED))) == ["gop"]
    assert checks(_seen(figures(arrivals(), CALLED), kbit=900.0)) == ["bit-rate"]
    # A camera may send less than its limit, and tell nothing of itself.
    assert checks(_seen(figures(arrivals(), CALLED), kbit=20.0)) == []
    assert checks(_seen(figures(arrivals(fps=7), CALLED)), CameraProfile("p1", "main")) == []


def test_what_comes_late_or_not_at_all_is_grave():
    (none,) = stream_findings("stream", Measured("", state="refused", reason="refuses user `x`"), SAID)
    assert none.grave
    assert "refuses user `x`" in none.words
    twice = [Finding("gop", False, f"{name} stream: 80, says 40", "h") for name in ("main", "sub")]
    odd = Finding("loss", False, "sub stream: 3 packets")
    assert [one.words for one in merged(twice[:1], [twice[1], odd])] == ["both streams: 80, says 40", odd.words]
    (again,) = stream_findings("stream", _seen(figures(arrivals(), CALLED), reconnects=3), SAID)
    assert again.grave
    why = "the connection broke off (byte 1, connection 127.0.0.1:1(me)->127.0.0.1:2@2026); calling again in 1 s"
    (ended,) = stream_findings("stream", _seen(figures(arrivals(), CALLED), state="lost", reason=why), SAID)
    assert ended.words == "stream: it ended after 5 s: the connection broke off; calling again in 1 s"
    assert checks(_seen(figures(arrivals(), CALLED), first_picture_s=9.0, lost=2, reconnects=1, changes=1)) == [
        *("first-picture", "loss", "reconnects", "changes")
    ]
    graves = list(stream_findings("stream", _seen(figures(arrivals(), CALLED), fault="black"), SAID))
    assert [(one.check, one.grave) for one in graves] == [("black", True)]
    stalled = stream_findings("stream", _seen(figures(arrivals(), CALLED), state="stalled"), SAID)
    assert [(one.check, one.grave) for one in stalled] == [("stream", True)]


def test_clock_and_what_a_camera_tells():
    now = datetime(2026, 9, 14, 6, 0, tzinfo=UTC)
    assert clock_findings(CameraClock(now, 1.5, ntp=False)) == []
    assert "3 days behind" in clock_findings(CameraClock(now, -3 * 86_400.0, ntp=False))[0].words
    assert "no date" in clock_findings(CameraClock(None, None, ntp=True))[0].words

    def told(kind, active=True, **data):
        return CameraEvent(f"topic/{kind}", kind, now, active, {}, data, "Initialized")

    found = event_findings([told("storage-failure"), told("tamper", False), told("motion")], now)
    assert [one.check for one in found] == ["storage"]
    # The last word counts.
    assert event_findings([told("tamper"), told("tamper", False)], now) == []
    hour_ago = (now - timedelta(hours=1)).isoformat()
    assert [one.check for one in event_findings([told("restart", None, Status=hour_ago)], now)] == ["restart"]
    assert event_findings([told("restart", None, Status="2026-09-01T06:00:00Z")], now) == []
    assert event_findings([told("restart", None)], now) == [], "the time of the question is not that of the restart"


def room(noise=2.0, level=1.0):
    """A picture with desks in it, as a sensor sees it."""
    rng = np.random.default_rng(3)
    picture = np.full((360, 640), 120.0)
    for _ in range(60):
        x, y, w, h = rng.integers(0, 560), rng.integers(0, 300), rng.integers(20, 80), rng.integers(10, 60)
        picture[y : y + h, x : x + w] = rng.integers(30, 220)
    return np.clip(picture * level + rng.normal(0, noise, picture.shape), 16, 235).astype(np.uint8)


def blurred(luma, radius):
    return np.asarray(Image.fromarray(luma).filter(ImageFilter.GaussianBlur(radius)))


def test_a_picture_is_told_from_none():
    assert looked_at(room()).fault is None
    assert looked_at(room(level=0.3)).fault is None, "a dim room is no fault"
    rng = np.random.default_rng(1)
    assert looked_at(rng.normal(17, 1, (360, 640)).clip(16, 235).astype(np.uint8)).fault == "black"
    assert looked_at(rng.normal(90, 3, (360, 640)).clip(16, 235).astype(np.uint8)).fault == "covered"
    assert looked_at(blurred(room(), 10)).fault == "blurred"


def test_sharpness_grows_while_the_ring_is_turned_to_the_right_place():
    found = [sharpness(blurred(room(), radius)) for radius in (16, 8, 4, 2, 1, 0)]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]
    # And is about the same in another light.
    assert sharpness(room(level=0.5)) == pytest.approx(found[-1], abs=0.15)


def test_two_pictures_of_a_sensor_are_never_the_same():
    rng = np.random.default_rng(5)
    one = room(0)
    other = np.clip(one + rng.normal(0, 3, one.shape), 0, 255).astype(np.uint8)
    assert changed(one, one) == 0.0
    assert changed(one, other) > 1.0
    assert changed(one, one[:100]) == 255.0
    assert looked_at(np.zeros((8, 8), np.uint8)).fault == "black"


def test_what_was_found_is_kept_and_a_check_goes_on(tmp_path):
    store = HealthStore(tmp_path / "health")
    assert store.begin(["a", "b"]) == []
    one = CameraHealth("a", "205", "findings", at_s=4e9, findings=[Finding("clock", False, "off")], picture=b"jpeg")
    store.put(one)
    assert store.read(["a", "b"]) == [one]
    assert (tmp_path / "health" / "a.jpg").stat().st_mode & 0o777 == 0o640
    assert store.begin(["b", "a"]) == ["a"]
    assert store.begin(["a", "b", "c"]) == [], "of other cameras it is another check"
    assert store.begin(["a", "b", "c"], anew=True) == []
    # Without a picture the old one goes.
    store.put(CameraHealth("a", "205", "unreachable", at_s=4e9))
    assert not (tmp_path / "health" / "a.jpg").exists()
    store.end()
    store.end()
    assert store.begin(["a", "b", "c"]) == []
    (tmp_path / "health" / "a.json").write_text(json.dumps({"camera": "a"}))
    (tmp_path / "health" / "run.json").write_text("[]")
    assert store.read(["a"]) == []
    assert store.begin(["a"]) == []
