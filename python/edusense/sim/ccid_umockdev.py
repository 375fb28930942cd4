"""The virtual CCID reader behind umockdev: a command sees a USB device, through the real libusb and without the kernel.

Runs under the system's Python inside `umockdev-wrapper` (`edusense sim reader ccid -- COMMAND` starts it so): Debian's
GObject bindings are not for virtual environments. It therefore imports nothing beyond the standard library, `gi` and
the model.

```text
umockdev-wrapper /usr/bin/python3 -m edusense.sim.ccid_umockdev '{"card": "04A1B2C3D4E5F6"}' COMMAND…
```

Sources: Linux include/uapi/linux/usbdevice_fs.h; libusb tests/umockdev.c; umockdev's IoctlBase.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.sim.ccid_model import BULK_IN, INTERRUPT_IN, PRODUCT, STRINGS, VENDOR, CcidModel

if TYPE_CHECKING:
    from collections.abc import Callable

NODE: Final = "/dev/bus/usb/001/004"
# Requests of usbdevfs on 64-bit machines, by number.
SUBMIT: Final = 0x8038550A
REAP: Final = (0x4008550C, 0x4008550D)
DISCARD: Final = 0x550B
CAPABILITIES: Final = 0x8004551A
GET_DRIVER: Final = 0x41045508
CLAIM: Final = 0x8004550F
OPENED_S: Final = 10.0
"""Seconds after which a script begins though no program has claimed the device."""
NOTHING_TO_DO: Final = frozenset(
    {
        CLAIM,
        0x80045510,  # RELEASEINTERFACE
        0x5514,  # RESET
        0x80045515,  # CLEAR_HALT
        0x80045505,  # SETCONFIGURATION
        0x80085504,  # SETINTERFACE
    }
)
URB: Final = struct.Struct("<BBxxiIxxxxQii")
"""struct usbdevfs_urb up to `actual_length`: type, endpoint, status, flags, buffer, buffer_length, actual_length."""
URB_SIZE: Final = 56
STATUS_AT: Final = 4
BUFFER_AT: Final = 16
ACTUAL_AT: Final = 28
CONTROL: Final = 2
SETUP: Final = 8


def address_in(argument: Any) -> int:
    """The pointer that was given to an ioctl: it names the transfer."""
    return int(struct.unpack("<Q", bytes(argument.retrieve())[:8])[0])


class Transfer:
    """One transfer that the host has submitted."""

    def __init__(self, argument: Any) -> None:
        self.address = address_in(argument)
        self.urb = urb = argument.resolve(0, URB_SIZE)
        self.kind, self.endpoint, _, _, _, self.length, _ = URB.unpack(bytes(urb.retrieve())[: URB.size])
        self.buffer = urb.resolve(BUFFER_AT, self.length)

    def finish(self, data: bytes = b"", *, at: int = 0, length: int | None = None, status: int = 0) -> None:
        """Writes the outcome into the host's memory."""
        if data:
            self.buffer.update(at, data)
        self.urb.update(STATUS_AT, struct.pack("<i", status))
        self.urb.update(ACTUAL_AT, struct.pack("<i", len(data) if length is None else length))


class Log:
    """What happened when, as JSON lines, in seconds of the clock that does not jump and that all processes share.

    Args:
        path: the file; None to write nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._file = None if path is None else open(path, "w", encoding="ascii")  # noqa: SIM115, PTH123 -- as long as we live

    def note(self, what: str, data: bytes) -> None:
        """A card was laid down (`card`) or taken away (`gone`), or the host sent a message (`out`)."""
        if self._file is not None:
            json.dump({"at_s": time.monotonic(), "what": what, "data": data.hex()}, self._file)
            self._file.write("\n")
            self._file.flush()


class Device:
    """The model as usbdevfs shows it: transfers in the air and transfers done."""

    def __init__(self, model: CcidModel, log: Log, opened: Callable[[], object] = lambda: None) -> None:
        self.model = model
        self._log = log
        self._opened = opened
        self._flying: list[Transfer] = []
        self._done: list[Transfer] = []

    def handle(self, _: Any, client: Any) -> bool:
        """Answers one ioctl."""
        request, argument = client.get_request() & 0xFFFFFFFF, client.get_arg()
        result, number = 0, 0
        if request == CAPABILITIES:
            argument.resolve(0, 4).update(0, struct.pack("<I", 0x1F))
        elif request == SUBMIT:
            self._flying.append(Transfer(argument))
            self.pump()
        elif request in REAP:
            self.pump()
            if self._done:
                argument.resolve(0, 8).set_ptr(0, self._done.pop(0).urb)
            else:
                result, number = -1, errno.EAGAIN
        elif request == DISCARD:
            result, number = self._discard(argument)
        elif request == GET_DRIVER:
            result, number = -1, errno.ENODATA
        elif request not in NOTHING_TO_DO:
            result, number = -1, errno.ENOTTY
        client.complete(result, number)
        if request == CLAIM:
            self._opened()
        return True

    def pump(self) -> None:
        """Finishes the transfers that can be."""
        for transfer in list(self._flying):
            if transfer.kind == CONTROL:
                self._control(transfer)
            elif not transfer.endpoint & 0x80:
                message = bytes(transfer.buffer.retrieve())
                self._log.note("out", message)
                self.model.bulk_out(message)
                transfer.finish(length=transfer.length)
            else:
                pipe = {BULK_IN: self.model.bulk_in, INTERRUPT_IN: self.model.interrupt_in}.get(transfer.endpoint)
                data = pipe() if pipe else None
                if data is None:
                    continue
                transfer.finish(data[: transfer.length])
            self._flying.remove(transfer)
            self._done.append(transfer)

    def _control(self, transfer: Transfer) -> None:
        """A control transfer carries its setup packet in the buffer, before the data."""
        kind, request, value, _, size = struct.unpack_from("<BBHHH", bytes(transfer.buffer.retrieve()))
        data = self.model.control(kind, request, value, size)
        if data is None:
            transfer.finish(status=-errno.EPIPE)
        else:
            transfer.finish(data, at=SETUP)

    def _discard(self, argument: Any) -> tuple[int, int]:
        wanted = address_in(argument)
        for transfer in self._flying:
            if transfer.address == wanted:
                self._flying.remove(transfer)
                transfer.finish(status=-errno.ENOENT)
                self._done.append(transfer)
                return 0, 0
        return -1, errno.EINVAL


def describe(model: CcidModel) -> str:
    """The device and its interface as umockdev wants to be told of them."""
    descriptors = (model.device_descriptor() + model.configuration_descriptor()).hex().upper()
    return f"""P: /devices/usb1/1-1
N: {NODE.removeprefix("/dev/")}={descriptors}
E: SUBSYSTEM=usb
E: DRIVER=usb
E: BUSNUM=001
E: DEVNUM=004
E: DEVNAME={NODE}
E: DEVTYPE=usb_device
E: MAJOR=189
E: MINOR=3
E: PRODUCT={VENDOR:x}/{PRODUCT:x}/214
A: bConfigurationValue=1\\n
A: busnum=1\\n
A: devnum=4\\n
A: bDeviceClass=00\\n
A: bNumConfigurations=1\\n
A: speed=12\\n
A: idVendor={VENDOR:04x}\\n
A: idProduct={PRODUCT:04x}\\n
A: manufacturer={STRINGS[0]}\\n
A: product={STRINGS[1]}\\n
H: descriptors={descriptors}

P: /devices/usb1/1-1/1-1:1.0
E: SUBSYSTEM=usb
E: DEVTYPE=usb_interface
E: INTERFACE=11/0/0
A: bInterfaceClass=0b\\n
A: bInterfaceSubClass=00\\n
A: bInterfaceProtocol=00\\n
A: bInterfaceNumber=00\\n
A: bAlternateSetting= 0\\n
A: bNumEndpoints=03\\n

"""


def main() -> int:
    """Raises the device, runs the command, ends with its exit status."""
    import gi  # type: ignore[import-not-found]  # Debian's, not in a virtual environment

    gi.require_version("UMockdev", "1.0")
    from gi.repository import GLib, UMockdev  # type: ignore[import-not-found]  # as above

    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    model = CcidModel()
    log = Log(settings.get("log"))
    begun: list[bool] = []

    def begin() -> bool:
        """The script's time begins: when a program has the device, however long it took to start."""
        if not begun:
            begun.append(True)
            for step in settings.get("steps", []):
                if "card" in step:
                    at(step["seconds"], place, bytes.fromhex(step["card"]))
                    at(step["seconds"] + step["hold"], remove)
                else:
                    at(step["seconds"], model.fault, step["fault"])
        return False

    device = Device(model, log, begin)
    testbed = UMockdev.Testbed.new()
    handler = UMockdev.IoctlBase()
    handler.connect("handle-ioctl", device.handle)
    testbed.attach_ioctl(NODE, handler)
    testbed.add_from_string(describe(model))

    def at(seconds: float, action: Any, *arguments: Any) -> None:
        def act() -> bool:
            action(*arguments)
            return False

        GLib.timeout_add(int(seconds * 1000), act)

    def place(uid: bytes) -> None:
        model.place(uid)
        log.note("card", uid)

    def remove() -> None:
        model.remove()
        log.note("gone", b"")

    for fault in settings.get("faults", []):
        model.fault(fault)
    if settings.get("card"):
        place(bytes.fromhex(settings["card"]))
    GLib.timeout_add(int(OPENED_S * 1000), begin)
    # The command gets the path that was there before we needed it. It inherits the rest by itself: umockdev's own
    # variables were set behind the back of `os.environ`.
    os.environ["PYTHONPATH"] = os.environ.pop("EDUSENSE_SIM_PYTHONPATH", "")
    if not os.environ["PYTHONPATH"]:
        del os.environ["PYTHONPATH"]
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        sys.stderr.write(f"error: `{command[0]}` cannot be run: {error.strerror}\n")
        return 127
    loop = GLib.MainLoop()

    def look() -> bool:
        if process.poll() is None:
            return True
        loop.quit()
        return False

    def leave() -> bool:
        process.terminate()
        return True

    GLib.timeout_add(20, look)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, leave)
    loop.run()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
