"""Factory-new cameras that all have one address: each is asked who it is, given an address of its own, and found there.

Which of them answers is the network's business (whoever's ARP answer came last); so each is known by its MAC address,
asked on the connection over which it is then set. When it has gone to its own address, the next one answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.errors import DeviceError, DeviceRefusedError, SiteError, UsageError
from edusense.fleet import applying
from edusense.fleet.adding import NewCamera
from edusense.fleet.addresses import open_of_site
from edusense.fleet.camera_list import normal_mac
from edusense.fleet.moving import Identity, holder_of, host_of, look_for, with_host
from edusense.fleet.templates import match
from edusense.site import Camera

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.devices.camera import CameraInformation
    from edusense.fleet.camera_list import ListedCamera
    from edusense.site import Site

__all__ = ["Adopted", "adopt", "dhcp_plan"]

SILENCE_S: Final = 20.0
"""Nobody at the common address for so long: all have gone to addresses of their own."""
STEP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came of one unit.

    Args:
        state: `adopted` (found at its own address), `needs-activation`, `refused` (login or address), `no-address` (the
            list has none for it, and none is free), `taken` (its address is another's), `away` (not found again),
            `unknown` (it does not say who it is).
        mac: its MAC address; None where it does not tell.
        serial: its serial number.
        make: manufacturer and model.
        old: the address that all of them have.
        new: the address that it was given; None where it was given none.
        camera: what may come into the site file; None where it was not adopted.
        note: what is to be done about it.
    """

    state: Literal["adopted", "needs-activation", "refused", "no-address", "taken", "away", "unknown"]
    mac: str | None = None
    serial: str | None = None
    make: str | None = None
    old: str | None = None
    new: str | None = None
    camera: NewCamera | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera discover --adopt --json` prints it."""
        row = {name: getattr(self, name) for name in self.__slots__ if name != "camera"}
        return {**row, "id": self.camera.id if self.camera else None, "room": self.camera.room if self.camera else None}


def adopt(
    site: Site,
    at: str,
    stop: threading.Event,
    listed: Sequence[ListedCamera] = (),
    *,
    free: Sequence[str] = (),
    credentials: str | None = None,
    room: str | None = None,
    silence_s: float = SILENCE_S,
    told: Callable[[str], None] = lambda _: None,
) -> Iterator[Adopted]:
    """Gives units that share one address an address each, one after the other.

    Args:
        site: the site file.
        at: the address that they share: `192.168.1.64`.
        stop: breaks it off.
        listed: a list of cameras: a unit takes the `assigned` address of its line.
        free: addresses with the network's prefix (`10.20.0.51/22`) for units that no line assigns one.
        credentials: the table of [credentials] that they are asked with.
        room: of units that no line says a room of.
        silence_s: how long nobody may answer there until it is over.
        told: is told what is being done, in words.

    Raises:
        UsageError: there is no such table of credentials.
    """
    if credentials is not None and credentials not in site.credentials:
        raise UsageError(
            f"the site file has no [credentials.{credentials}]", hint=f"it has: {', '.join(site.credentials)}"
        )
    left = [one for one in free if host_of(one.partition("/")[0]) not in _used(site)]
    quiet_since = time.monotonic()
    stuck: set[str] = set()
    while not stop.is_set() and time.monotonic() - quiet_since < silence_s:
        unit = Camera(id="unit", room="unit", address=at, credentials=credentials)
        opened = open_of_site(site, unit, 30.0)
        try:
            with opened:
                who = opened.information()
                found = _adopt_one(site, unit, opened, who, listed, left, stop, told, room)
        except DeviceRefusedError as error:
            if "activated" in error.message:
                yield Adopted("needs-activation", old=at, note=_words(error))
            else:
                yield Adopted("refused", old=at, note=_words(error))
            return  # the same unit would answer again and again
        except (DeviceError, SiteError) as error:
            told(f"nobody at {at}: {error.message}")
            stop.wait(STEP_S)
            continue
        yield found
        if found.state in ("no-address", "taken", "refused", "unknown"):
            key = found.mac or found.serial or ""
            if key in stuck:
                return  # it stands in the way of the others
            stuck.add(key)
        quiet_since = time.monotonic()


def _used(site: Site) -> set[str]:
    """Hosts that the site file has given away."""
    found = {host_of(camera.address) for camera in site.cameras if camera.address}
    return found | {camera.assigned.partition("/")[0] for camera in site.cameras if camera.assigned}


def _words(error: DeviceError | SiteError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _adopt_one(
    site: Site,
    unit: Camera,
    opened: OpenCamera,
    who: CameraInformation,
    listed: Sequence[ListedCamera],
    left: list[str],
    stop: threading.Event,
    told: Callable[[str], None],
    room: str | None,
) -> Adopted:
    at = unit.address or ""
    mac = normal_mac(who.mac)
    make = " ".join(part for part in (who.manufacturer, who.model) if part)
    this = Adopted("unknown", mac, who.serial or None, make, at)
    if mac is None and not who.serial:
        return replace(this, note="it tells neither a MAC address nor a serial number: adopt it alone, by hand")
    line = next((one for one in listed if _is(one, mac, who.serial)), None)
    assigned = line.assigned if line is not None and line.assigned else (left[0] if left else None)
    if assigned is None:
        why = "the list assigns it no address, and no --addresses are left"
        return replace(this, state="no-address", note=f"{why}: a line with `mac` and `assigned` does")
    new = with_host(at, assigned.partition("/")[0])
    identity = Identity(who.serial, mac, _endpoint(opened))
    if holder := holder_of(site, new, identity):
        if assigned in left:
            left.remove(assigned)
        return replace(this, state="taken", new=new, note=f"{host_of(new)} is taken by {holder}")
    told(f"{mac or who.serial}: {host_of(at)} -> {host_of(new)}")
    try:
        if opened.write_settings("network", {"address": assigned}):
            opened.reboot()
    except DeviceRefusedError as error:
        return replace(this, state="refused", new=new, note=_words(error))
    except DeviceError:
        told(f"{mac or who.serial}: it went without an answer")
    opened.close()
    found = look_for(
        site,
        unit,
        identity,
        new=new,
        old=at,
        seconds=applying.REBOOT_S,
        settled_s=applying.REBOOT_S,  # at the old address others answer
        stop=stop,
    )
    if found is None:
        note = f"neither at {host_of(new)} nor by a search within {applying.REBOOT_S:g} s"
        return replace(this, state="away", new=new, note=note)
    address, again = found
    again.close()
    if host_of(address) == host_of(at):
        note = "it said yes and came back as it was: set its address in its web pages"
        return replace(this, state="refused", new=new, note=note)
    if assigned in left:
        left.remove(assigned)
    template, _ = match(who.manufacturer, who.model, "T" if "T" in who.speaks else None, site.folder)
    camera = NewCamera(
        address=address,
        room=line.room if line else room,
        id=line.id if line else None,
        kind=line.kind if line else None,
        mac=mac,
        serial=who.serial or None,
        template=(line.template if line else None) or template or "generic/onvif-t",
        credentials=(line.credentials if line else None) or unit.credentials,
        assigned=assigned,
        make=make or None,
    )
    elsewhere = None if host_of(address) == host_of(new) else f"it came back at {host_of(address)} instead"
    return replace(this, state="adopted", new=address, camera=camera, note=elsewhere)


def _is(line: ListedCamera, mac: str | None, serial: str) -> bool:
    if line.mac is not None:
        return line.mac == mac
    return line.serial is not None and line.serial.casefold() == serial.casefold()


def _endpoint(opened: OpenCamera) -> str | None:
    try:
        return opened.endpoint()
    except DeviceError:
        return None


def dhcp_plan(site: Site, kind: Literal["dnsmasq", "isc"] = "dnsmasq") -> str:
    r"""Reservations for a DHCP server: each camera with a MAC address, the address that it is to have, and its name.

    Args:
        site: the site file.
        kind: `dnsmasq` (also OpenWrt, Pi-hole), or `isc` (dhcpd).

    >>> from edusense.site import Site
    >>> text = '[site]\nid = "s"\nnumber = 1\n[[rooms]]\nid = "205"\nkind = "classroom"\n[[cameras]]\nid = "205-1"\n'
    >>> text += 'room = "205"\naddress = "10.20.0.51"\nmac = "00:1a:2b:3c:4d:5e"'
    >>> print(dhcp_plan(Site.loads(text)))
    dhcp-host=00:1a:2b:3c:4d:5e,10.20.0.51,205-1
    <BLANKLINE>
    """
    lines = []
    for camera in site.cameras:
        host = camera.assigned.partition("/")[0] if camera.assigned else host_of(camera.address or "")
        if camera.mac is None or not host.replace(".", "").isdigit():
            continue
        if kind == "dnsmasq":
            lines.append(f"dhcp-host={camera.mac},{host},{camera.id}")
        else:
            lines.append(f"host {camera.id} {{ hardware ethernet {camera.mac}; fixed-address {host}; }}")
    return "\n".join([*lines, ""])
