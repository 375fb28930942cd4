"""A school whose drawing falls behind: its cameras pause, go on, and nobody takes that for an event missed."""

from __future__ import annotations

import asyncio
import time

import pytest

from edusense.sim.encode import Encoding, Picture
from edusense.sim.live import LiveSource, Reel, Shot
from edusense.sim.player import Player
from edusense.sim.timing import Timing


class Watcher:
    channel = 0

    def __init__(self) -> None:
        self.pictures = 0
        self.keys = 0

    def picture(self, data: bytes, key: bool) -> None:
        self.pictures += 1
        self.keys += key

    def report(self, data: bytes) -> None:
        pass


async def test_pictures_that_were_let_go_unsent_do_not_stop_the_camera() -> None:
    encoding = Encoding(fps=25.0, gop_s=0.4)
    source = LiveSource(encoding)

    def draw(first: int, end: int) -> None:
        for index in range(first, end):
            key = index % encoding.gop == 0
            units = (b"\x67" + bytes(8), b"\x68" + bytes(4), b"\x65" + b"\1" * 20) if key else (b"\x41" + b"\1" * 20,)
            source.add(Picture(index, key, units))

    draw(0, 25)
    player, watcher = Player(source, epoch=time.time()), Watcher()
    player.start(asyncio.get_running_loop())
    player.add(watcher)
    await asyncio.sleep(1.3)
    before = watcher.pictures
    draw(25, 60)
    source.forget(50)
    await asyncio.sleep(0.6)
    draw(60, 120)
    await asyncio.sleep(1.0)
    assert watcher.pictures > before + 10
    assert player.late > 0
    player.stop()


async def test_a_camera_that_is_drawn_late_pauses_and_tells_when_its_pictures_were_sent() -> None:
    encoding = Encoding(fps=25.0, gop_s=0.4)
    source = LiveSource(encoding)
    stamps: list[tuple[float, int]] = []

    class Clock(Watcher):
        def picture(self, data: bytes, key: bool) -> None:
            stamps.append((time.time(), int.from_bytes(data[8:12], "big")))

    def draw(first: int, end: int) -> None:
        for index in range(first, end):
            key = index % encoding.gop == 0
            source.add(Picture(index, key, (b"\x65" + b"\1" * 20,) if not key else (b"\x67\0", b"\x68\0", b"\x65\1")))

    draw(0, 10)
    timing = Timing(encoding.fps)
    player = Player(source, epoch=time.time(), timing=timing)
    other = Player(source, epoch=player.epoch, timing=timing)
    for one in (player, other):
        one.start(asyncio.get_running_loop())
    player.add(Clock())
    while timing.played != 10:  # noqa: ASYNC110 - what plays has no event to wait for
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.2)
    draw(10, 30)
    while timing.played != 30:  # noqa: ASYNC110 - what plays has no event to wait for
        await asyncio.sleep(0.02)
    player.stop()
    other.stop()
    # One pause, though two players met it; the stream's own clock went on through it, as the wall's did.
    (pause,) = timing.pauses
    assert pause.index == 10
    assert pause.seconds > 1.0
    assert player.unix(10) - player.unix(9) > 1.0
    by_rtp = (stamps[10][1] - stamps[9][1]) % 2**32 / 90_000
    assert by_rtp == pytest.approx(player.unix(10) - player.unix(9), abs=0.001)
    assert all(abs(at - player.unix(index)) < 1.0 for index, (at, _) in enumerate(stamps))


def test_what_is_staged_keeps_the_times_at_which_it_was_shown() -> None:
    shot = Shot("lab", "room", 5, {"main": Encoding(160, 96, 5.0, gop_s=1.0)}, 0.0, 20.0, 1.0)
    reel = Reel(shot, 1000.0)
    staged = [one for _ in range(20) for one in reel.work()]
    first = staged[0]
    assert reel.shown(first, 1000.0 + first.last / 5 + 0.01)
    # Somebody plays it now, and is not there yet.
    reel.timing.passed(first.first - 1)
    assert not reel.shown(first, 2000.0)
    reel.timing.pause(first.first, 3.0)
    reel.timing.passed(first.last)
    row = reel.row(first)
    assert row["start_s"] == pytest.approx(1000.0 + first.first / 5 + 3.0)
    assert row["end_s"] == pytest.approx(1000.0 + first.last / 5 + 3.0)
    (pause,) = reel.pauses()
    assert pause["end_s"] - pause["start_s"] == pytest.approx(3.0)
    assert reel.pauses() == []
