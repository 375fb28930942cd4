"""Lamps and sounder of a terminal: what the kernel is asked for, what is shown, and that a tap never waits for them."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from pathlib import Path

import pytest

from edusense.box.lights import Lights
from edusense.devices.gpio import OutputLines
from edusense.errors import DeviceBusyError, DeviceError, DeviceNotFoundError, SessionClosedError
from edusense.site import Light


class Chip:
    """What the kernel does with the two ioctls; a file stands in for the chip."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path = path
        path.touch()
        self.request: tuple | None = None
        self.history: list[dict[int, bool]] = []
        self.refuses: int | None = None
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    def ioctl(self, file: int, number: int, argument) -> int:
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        if number == 0xC250B407:
            assert len(argument) == 592, "struct gpio_v2_line_request"
            offsets = struct.unpack_from("=64I", argument, 0)
            consumer, flags, _ = struct.unpack_from("=32sQI", argument, 256)
            lines = struct.unpack_from("=I", argument, 560)[0]
            self.request = (offsets[:lines], consumer.rstrip(b"\0"), flags)
            struct.pack_into("=i", argument, 588, os.dup(file))
            return 0
        assert number == 0xC010B40F
        bits, mask = struct.unpack("=QQ", argument)
        assert self.request is not None
        self.history.append(
            {line: bool(bits >> place & 1) for place, line in enumerate(self.request[0]) if mask >> place & 1}
        )
        return 0


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chip:
    return Chip(monkeypatch, tmp_path / "gpiochip0")


def test_lines_are_asked_for_once_and_set_by_their_number(chip: Chip):
    with OutputLines(chip.path, [17, 27], active_low=True) as lines:
        assert chip.request == ((17, 27), b"edusense", 8 | 2)
        lines.set({27: True})
        lines.set({17: True, 27: False})
        assert chip.history == [{27: True}, {17: True, 27: False}]
    lines.close()
    with pytest.raises(SessionClosedError):
        lines.set({17: True})


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EBUSY, DeviceBusyError),
        (errno.EINVAL, DeviceNotFoundError),
        (errno.ENOTTY, DeviceError),
    ],
)
def test_what_the_kernel_refuses_is_said(chip: Chip, number: int, error: type[DeviceError]):
    chip.refuses = number
    with pytest.raises(error) as caught:
        OutputLines(chip.path, [17])
    assert caught.value.hint
    with pytest.raises(DeviceNotFoundError, match="no GPIO chip"):
        OutputLines(chip.path.with_name("gpiochip9"), [17])
    for lines in ([], [1, 1]):
        with pytest.raises(DeviceError, match="no lines"):
            OutputLines(chip.path, lines)


def until(what) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_green_is_one_tone_and_red_two_and_both_end(chip: Chip):
    lights = Lights(Light(chip=chip.path, green=17, red=27, sound=22), "left")
    try:
        until(lambda: chip.request is not None)
        lights.show(True)
        until(lambda: chip.history[-1:] == [{17: False, 27: False, 22: False}] and len(chip.history) > 2)
        assert chip.history[0] == {17: True, 27: False, 22: False}
        assert [step for step in chip.history if step == {22: True}] == [{22: True}]
        chip.history.clear()
        lights.show(False)
        until(lambda: chip.history[-1:] == [{17: False, 27: False, 22: False}] and len(chip.history) > 2)
        assert chip.history[0] == {17: False, 27: True, 22: False}
        assert [step for step in chip.history if step == {22: True}] == [{22: True}] * 2
    finally:
        lights.close()


def test_the_next_child_does_not_wait_for_the_last_ones_light(chip: Chip):
    lights = Lights(Light(chip=chip.path, green=17, red=27), "left")
    try:
        until(lambda: chip.request is not None)
        begun = time.monotonic()
        for granted in (True, False) * 10:
            lights.show(granted)
        assert time.monotonic() - begun < 5
        until(lambda: {17: False, 27: True} in chip.history)
    finally:
        lights.close()
    assert lights.trouble is None


def test_dark_lights_are_told_and_hold_up_nobody(chip: Chip):
    chip.refuses = errno.EBUSY
    lights = Lights(Light(chip=chip.path, green=17), "left")
    until(lambda: lights.trouble is not None)
    for _ in range(20):
        lights.show(True)
    assert "driven by somebody else" in str(lights.trouble)
    lights.close()
