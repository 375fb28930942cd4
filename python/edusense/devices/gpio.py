"""Output lines of a GPIO chip, by the kernel's character device (linux/gpio.h, version 2 of its interface).

Two ioctls and no package: a line is asked for once, then set. When the file is closed, also by a crash, the kernel
takes the lines back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Final

from edusense.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
    SessionClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["OutputLines"]

_GET_LINE: Final = 0xC250B407
"""GPIO_V2_GET_LINE_IOCTL: _IOWR(0xB4, 0x07, struct gpio_v2_line_request)."""
_SET_VALUES: Final = 0xC010B40F
"""GPIO_V2_LINE_SET_VALUES_IOCTL: _IOWR(0xB4, 0x0F, struct gpio_v2_line_values)."""
_ACTIVE_LOW: Final = 1 << 1
_OUTPUT: Final = 1 << 3
_MOST_LINES: Final = 64
_REQUEST: Final = struct.Struct("=64I32sQI20x240xII20xi")
"""struct gpio_v2_line_request: offsets, consumer, flags, attributes (none), lines, event buffer, descriptor."""


class OutputLines:
    """Lines of one chip, driven by us. Close it, or use it as a context manager.

    Args:
        chip: such as `/dev/gpiochip0`.
        lines: numbers of the lines on that chip; all are off at first.
        active_low: on is 0 V.

    Raises:
        DeviceNotFoundError: there is no such chip, or no such line on it.
        DeviceBusyError: somebody else drives one of them.
        DevicePermissionError: this user may not.
        DeviceError: it is no GPIO chip.
    """

    def __init__(self, chip: str | Path, lines: Sequence[int], *, active_low: bool = False) -> None:
        if not 0 < len(lines) <= _MOST_LINES or len(set(lines)) != len(lines):
            raise DeviceError(f"`{chip}`: {list(lines)} are no lines to drive", hint="1 to 64 different numbers")
        self.chip = str(chip)
        self._places = {line: place for place, line in enumerate(lines)}
        self._file = -1
        try:
            opened = os.open(self.chip, os.O_RDWR | os.O_CLOEXEC)
            try:
                offsets = [*lines, *([0] * (_MOST_LINES - len(lines)))]
                flags = _OUTPUT | (_ACTIVE_LOW if active_low else 0)
                asked = bytearray(_REQUEST.pack(*offsets, b"edusense", flags, 0, len(lines), 0, 0))
                fcntl.ioctl(opened, _GET_LINE, asked)
                self._file = _REQUEST.unpack(asked)[-1]
            finally:
                os.close(opened)
        except OSError as error:
            raise self._error(error, lines) from error

    def set(self, values: Mapping[int, bool]) -> None:
        """Sets some of the lines; the others stay as they are.

        Args:
            values: on or off, by line.

        Raises:
            SessionClosedError: it was closed.
            DeviceError: the chip refuses.
        """
        if self._file < 0:
            raise SessionClosedError(f"the lines of `{self.chip}` are closed", hint="open them again")
        bits = mask = 0
        for line, on in values.items():
            mask |= 1 << self._places[line]
            bits |= on << self._places[line]
        try:
            fcntl.ioctl(self._file, _SET_VALUES, struct.pack("=QQ", bits, mask))
        except OSError as error:
            raise DeviceError(f"`{self.chip}` cannot be set: {error.strerror}", hint="`edusense doctor`") from error

    def close(self) -> None:
        """Gives the lines back; calling it twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> OutputLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _error(self, error: OSError, lines: Sequence[int]) -> DeviceError:
        named = ", ".join(str(line) for line in lines)
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return DeviceNotFoundError(f"there is no GPIO chip `{self.chip}`", hint="`ls /dev/gpiochip*` lists them")
        if error.errno == errno.EBUSY:
            return DeviceBusyError(
                f"a line of {named} on `{self.chip}` is driven by somebody else", hint="`gpioinfo` (gpiod) says by whom"
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return DevicePermissionError(
                f"this user may not drive `{self.chip}`", hint="join its group (`ls -l` shows it), then log in again"
            )
        if error.errno == errno.EINVAL:
            return DeviceNotFoundError(
                f"`{self.chip}` has no line of {named} that can be driven", hint="`gpioinfo` (gpiod) lists its lines"
            )
        return DeviceError(f"`{self.chip}` is no GPIO chip: {error.strerror}", hint="such as /dev/gpiochip0")
