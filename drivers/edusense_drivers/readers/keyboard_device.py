"""Input devices that pose as keyboards: found, told from those that people type on, and taken for ourselves.

Sources: linux/input.h (EVIOCGVERSION, EVIOCGRAB); the attributes of /sys/class/input.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import select
import socket
import threading
from typing import TYPE_CHECKING, Final

from edusense.devices.input_scan import node_of, typed_on_by_people
from edusense.devices.port_scan import missing_right, named_holders
from edusense.errors import (
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceRefusedError,
    UsageError,
)
from edusense_drivers.readers.keyboard_typing import EVENT

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["InputDevice", "find_node", "is_keyboard", "open_keyboard"]

EVIOCGRAB: Final = 0x40044590
_EVIOCGVERSION: Final = 0x80044501
_USB_ID: Final = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")


class InputDevice:
    """An input device that only this process hears, or a socket that sends the same events.

    Args:
        fd: the descriptor, not blocking; it is closed with this object.
        name: how it was asked for, for messages.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._lock = threading.Lock()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(self._wake_in, select.POLLIN)

    @classmethod
    def open(cls, path: str) -> InputDevice:
        """Opens an event node and takes it from everybody else.

        Args:
            path: `/dev/input/event…` or a link to it.

        Raises:
            DeviceNotFoundError: there is no such node, or it is no input device.
            DevicePermissionError: this user may not open it.
            DeviceBusyError: another process has taken it.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _open_error(path, error) from error
        try:
            fcntl.ioctl(fd, _EVIOCGVERSION, bytes(4))
            fcntl.ioctl(fd, EVIOCGRAB, 1)
        except OSError as error:
            os.close(fd)
            raise _open_error(path, error) from error
        return cls(fd, path)

    @classmethod
    def connect(cls, path: str) -> InputDevice:
        """Connects to a virtual keyboard's socket.

        Args:
            path: the Unix socket that `edusense sim reader keyboard` serves.

        Raises:
            DeviceNotFoundError: nobody serves it.
            DeviceBusyError: another process has it.
        """
        with contextlib.ExitStack() as undo:
            connection = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(2.0)
            try:
                connection.connect(path)
                greeting = json.loads(connection.recv(256))
            except (OSError, ValueError) as error:
                raise DeviceNotFoundError(
                    f"no virtual keyboard serves `{path}`", hint="start one with `edusense sim reader keyboard`"
                ) from error
            holder = greeting.get("held_by")
            if holder is not None:
                who = "this program itself" if holder == os.getpid() else f"process {holder}"
                raise DeviceBusyError(f"`{path}` is held by {who}", hint="stop that program, or read through the box")
            undo.pop_all()
            connection.setblocking(False)
        return cls(connection.detach(), path)

    def read(self, timeout: float | None) -> bytes:
        """Whole or half events, as they come; nothing when the time has passed or `wake` was called.

        Args:
            timeout: seconds; None without limit.

        Raises:
            DeviceDisconnectedError: it was unplugged.
        """
        events = dict(self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000))
        if self._wake_in in events:
            os.read(self._wake_in, 64)
        if not events.get(self._fd):
            return b""
        try:
            data = os.read(self._fd, 64 * EVENT.size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        return data

    def wake(self) -> None:
        """Makes `read` return at once, from another thread. Harmless after `close`."""
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._wake_out >= 0:
                os.write(self._wake_out, b"!")

    def close(self) -> None:
        """Gives the keyboard back. Closing twice is harmless."""
        with self._lock:
            if self._wake_out < 0:
                return
            for fd in (self._fd, self._wake_in, self._wake_out):
                os.close(fd)
            self._wake_out = -1

    def _gone(self) -> DeviceDisconnectedError:
        return DeviceDisconnectedError(
            f"`{self._name}` is gone", hint="plug the reader in again; the box opens it by itself"
        )


def find_node(usb_id: str) -> str:
    """The event node of the keyboard with a USB identity.

    Args:
        usb_id: `vvvv:pppp`.

    Raises:
        DeviceNotFoundError: none is plugged in.
    """
    node = node_of(usb_id)
    if node is None:
        raise DeviceNotFoundError(
            f"no keyboard {usb_id} is plugged in", hint="`edusense reader ports` lists what is there"
        )
    return node


def _open_error(path: str, error: OSError) -> DeviceError:
    if error.errno in (errno.EACCES, errno.EPERM):
        problem, hint = missing_right(path) or (f"this user may not open `{path}`", "install the udev rules")
        return DevicePermissionError(problem, hint=hint)
    if error.errno == errno.EBUSY:
        return DeviceBusyError(
            f"`{path}` is held by {named_holders(path)}", hint="stop that program, or read its cards through the box"
        )
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return DeviceDisconnectedError(f"`{path}` is gone", hint="plug the reader in again")
    what = "there is no input device" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "no input device:"
    return DeviceNotFoundError(f"{what} `{path}`", hint="ls /dev/input/by-id/*-event-kbd lists keyboards and readers")


def is_keyboard(target: str) -> bool:
    """Whether an address's target is an input device, and no serial port.

    >>> is_keyboard("/dev/input/event5"), is_keyboard("08ff:0009"), is_keyboard("/dev/ttyUSB0")
    (True, True, False)
    """
    return target.startswith(("/dev/input/", "sim:")) or _USB_ID.fullmatch(target) is not None


def open_keyboard(address: Address) -> InputDevice:
    """Opens what an address means.

    Raises:
        UsageError: it names no keyboard.
        DeviceRefusedError: it is a keyboard that people type on, and `sure=yes` does not stand there.
    """
    scheme, _, rest = address.target.partition(":")
    if scheme == "sim" and rest:
        return InputDevice.connect(rest)
    if address.target.startswith("/"):
        node = address.target
    elif _USB_ID.fullmatch(address.target):
        node = find_node(address.target)
    else:
        raise UsageError(
            f"`{address}` names no keyboard",
            hint="`keyboard:/dev/input/by-id/…-event-kbd`, `keyboard:08ff:0009` or `keyboard:sim:SOCKET`",
        )
    if address.options.get("sure") != "yes" and (why := typed_on_by_people(node)):
        raise DeviceRefusedError(
            f"`{node}` is {why}: taking it would leave nobody anything to type on",
            hint="if it is a reader all the same, write `sure=yes` into its address",
        )
    return InputDevice.open(node)
