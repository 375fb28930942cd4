"""Virtual cameras that behave as those of a make do, as far as the quirk list knows (`firmware_configs/quirks`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MAKES", "Make"]


@dataclass(frozen=True, slots=True)
class Make:
    """A make.

    Args:
        manufacturer: as its cameras spell it.
        model: one of its models.
        firmware: a version.
        faults: what it does differently.
    """

    manufacturer: str
    model: str
    firmware: str
    faults: tuple[str, ...] = ()


MAKES: Final = {
    "axis": Make(
        "AXIS",
        "P3245-V",
        "10.12.130",
        ("clock-needs-login", "claims-no-pullpoint", "reference-parameters", "vendor-services"),
    ),
    "bosch": Make(
        "BOSCH",
        "FLEXIDOME IP starlight 6000",
        "7.86.0020",
        ("refuses-renew", "refuses-setuser", "ignores-rate-control", "ignores-ntp-switch"),
    ),
    "dahua": Make("Dahua", "IPC-HDW2431T", "2.800.0000", ("picky-password", "refuses-ntp", "locks")),
    "geovision": Make(
        "GeoVision", "GV-BX8700", "1.02", ("token-only", "ignores-dns", "ignores-gateway", "ignores-gop")
    ),
    "hikvision": Make("HIKVISION", "DS-2CD2143G2-I", "V5.7.12", ("zulu-only", "two-challenges", "forgets-users")),
    "reolink": Make("Reolink", "RLC-810A", "v3.1.0.956", ("needs-addressing",)),
    "tapo": Make(
        "TP-Link",
        "Tapo C200",
        "1.3.9",
        ("token-only", "ignores-users", "always-daylight", "ignores-hostname", "ignores-dns", "events-dead"),
    ),
    "uniview": Make("UNIVIEW", "IPC3614LE", "B2303P08", ("wants-own-multicast",)),
    "unnamed": Make("General", "50X10_32M", "1.0", ("hangs-on-pullpoint", "sparse", "shuffled")),
}
"""Makes by name."""
