"""A serial port that says what is wrong with it: opened by pyserial, waited for with poll.

pyserial sets speed and framing on every system; its own waiting uses `select`, which fails above 1024 open descriptors:
a box with 180 cameras has more. Waiting here ends at once when another thread calls `wake`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
import threading
import time
from pathlib import Path
from typing import Final

import serial

from edusense.devices.port_scan import port_error
from edusense.errors import DeviceDisconnectedError, DeviceTimeoutError

__all__ = ["SerialPort"]

_READ_SIZE: Final = 4096
_GONE: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL


class SerialPort:
    """One open serial port, held against every other program.

    Args:
        path: device node; a stable one (`/dev/serial/by-id/…`) finds the same reader after replugging.
        baud: bits a second; 8 data bits, no parity, 1 stop bit.

    Raises:
        DeviceNotFoundError: there is no such port; the hint names those that are.
        DevicePermissionError: this user may not open it.
        DeviceBusyError: another process holds it; the message says which.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        try:
            self._port = serial.Serial(path, baud, timeout=0, exclusive=True)
        except serial.SerialException as error:
            raise port_error(path, _system_error(error)) from error
        except OSError as error:
            raise port_error(path, error) from error
        except termios.error as error:
            raise port_error(path, OSError(*error.args)) from error
        self._fd: int = self._port.fileno()
        # The lock keeps out programs that lock too; TIOCEXCL those that do not. On a pseudo-terminal the kernel forgets
        # it only with the other end, so that after a crash nobody could open it again.
        self._exclusive = not Path(path).resolve().is_relative_to("/dev/pts")
        if self._exclusive:
            self._mark(termios.TIOCEXCL)
        self._closing = threading.Lock()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(self._wake_in, select.POLLIN)

    def read(self, timeout: float | None) -> bytes:
        """What has come, at most 4096 bytes.

        Args:
            timeout: seconds to wait for the first byte; None without limit.

        Returns:
            The bytes; none when the time has passed or `wake` was called.

        Raises:
            DeviceDisconnectedError: the port is gone.
        """
        events = dict(self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000))
        if self._wake_in in events:
            os.read(self._wake_in, 64)
        state = events.get(self._fd, 0)
        if state & select.POLLIN:
            try:
                data = os.read(self._fd, _READ_SIZE)
            except BlockingIOError:
                return b""
            except OSError as error:
                raise self._gone(os.strerror(error.errno or errno.EIO)) from error
            if not data:
                raise self._gone("ready to read, but nothing to be read")
            return data
        if state & _GONE:
            raise self._gone("hung up")
        return b""

    def write(self, data: bytes, timeout: float = 1.0) -> None:
        """Sends bytes.

        Args:
            data: the bytes.
            timeout: seconds in which the port must take them.

        Raises:
            DeviceDisconnectedError: the port is gone.
            DeviceTimeoutError: it takes no more: the other end holds the line.
        """
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        deadline = time.monotonic() + timeout
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if not room.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise DeviceTimeoutError(
                        f"`{self.path}` takes no bytes", hint="the reader holds the line (CTS, XOFF); plug it in again"
                    ) from None
            except OSError as error:
                raise self._gone(os.strerror(error.errno or errno.EIO)) from error

    def wake(self) -> None:
        """Makes `read` return at once, from another thread. Harmless after `close`."""
        with self._closing, contextlib.suppress(BlockingIOError):
            if self._wake_out >= 0:
                os.write(self._wake_out, b"!")

    def close(self) -> None:
        """Lets go of the port. Closing twice is harmless."""
        if self._fd < 0:
            return
        self._fd = -1
        if self._exclusive:
            self._mark(termios.TIOCNXCL)
        with contextlib.suppress(OSError, serial.SerialException):
            self._port.close()
        # Without the lock, `wake` could write into whatever takes the descriptor's number next.
        with self._closing:
            os.close(self._wake_in)
            os.close(self._wake_out)
            self._wake_out = -1

    def _mark(self, request: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._port.fileno(), request)

    def _gone(self, how: str) -> DeviceDisconnectedError:
        return DeviceDisconnectedError(
            f"`{self.path}` is gone ({how})", hint="plug the reader in again; the box opens it by itself"
        )


def _system_error(error: serial.SerialException) -> OSError:
    """The system's error inside pyserial's, which keeps its number only sometimes."""
    if error.errno is not None:
        return OSError(error.errno, str(error))
    cause: BaseException | None = error.__context__
    while cause is not None:
        if isinstance(cause, (OSError, termios.error)) and cause.args and isinstance(cause.args[0], int):
            return OSError(cause.args[0], str(cause))
        cause = cause.__context__
    return OSError(errno.ENOTTY if "configure port" in str(error) else errno.EIO, str(error))
