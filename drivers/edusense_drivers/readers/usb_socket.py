"""A USB bus at the other end of a Unix socket: pyusb's door to a virtual reader.

pyusb reaches devices through an `IBackend`; this one speaks to the socket that `edusense sim reader ccid` serves, so
that driver and pyusb run as they do on hardware. One JSON object a line in each direction, bytes in hex; each request
has one answer:

| request | answer |
| --- | --- |
| `{"op":"describe"}` | `{"device","configuration","bus","address"}`: the descriptors |
| `{"op":"claim","interface"}` | `{"ticket"}`, or the error `busy` with the `pid` of who has it |
| `{"op":"join","ticket"}` | `{}`: this connection shares the claim of another |
| `{"op":"release","interface"}` | `{}` |
| `{"op":"out","endpoint","data"}` | `{"written"}` |
| `{"op":"in","endpoint","size","timeout_ms"}` | `{"data"}`, or the error `timeout` |
| `{"op":"control","type","request","value","index","size"}` | `{"data"}`, or the error `stall` |

An error is `{"error": NAME}`; a device that was unplugged answers `no-device` or closes the socket.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import struct
import threading
from array import array
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import usb.backend
import usb.core

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HeldByError", "SocketBackend"]

_GRACE_S: Final = 2.0
"""Seconds beyond a transfer's own timeout after which the other end counts as dead."""
# The fields of the descriptors under the names that pyusb reads them by: USB 2.0 tables 9-8, 9-10, 9-12, 9-13.
_DEVICE: Final = (
    "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 "
    "idVendor idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations"
)
_CONFIGURATION: Final = (
    "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
)
_INTERFACE: Final = (
    "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints "
    "bInterfaceClass bInterfaceSubClass bInterfaceProtocol iInterface"
)
_ENDPOINT: Final = "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval"
_ERRORS: Final = {
    "busy": (-6, errno.EBUSY),
    "stall": (-9, errno.EPIPE),
    "no-device": (-4, errno.ENODEV),
    "overflow": (-8, errno.EOVERFLOW),
}


class HeldByError(usb.core.USBError):  # type: ignore[misc]  # pyusb ships no types
    """The interface is claimed by another process.

    Args:
        pid: which, as the socket's other end knows it.
    """

    def __init__(self, pid: int) -> None:
        super().__init__("Resource busy", -6, errno.EBUSY)
        self.pid = pid


class _Handle:
    """One connection: what an opened device is."""

    def __init__(self, path: str) -> None:
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(_GRACE_S)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.lines = self.socket.makefile("rb")

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, patience_ms: int = 0, **request: Any) -> dict[str, Any]:
        with self.lock:
            self.send(**request)
            return self.receive(patience_ms)

    def send(self, **request: Any) -> None:
        # A socket that is broken tells so when the answer is read.
        with contextlib.suppress(OSError):
            self.socket.settimeout(_GRACE_S)
            self.socket.sendall(json.dumps(request).encode() + b"\n")

    def receive(self, patience_ms: int = 0) -> dict[str, Any]:
        try:
            self.socket.settimeout(patience_ms / 1000 + _GRACE_S)
            line = self.lines.readline()
            answer = json.loads(line) if line else {"error": "no-device"}
        except (OSError, ValueError):
            answer = {"error": "no-device"}
        if not isinstance(answer, dict):
            answer = {"error": "no-device"}
        match answer.get("error"):
            case None:
                return answer
            case "timeout":
                raise usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)
            case "busy" if "pid" in answer:
                raise HeldByError(int(answer["pid"]))
            case name:
                code, number = _ERRORS.get(str(name), (-1, errno.EIO))
                raise usb.core.USBError(f"virtual device: {name}", code, number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.lines.close()
        self.socket.close()


class SocketBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb ships no types
    """A bus with one device, or none when nobody serves the socket.

    Args:
        path: the Unix socket.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._device = b""
        self._configuration = b""
        self._place = (1, 1)
        self._ticket = ""

    def second_line(self) -> _Handle:
        """Another connection that shares the claim of the first: for the pipe that is waited on.

        Raises:
            usb.core.USBError: the device is gone, or nothing is claimed.
        """
        line = self.open_device(self.path)
        try:
            line.ask(op="join", ticket=self._ticket)
        except usb.core.USBError:
            line.close()
            raise
        return line

    def enumerate_devices(self) -> Iterator[str]:
        """The device's path, when it is there."""
        try:
            handle = _Handle(self.path)
        except OSError:
            return
        try:
            told = handle.ask(op="describe")
            self._device = bytes.fromhex(told["device"])
            self._configuration = bytes.fromhex(told["configuration"])
            self._place = (int(told["bus"]), int(told["address"]))
        except (usb.core.USBError, KeyError, ValueError):
            return
        finally:
            handle.close()
        yield self.path

    def get_device_descriptor(self, dev: str) -> SimpleNamespace:
        """USB 2.0 table 9-8."""
        found = _unpack("<BBHBBBBHHHBBBB", self._device, _DEVICE)
        found.bus, found.address = self._place
        found.port_number, found.port_numbers, found.speed = 1, (1,), 2
        return found

    def get_configuration_descriptor(self, dev: str, config: int) -> SimpleNamespace:
        """USB 2.0 table 9-10."""
        if config:
            raise IndexError(config)
        found = _unpack("<BBHBBBBB", self._configuration, _CONFIGURATION)
        found.extra_descriptors = []
        return found

    def get_interface_descriptor(self, dev: str, intf: int, alt: int, config: int) -> SimpleNamespace:
        """USB 2.0 table 9-12, with what follows it up to the first endpoint."""
        interfaces = [part for part in self._parts() if part[0][1] == 4]
        if intf >= len(interfaces) or alt:
            raise IndexError(intf)
        head, *rest = interfaces[intf]
        found = _unpack("<9B", head, _INTERFACE)
        found.extra_descriptors = [byte for part in rest if part[1] != 5 for byte in part]
        return found

    def get_endpoint_descriptor(self, dev: str, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """USB 2.0 table 9-13."""
        interfaces = [part for part in self._parts() if part[0][1] == 4]
        endpoints = [part for part in interfaces[intf] if part[1] == 5]
        if ep >= len(endpoints):
            raise IndexError(ep)
        found = _unpack("<BBBBHB", endpoints[ep], _ENDPOINT)
        found.bRefresh = found.bSynchAddress = 0
        found.extra_descriptors = []
        return found

    def _parts(self) -> list[list[bytes]]:
        """The configuration cut into descriptors, each interface with those that belong to it."""
        parts: list[list[bytes]] = [[]]
        at = 0
        while at + 2 <= len(self._configuration):
            length = max(2, self._configuration[at])
            part = self._configuration[at : at + length]
            if part[1] == 4:
                parts.append([])
            parts[-1].append(part)
            at += length
        return [part for part in parts if part]

    def open_device(self, dev: str) -> _Handle:
        """Connects."""
        try:
            return _Handle(self.path)
        except OSError as error:
            raise usb.core.USBError("virtual device: no-device", -4, errno.ENODEV) from error

    def close_device(self, dev_handle: _Handle) -> None:
        """Disconnects."""
        dev_handle.close()

    def get_configuration(self, dev_handle: _Handle) -> int:
        """There is one, and it is set."""
        return self._configuration[5]

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        """Nothing to do."""

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        """Takes the interface for this process."""
        self._ticket = str(dev_handle.ask(op="claim", interface=intf).get("ticket", ""))

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        """Gives it back."""
        dev_handle.ask(op="release", interface=intf)

    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        """No kernel knows this device."""
        return False

    def bulk_write(self, dev_handle: _Handle, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """One transfer to the device."""
        answer = dev_handle.ask(timeout, op="out", endpoint=ep, data=bytes(data).hex())
        return int(answer.get("written", 0))

    def bulk_read(self, dev_handle: _Handle, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        """One transfer from the device, into `buff`."""
        answer = dev_handle.ask(timeout, op="in", endpoint=ep, size=len(buff), timeout_ms=timeout)
        data = bytes.fromhex(answer.get("data", ""))
        if len(data) > len(buff):
            raise usb.core.USBError("Overflow", -8, errno.EOVERFLOW)
        buff[: len(data)] = array("B", data)
        return len(data)

    intr_write = bulk_write
    intr_read = bulk_read

    def ctrl_transfer(
        self,
        dev_handle: _Handle,
        bmRequestType: int,  # noqa: N803 -- pyusb's names
        bRequest: int,  # noqa: N803 -- pyusb's names
        wValue: int,  # noqa: N803 -- pyusb's names
        wIndex: int,  # noqa: N803 -- pyusb's names
        data: array[int],
        timeout: int,
    ) -> int:
        """A control transfer from the device: descriptors and strings."""
        answer = dev_handle.ask(
            timeout, op="control", type=bmRequestType, request=bRequest, value=wValue, index=wIndex, size=len(data)
        )
        found = bytes.fromhex(answer.get("data", ""))[: len(data)]
        data[: len(found)] = array("B", found)
        return len(found)

    def clear_halt(self, dev_handle: _Handle, ep: int) -> None:
        """Nothing to do."""

    def reset_device(self, dev_handle: _Handle) -> None:
        """Nothing to do."""


def _unpack(layout: str, raw: bytes, names: str) -> SimpleNamespace:
    size = struct.calcsize(layout)
    return SimpleNamespace(
        **dict(zip(names.split(), struct.unpack(layout, raw[:size].ljust(size, b"\0")), strict=True))
    )
