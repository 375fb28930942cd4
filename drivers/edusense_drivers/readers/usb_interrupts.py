"""Waiting for what a USB device says by itself, without asking again and again, and without being stuck in it.

pyusb's own transfers wait until their time is over and cannot be ended from elsewhere. Here one interrupt transfer
stays with the kernel for as long as the session lasts: nothing is lost between two waits, an idle reader costs nothing,
an unplugged one is known at once, and `wake` ends a wait from any thread. Source: libusb's asynchronous interface.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import usb.core

from edusense_drivers.readers.usb_socket import SocketBackend

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Interrupts", "interrupts"]

_COMPLETED, _CANCELLED, _NO_DEVICE = 0, 3, 5
_TYPE_INTERRUPT: Final = 3
_SLICE_S: Final = 0.2
"""How long one wait lasts at most where it cannot be ended from elsewhere."""


class Interrupts(Protocol):
    """The interrupt pipe of a device."""

    def wait(self, timeout: float) -> bytes:
        """One message; nothing when the time has passed or `wake` was called.

        Raises:
            usb.core.USBError: the device is gone.
        """
        ...

    def wake(self) -> None:
        """Ends the wait of another thread, or the next one. Harmless after `close`."""
        ...

    def close(self) -> None:
        """Takes back what waits in the kernel; to be called before the device is closed."""
        ...


def interrupts(device: Any, endpoint: Any) -> Interrupts:
    """The way of waiting that fits a device.

    Args:
        device: pyusb's device, its interface claimed.
        endpoint: pyusb's endpoint.
    """
    backend = device.backend
    if isinstance(backend, SocketBackend):
        return _SocketInterrupts(backend, endpoint)
    try:
        return _LibusbInterrupts(backend.lib, backend.ctx, _handle(device), endpoint)
    except AttributeError:  # another backend than libusb 1, or a pyusb that keeps its handle elsewhere
        return _SlicedInterrupts(endpoint)


def _handle(device: Any) -> Any:
    return device._ctx.handle.handle  # noqa: SLF001 -- pyusb has no public way to its handle


class _Transfer(ctypes.Structure):
    """`struct libusb_transfer` without the packets of isochronous ones."""


_Callback = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Transfer))
_Transfer._fields_ = [
    ("dev_handle", ctypes.c_void_p),
    ("flags", ctypes.c_uint8),
    ("endpoint", ctypes.c_uint8),
    ("type", ctypes.c_uint8),
    ("timeout", ctypes.c_uint),
    ("status", ctypes.c_int),
    ("length", ctypes.c_int),
    ("actual_length", ctypes.c_int),
    ("callback", _Callback),
    ("user_data", ctypes.c_void_p),
    ("buffer", ctypes.c_void_p),
    ("num_iso_packets", ctypes.c_int),
]


class _Time(ctypes.Structure):
    """`struct timeval`."""

    _fields_ = (("seconds", ctypes.c_long), ("microseconds", ctypes.c_long))


class _LibusbInterrupts:
    """One transfer of libusb that is submitted again whenever it has been used."""

    def __init__(self, lib: Any, context: Any, handle: Any, endpoint: Any) -> None:
        self._lib, self._context = lib, context
        self._events = lib.libusb_handle_events_timeout_completed
        self._events.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Time), ctypes.POINTER(ctypes.c_int))
        self._interrupt_events: Callable[[Any], None] = lib.libusb_interrupt_event_handler
        lib.libusb_interrupt_event_handler.argtypes = (ctypes.c_void_p,)
        # pyusb declares this function for a structure of its own.
        self._submit_transfer = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(("libusb_submit_transfer", lib))
        self._cancel_transfer = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(("libusb_cancel_transfer", lib))
        allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)(("libusb_alloc_transfer", lib))
        self._free_transfer = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(("libusb_free_transfer", lib))
        self._buffer = ctypes.create_string_buffer(max(8, endpoint.wMaxPacketSize))
        self._done = ctypes.c_int(0)
        self._flying = False
        self._woken = False
        self._closing = threading.Lock()
        self._callback = _Callback(self._finished)
        self._address = allocate(0)
        if not self._address:
            raise MemoryError
        self._transfer = _Transfer.from_address(self._address)
        self._transfer.dev_handle = ctypes.cast(handle, ctypes.c_void_p).value
        self._transfer.endpoint = endpoint.bEndpointAddress
        self._transfer.type = _TYPE_INTERRUPT
        self._transfer.length = len(self._buffer)
        self._transfer.buffer = ctypes.addressof(self._buffer)
        self._transfer.callback = self._callback

    def wait(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        if not self._flying:
            self._submit()
        while not self._done.value and not self._woken and (left := deadline - time.monotonic()) > 0:
            self._handle_events(left)
        self._woken = False
        if not self._done.value:
            return b""
        self._flying = False
        self._done.value = 0
        if self._transfer.status == _NO_DEVICE:
            raise usb.core.USBError("No such device (it may have been disconnected)", -4, 19)
        if self._transfer.status != _COMPLETED:
            raise usb.core.USBError(f"interrupt transfer ended with status {self._transfer.status}", -1, 5)
        return self._buffer.raw[: self._transfer.actual_length]

    def wake(self) -> None:
        with self._closing:
            if self._address:
                self._woken = True
                self._interrupt_events(self._context)

    def close(self) -> None:
        with self._closing:
            address, self._address = self._address, 0
        if not address:
            return
        deadline = time.monotonic() + 1.0
        if self._flying:
            self._cancel_transfer(address)
            while not self._done.value and time.monotonic() < deadline:
                self._handle_events(0.1)
        # The kernel may still write into the buffer of a transfer that did not come back: better to lose some bytes.
        if self._done.value or not self._flying:
            self._free_transfer(address)
        else:
            _LOST.append((self._buffer, self._callback))

    def _submit(self) -> None:
        self._done.value = 0
        result = self._submit_transfer(self._address)
        if result < 0:
            raise usb.core.USBError("No such device (it may have been disconnected)", result, 19)
        self._flying = True

    def _handle_events(self, seconds: float) -> None:
        whole = int(seconds)
        left = _Time(whole, int((seconds - whole) * 1_000_000))
        self._events(self._context, ctypes.byref(left), ctypes.byref(self._done))

    def _finished(self, _: Any) -> None:
        self._done.value = 1


_LOST: list[tuple[Any, Any]] = []
"""Buffers that the kernel may still hold."""


class _SocketInterrupts:
    """A virtual reader's interrupt pipe, on a connection of its own: a question stays open until it is answered."""

    def __init__(self, backend: SocketBackend, endpoint: Any) -> None:
        self._line = backend.second_line()
        self._endpoint, self._size = endpoint.bEndpointAddress, endpoint.wMaxPacketSize
        self._asked = False
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._closing = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._wake_in, select.POLLIN)
        self._poll.register(self._line.fileno(), select.POLLIN)

    def wait(self, timeout: float) -> bytes:
        if not self._asked:
            self._line.send(op="in", endpoint=self._endpoint, size=self._size, timeout_ms=3_600_000)
            self._asked = True
        events = dict(self._poll.poll(max(0.0, timeout) * 1000))
        if self._wake_in in events:
            os.read(self._wake_in, 64)
        if self._line.fileno() not in events:
            return b""
        self._asked = False
        try:
            return bytes.fromhex(self._line.receive().get("data", ""))
        except usb.core.USBTimeoutError:
            return b""

    def wake(self) -> None:
        with self._closing, contextlib.suppress(BlockingIOError):
            if self._wake_out >= 0:
                os.write(self._wake_out, b"!")

    def close(self) -> None:
        with self._closing:
            if self._wake_out < 0:
                return
            self._line.close()
            os.close(self._wake_in)
            os.close(self._wake_out)
            self._wake_out = -1


class _SlicedInterrupts:
    """pyusb's own waiting in slices, where nothing better can be had."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self._woken = False

    def wait(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while not self._woken and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(usb.core.USBTimeoutError):
                milliseconds = max(1, int(min(left, _SLICE_S) * 1000))
                return bytes(self._endpoint.read(self._endpoint.wMaxPacketSize, milliseconds))
        self._woken = False
        return b""

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None: ...
