"""A fleet of virtual cameras in one process: each on an address of its own, all showing the same few clips.

```python
with VirtualFleet(1000, password="…", faults=[Share.parse("silent=5%")]) as fleet:
    for camera in fleet.cameras: print(camera.onvif)
```
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import resource
from typing import TYPE_CHECKING, Final, Self

from edusense.errors import DeviceBusyError, UsageError
from edusense.sim.camera import VirtualCamera
from edusense.sim.encode import Encoding
from edusense.sim.faults import FAULTS, Share
from edusense.sim.library import PlayerLibrary
from edusense.sim.makes import MAKES
from edusense.sim.onvif_server import Identity
from edusense.sim.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edusense.sim.makes import Make

__all__ = ["FACTORY", "VirtualFleet", "addresses", "identity"]

FACTORY: Final = {
    "main": Encoding(1280, 720, 20.0, gop_s=4.0, cap_kbit=2048, constant=True),
    "sub": Encoding(640, 360, 10.0, gop_s=4.0, cap_kbit=512, constant=True),
}
"""How a camera's encoders are set when it leaves its factory: long GOPs, constant bit rate."""
DESCRIPTORS: Final = 4
"""Open files for each camera: two listening sockets, and room for who talks to it."""


def addresses(network: str, count: int) -> list[str]:
    """The first addresses of a network, those ending in 0 and 255 left out.

    Args:
        network: `127.20.0.0/16`.
        count: how many.

    Raises:
        UsageError: it is no network, or too small.

    >>> addresses("127.20.0.0/16", 255)[-1]
    '127.20.1.1'
    """
    try:
        found = ipaddress.IPv4Network(network)
    except ValueError as error:
        raise UsageError(f"`{network}` is no IPv4 network: {error}", hint="--network 127.20.0.0/16") from None
    hosts = (str(one) for one in found if int(one) & 0xFF not in (0, 255))
    taken = [address for address, _ in zip(hosts, range(count), strict=False)]
    if len(taken) < count:
        raise UsageError(f"`{network}` has room for {len(taken)} cameras, not {count}", hint="--network 127.20.0.0/16")
    return taken


class VirtualFleet:
    """Many virtual cameras, from `start` to `stop`.

    Args:
        count: how many.
        network: where their addresses are.
        onvif_port: the same for all; None serves no ONVIF.
        rtsp_port: likewise; 0 takes a free one for each.
        user: the one user of each.
        password: that user's password.
        faults: what some or all of them do wrong.
        makes: names out of `edusense.sim.makes.MAKES`, in turn; none: edusense's own.
        encodings: how they are set at first.
        scene: what they show.
        seconds: length of the clips.
        seed: of who has which fault, and of what is shown.
        library: where their streams come from; one of its own by default.
        leases: addresses that a DHCP server has for them, in order.
        schemes: authentication of their streams.
        reboot_s: how long a restart takes.
        same_address: all have this address at first, as factory-new ones do; `network` is not used then.
    """

    def __init__(
        self,
        count: int,
        *,
        network: str = "127.20.0.0/16",
        onvif_port: int | None = 8000,
        rtsp_port: int = 0,
        user: str = "edusense",
        password: str = "",
        faults: Sequence[Share] = (),
        makes: Sequence[str] = (),
        encodings: Mapping[str, Encoding] | None = None,
        scene: str = "room",
        seconds: float = 8.0,
        seed: int = 1,
        library: PlayerLibrary | None = None,
        leases: Sequence[str] = (),
        schemes: tuple[str, ...] = ("digest",),
        reboot_s: float = 1.0,
        same_address: str | None = None,
    ) -> None:
        if unknown := set(makes) - MAKES.keys():
            raise UsageError(f"there is no make `{min(unknown)}`", hint=f"makes are: all, {', '.join(MAKES)}")
        self._own = library is None
        self.library = library or PlayerLibrary(scene, seconds=seconds, seed=seed)
        given = self.dealt(count, faults, seed)
        self.cameras: list[VirtualCamera] = []
        self._shelf = None if same_address is None else Shelf(same_address, onvif_port or 0)
        hosts = addresses(network, count) if same_address is None else [same_address] * count
        for index, host in enumerate(hosts):
            make = MAKES[makes[index % len(makes)]] if makes else None
            stream, others = self.parted(given[index])
            self.cameras.append(
                VirtualCamera(
                    f"camera-{index + 1}",
                    host=host,
                    port=rtsp_port,
                    onvif_port=onvif_port,
                    user=user,
                    password=password,
                    library=self.library,
                    encodings=encodings or FACTORY,
                    phase=index,
                    fault=stream,
                    faults=others | set(make.faults if make else ()),
                    identity=identity(index, make),
                    schemes=schemes,
                    lease=leases[index] if index < len(leases) else None,
                    shelf=self._shelf,
                    reboot_s=reboot_s,
                )
            )

    @staticmethod
    def parted(faults: Sequence[str]) -> tuple[str | None, set[str]]:
        """The fault of the stream, of which a camera has one, and the others."""
        streams = [one for one in faults if one.partition("@")[0] in FAULTS]
        return (streams[0] if streams else None), {one for one in faults if one not in streams}

    @staticmethod
    def dealt(count: int, faults: Sequence[Share], seed: int) -> list[list[str]]:
        """Which camera has which faults: each fault's cameras are drawn apart, so that some have several."""
        found: list[list[str]] = [[] for _ in range(count)]
        for place, one in enumerate(faults):
            rng = random.Random(f"{seed}/{place}/{one.name}")
            many = one.of(count)
            for index in range(count) if many == count else sorted(rng.sample(range(count), many)):
                found[index].append(one.name)
        return found

    def start(self) -> Self:
        """Begins to serve.

        Raises:
            DeviceBusyError: an address is taken, or this process may not open so many files.
        """
        _make_room(len(self.cameras) * DESCRIPTORS + 256)
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            if self._shelf is not None:
                self._shelf.start()
            for camera in self.cameras:
                camera.start()
            stack.pop_all()
        return self

    def stop(self) -> None:
        """Ends everything; harmless when repeated."""
        for camera in self.cameras:
            camera.stop()
        if self._shelf is not None:
            self._shelf.close()
        if self._own:
            self.library.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def identity(index: int, make: Make | None) -> Identity:
    """Who a virtual camera of a make is.

    Args:
        index: its number.
        make: None for one of our own.
    """
    mac = f"02:ed:{index >> 24 & 255:02x}:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"
    if make is None:
        return Identity(name="IPCAM", mac=mac)
    serial = f"{make.model.replace(' ', '')}{index + 1:06d}"
    return Identity(
        name="IPCAM", mac=mac, manufacturer=make.manufacturer, model=make.model, firmware=make.firmware, serial=serial
    )


def _make_room(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return
    if hard != resource.RLIM_INFINITY and hard < files:
        raise DeviceBusyError(
            f"{files} open files are needed, and this process may have {hard}", hint=f"ulimit -Hn {files}, as root"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
