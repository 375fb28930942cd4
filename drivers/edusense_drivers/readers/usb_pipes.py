"""CCID readers on the USB bus: finding one, holding it against others, and its pipes."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import usb.core
import usb.util

from edusense.devices.port_scan import missing_right, named_holders
from edusense.errors import (
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceProtocolError,
    DeviceTimeoutError,
    UsageError,
)
from edusense_drivers.readers.ccid_messages import HEADER, Descriptor, expected_length
from edusense_drivers.readers.usb_interrupts import Interrupts, interrupts
from edusense_drivers.readers.usb_socket import HeldByError, SocketBackend

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["CCID_CLASS", "UsbPipes", "find_device", "usb_error"]

CCID_CLASS: Final = 0x0B
_CLASSES: Final = {
    0x01: "a sound device", 0x02: "a modem or serial port", 0x03: "a keyboard or mouse", 0x06: "a camera",
    0x07: "a printer", 0x08: "a disk", 0x09: "a hub", 0x0E: "a camera", 0xE0: "a radio",
}  # fmt: skip
_OTHER_DRIVER: Final = "`edusense reader ports` names the driver that may fit"
_GONE: Final = {errno.ENODEV, errno.EIO, errno.EPROTO, errno.ESHUTDOWN, errno.ENOENT}


class UsbPipes:
    """The bulk and interrupt pipes of one USB interface of class CCID.

    Args:
        device: pyusb's device.
        name: how it was asked for, for messages.

    Raises:
        DevicePermissionError: this user may not open it.
        DeviceBusyError: another process holds it.
        DeviceProtocolError: it has no such interface.
    """

    def __init__(self, device: Any, name: str) -> None:
        self.name = name
        self._device = device
        interface = _ccid_interface(device)
        if interface is None:
            raise DeviceProtocolError(
                f"`{name}` has no interface of class CCID (0x0B)", hint="`edusense reader ports` lists those that have"
            )
        self._interface = interface
        bulk = usb.util.ENDPOINT_TYPE_BULK
        self._out = _endpoint(interface, usb.util.ENDPOINT_OUT, bulk)
        self._in = _endpoint(interface, usb.util.ENDPOINT_IN, bulk)
        self._interrupt = _endpoint(interface, usb.util.ENDPOINT_IN, usb.util.ENDPOINT_TYPE_INTR)
        if self._out is None or self._in is None:
            raise DeviceProtocolError(f"`{name}` lacks the bulk pipes of a CCID reader", hint="a defective reader")
        self.has_interrupt = self._interrupt is not None
        self.usb_id = f"{device.idVendor:04x}:{device.idProduct:04x}"
        self.descriptor = Descriptor.decode(bytes(interface.extra_descriptors))
        self._size = max(512, min(65_554, self.descriptor.max_message if self.descriptor else 271))
        try:
            # Linux' pn533_usb takes ACR122Us for itself as if they were network cards.
            if device.is_kernel_driver_active(interface.bInterfaceNumber):
                device.detach_kernel_driver(interface.bInterfaceNumber)
        except (NotImplementedError, usb.core.USBError) as error:
            if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM):
                raise usb_error(error, name, device) from error
        try:
            usb.util.claim_interface(device, interface.bInterfaceNumber)
        except usb.core.USBError as error:
            usb.util.dispose_resources(device)
            raise usb_error(error, name, device) from error
        self._interrupts: Interrupts | None = None
        if self._interrupt is not None:
            try:
                self._interrupts = interrupts(device, self._interrupt)
            except usb.core.USBError as error:
                usb.util.dispose_resources(device)
                raise usb_error(error, name, device) from error

    def write(self, data: bytes, timeout: float) -> None:
        """Sends one message."""
        with self._translated():
            self._out.write(data, _milliseconds(timeout))

    def read(self, timeout: float) -> bytes:
        """Receives one message, in as many transfers as the reader makes of it."""
        deadline = time.monotonic() + timeout
        with self._translated():
            data = bytes(self._in.read(self._size, _milliseconds(timeout)))
            while len(data) >= HEADER and len(data) < expected_length(data[:HEADER]):
                more = bytes(self._in.read(self._size, _milliseconds(deadline - time.monotonic())))
                data += more
        return data

    def interrupt(self, timeout: float) -> bytes:
        """One interrupt message; nothing when none came in time, or `wake` was called."""
        if self._interrupts is None:
            return b""
        with self._translated():
            return self._interrupts.wait(timeout)

    def wake(self) -> None:
        """Ends `interrupt` in another thread."""
        if self._interrupts is not None:
            self._interrupts.wake()

    def close(self) -> None:
        """Gives the interface back."""
        if self._interrupts is not None:
            self._interrupts.close()
        with contextlib.suppress(usb.core.USBError):
            usb.util.release_interface(self._device, self._interface.bInterfaceNumber)
        with contextlib.suppress(usb.core.USBError):
            usb.util.dispose_resources(self._device)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except usb.core.USBError as error:
            raise usb_error(error, self.name, self._device) from error


def find_device(address: Address) -> Any:
    """The USB device that an address means: the first that fits, by bus and number.

    Raises:
        UsageError: the address names none.
        DeviceNotFoundError: it is not there; or what is there is no reader, and the message says what it is.
    """
    scheme, _, rest = address.target.partition(":")
    if scheme == "sim":
        if not rest:
            raise UsageError(f"`{address}` names no socket", hint="`edusense sim reader ccid` prints one")
        backend: Any = SocketBackend(rest)
        wanted = None
        nobody = f"no virtual reader serves `{rest}`"
        hint = "start one with `edusense sim reader ccid`"
    else:
        import libusb_package

        backend = libusb_package.get_libusb1_backend()
        if backend is None:
            raise DeviceError("libusb cannot be loaded", hint="pip install --force-reinstall libusb-package")
        match = re.fullmatch(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})|", address.target)
        if match is None:
            raise UsageError(
                f"`{address}`: `{address.target}` is no USB identity",
                hint="`ccid:`, `ccid:072f:2200` or `ccid:sim:SOCKET`",
            )
        wanted = (int(match[1], 16), int(match[2], 16)) if match[1] else None
        nobody = f"no USB reader {address.target}" if wanted else "no USB reader of class CCID is plugged in"
        hint = "`edusense reader ports` lists what is there"
    serial = address.options.get("serial")
    # Without a backend's devices pyusb gives an iterator over none; sorted, so that "the first" stays the same.
    for device in sorted(usb.core.find(find_all=True, backend=backend), key=lambda found: (found.bus, found.address)):
        if wanted is not None and (device.idVendor, device.idProduct) != wanted:
            continue
        with contextlib.suppress(usb.core.USBError, IndexError):
            if _ccid_interface(device) is not None:
                if serial is None or _serial(device) == serial:
                    return device
            elif wanted is not None:
                nobody, hint = f"{address.target} is {_what(device)}, and no reader of class CCID", _OTHER_DRIVER
    raise DeviceNotFoundError(nobody + (f" with serial number `{serial}`" if serial else ""), hint=hint)


def _what(device: Any) -> str:
    """What a device is by the classes of its interfaces: a clone's maker may share its number with a printer."""
    classes = [interface.bInterfaceClass for configuration in device for interface in configuration]
    return next((_CLASSES[found] for found in classes if found in _CLASSES), "something else")


def _serial(device: Any) -> str | None:
    try:
        return str(device.serial_number)
    except (ValueError, usb.core.USBError):
        return None  # without the right to open it there are no strings


def _ccid_interface(device: Any) -> Any:
    for configuration in device:
        for interface in configuration:
            if interface.bInterfaceClass == CCID_CLASS:
                return interface
    return None


def _endpoint(interface: Any, direction: int, kind: int) -> Any:
    return usb.util.find_descriptor(
        interface,
        custom_match=lambda found: (
            usb.util.endpoint_direction(found.bEndpointAddress) == direction
            and usb.util.endpoint_type(found.bmAttributes) == kind
        ),
    )


def _milliseconds(seconds: float) -> int:
    # For libusb 0 means without limit, which nothing here may be.
    return max(1, int(seconds * 1000))


def usb_error(error: Exception, name: str, device: Any) -> DeviceError:
    """Our error for one of pyusb's."""
    number = getattr(error, "errno", None)
    usb_id = f"{device.idVendor:04x}:{device.idProduct:04x}"
    node = f"/dev/bus/usb/{device.bus or 0:03d}/{device.address or 0:03d}"
    if isinstance(error, usb.core.USBTimeoutError):
        return DeviceTimeoutError(f"`{name}` did not answer in time", hint="plug the reader in again")
    if isinstance(error, HeldByError):
        holder = "this program itself" if error.pid == os.getpid() else f"{_program(error.pid)} (pid {error.pid})"
        return DeviceBusyError(f"`{name}` is held by {holder}", hint="stop that program, or read through the box")
    if number == errno.EBUSY:
        return DeviceBusyError(
            f"`{name}` is held by {named_holders(node)}",
            hint="if that is pcscd: sudo systemctl stop pcscd.socket pcscd",
        )
    if number in (errno.EACCES, errno.EPERM):
        problem, hint = missing_right(node, usb_id=usb_id) or (
            f"this user may not open `{name}`",
            "install the udev rules of edusense, then plug the reader in again",
        )
        return DevicePermissionError(problem, hint=hint)
    if number in _GONE:
        return DeviceDisconnectedError(f"`{name}` is gone", hint="plug the reader in again; the box opens it by itself")
    return DeviceProtocolError(f"`{name}`: {error}", hint="plug the reader in again")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"
