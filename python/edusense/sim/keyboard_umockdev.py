"""A virtual reader that types, behind umockdev: a command sees an event node of the kernel, without the kernel.

Runs under the system's Python inside `umockdev-wrapper` (`edusense sim reader keyboard -- COMMAND` starts it so), and
so imports nothing beyond the standard library and `gi`.

```text
umockdev-wrapper /usr/bin/python3 -m edusense.sim.keyboard_umockdev STEPS COMMAND…
```

STEPS is a JSON file: `[{"seconds": 1.0, "events": "…"}]`, events being the bytes of `struct input_event` in hex; only
the distances of their times count. The script's time begins when the command opens the node; a program that asks the
node nothing has two seconds. Sources: linux/input.h; umockdev's IoctlBase and get_dev_fd.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NODE: Final = "/dev/input/event5"
NAME: Final = "Sycreader USB Reader"
VENDOR, PRODUCT = "08ff", "0009"
_EVIOCGVERSION, _EVIOCGRAB, _EVIOCGID = 0x80044501, 0x40044590, 0x80084502
_VERSION: Final = 0x010001
_EVENT: Final = struct.Struct("@llHHi")
_OPENED_S: Final = 2.0
_TOLD: Final = {
    0x06: NAME.encode() + b"\0",
    0x20: bytes([0x03]),  # it has keys
    0x21: (((1 << 96) - 1) ^ 1).to_bytes(96, "little"),  # those of every keyboard
}
"""What the node says of itself, by the number of the question."""
_DEVICE: Final = f"""P: /devices/usb1/1-1/1-1:1.0/input/input5
E: SUBSYSTEM=input
E: NAME="{NAME}"
A: name={NAME}\\n
A: id/bustype=0003\\n
A: id/vendor={VENDOR}\\n
A: id/product={PRODUCT}\\n
A: id/version=0110\\n
A: capabilities/key=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\\n

P: /devices/usb1/1-1/1-1:1.0/input/input5/event5
N: input/event5
E: SUBSYSTEM=input
E: DEVNAME={NODE}
E: MAJOR=13
E: MINOR=69
E: ID_INPUT=1
E: ID_INPUT_KEYBOARD=1
A: dev=13:69\\n
L: device=../../input5

"""


class Node:
    """The event node: its ioctls, and what is typed.

    Args:
        opened: called when a program has asked it something for the first time.
    """

    def __init__(self, opened: Callable[[], object]) -> None:
        self._opened = opened

    def handle(self, _: Any, client: Any) -> bool:
        """Answers one ioctl."""
        request, argument = client.get_request() & 0xFFFFFFFF, client.get_arg()
        if request == _EVIOCGVERSION:
            argument.resolve(0, 4).update(0, _VERSION.to_bytes(4, "little"))
            client.complete(0, 0)
        elif request == _EVIOCGID:
            told = b"".join(int(part, 16).to_bytes(2, "little") for part in ("0003", VENDOR, PRODUCT, "0110"))
            argument.resolve(0, 8).update(0, told)
            client.complete(0, 0)
        elif request == _EVIOCGRAB:
            client.complete(0, 0)
        elif request >> 30 == 2 and request >> 8 & 0xFF == ord("E"):
            # EVIOCGNAME, EVIOCGBIT and their kin: the number says what, and how many bytes there is room for.
            told = _TOLD.get(request & 0xFF, b"")[: request >> 16 & 0x3FFF]
            if told:
                argument.resolve(0, len(told)).update(0, told)
            client.complete(len(told), 0)
        else:
            client.complete(-1, errno.EINVAL)
        self._opened()
        return True


def at_now(events: bytes) -> bytes:
    """Events as if the first of them happened now."""
    now, told = round(time.time() * 1e6), b""
    begun = None
    for seconds, microseconds, kind, code, value in _EVENT.iter_unpack(events):
        at = seconds * 1_000_000 + microseconds
        begun = at if begun is None else begun
        whole, rest = divmod(now + at - begun, 1_000_000)
        told += _EVENT.pack(whole, rest, kind, code, value)
    return told


def main() -> int:
    """Raises the device, runs the command, ends with its exit status."""
    import gi  # type: ignore[import-not-found]  # Debian's, not in a virtual environment

    gi.require_version("UMockdev", "1.0")
    from gi.repository import GLib, UMockdev  # type: ignore[import-not-found]  # as above

    file, command = sys.argv[1], sys.argv[2:]
    with open(file, encoding="ascii") as told:  # noqa: PTH123 -- as below
        steps = json.load(told)
    with contextlib.suppress(OSError):
        os.unlink(file)  # noqa: PTH108 -- it was made for us alone
    testbed = UMockdev.Testbed.new()
    testbed.add_from_string(_DEVICE)
    terminal = testbed.get_dev_fd(NODE)
    begun: list[float] = []

    def begin() -> bool:
        if not begun:
            begun.append(time.monotonic())
            for step in steps:
                GLib.timeout_add(int(step["seconds"] * 1000), type_events, bytes.fromhex(step["events"]))
        return False

    def type_events(events: bytes) -> bool:
        os.write(terminal, at_now(events))
        return False

    handler = UMockdev.IoctlBase()
    handler.connect("handle-ioctl", Node(begin).handle)
    testbed.attach_ioctl(NODE, handler)
    GLib.timeout_add(int(_OPENED_S * 1000), begin)
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
