"""What a virtual camera can be told to do wrong, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edusense.errors import UsageError
from edusense.nearest import nearest
from edusense.sim.onvif_lies import LIES
from edusense.sim.spoiling import SPOILS

__all__ = ["FAULTS", "OTHER_STREAM", "Fault", "Share", "every_fault"]

FAULTS: dict[str, str] = {
    "stall": "stops sending and keeps the connection open",
    "drop": "closes the connection in the middle of a picture",
    "refuse-auth": "refuses every user and password",
    "garbage": "sends random bytes instead of RTP",
    "slow-start": "answers the first request of each connection only after N seconds (`slow-start@N`, 5)",
    "sps-change": "goes on in another size, with other parameter sets, in the middle of the stream",
    "clock-jump": "its wall clock jumps an hour ahead, as sender reports tell it",
}
"""Name of each fault and what it does. `NAME@SECONDS` begins that many seconds after PLAY."""


OTHER_STREAM: Final = "other-stream"
"""Tells the encoder settings that it was given, and never sends them."""


def every_fault() -> dict[str, str]:
    """Every fault of a virtual camera, by name: of its stream, its pictures, its ONVIF half."""
    return {
        **FAULTS,
        **SPOILS,
        OTHER_STREAM: "tells the encoder settings that it was given, and goes on sending what it sent before",
        **{name: lie.words for name, lie in LIES.items() if name not in FAULTS},
    }


@dataclass(frozen=True)
class Share:
    """A fault that some of many virtual cameras have.

    Attributes:
        name: the fault; with `@SECONDS` where it is one of the stream.
        count: so many cameras; None where `share` says it, or all have it.
        share: so large a part of them, 0 to 1.
    """

    name: str
    count: int | None = None
    share: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Share:
        """Reads `NAME`, `NAME=12` or `NAME=5%`.

        >>> Share.parse("silent=5%")
        Share(name='silent', count=None, share=0.05)

        Raises:
            UsageError: an unknown fault, or no such number.
        """
        name, equals, many = text.partition("=")
        kind = name.partition("@")[0]
        known = every_fault()
        if kind not in known:
            guess = nearest(kind, known)
            hint = f"perhaps `{guess}`; " if guess else ""
            raise UsageError(f"there is no fault `{kind}`", hint=f"{hint}`edusense sim camera --faults` lists them all")
        if kind in FAULTS:
            Fault.parse(name)
        elif "@" in name:
            raise UsageError(f"`{kind}` has no time from which on", hint=f"only {', '.join(FAULTS)} have")
        if not equals:
            return cls(name)
        try:
            value = float(many.removesuffix("%"))
        except ValueError:
            value = -1.0
        if many.endswith("%") and 0 <= value <= 100:
            return cls(name, None, value / 100)
        if value >= 0 and value.is_integer() and not many.endswith("%"):
            return cls(name, int(value))
        raise UsageError(f"`{many}` in `{text}` is no number of cameras", hint=f"`{name}=12` or `{name}=5%`")

    def of(self, cameras: int) -> int:
        """How many of that many cameras have it."""
        return min(cameras, round(self.share * cameras) if self.count is None else self.count)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `FAULTS`.
        after_s: seconds after PLAY (after it was set, for somebody who watches already) until it begins; for
            `slow-start`, how slow.
    """

    kind: str
    after_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads `KIND` or `KIND@SECONDS`.

        >>> Fault.parse("stall@10")
        Fault(kind='stall', after_s=10.0)

        Raises:
            UsageError: an unknown kind, or not a number of seconds.
        """
        kind, at, seconds = text.partition("@")
        if kind not in FAULTS:
            raise UsageError(
                f"there is no fault `{kind}`", hint=f"faults are: {', '.join(FAULTS)}; `stall@10` begins after 10 s"
            )
        after = 5.0 if kind in {"slow-start", "drop", "sps-change"} else 0.0
        if at:
            try:
                after = float(seconds)
            except ValueError:
                after = -1.0
            if not 0 <= after < 1e6:
                raise UsageError(f"`{seconds}` in `{text}` is not a number of seconds", hint=f"for example `{kind}@10`")
        return cls(kind, after)
