"""What a virtual operations centre can be told to do wrong, and when."""

from __future__ import annotations

from typing import Final

from edusense.errors import UsageError
from edusense.nearest import perhaps
from edusense.sim.timed_fault import TimedFault, parse_fault

__all__ = ["FAULTS", "CentreFault"]

FAULTS: Final[dict[str, str]] = {
    "down": "refuses connections",
    "slow": "carries 200 kbit/s, half a second late",
    "errors": "answers 500, and now and then 503 with Retry-After",
    "answer-lost": "does what it is asked, and one answer in three is lost on its way back",
    "answers-twice": "gives each answer to a case a second time, also under another id",
    "cut": "one piece in twenty of what it is sent is cut in its middle",
    "refuse": "answers 401 to everybody",
    "redirect": "sends everybody elsewhere",
    "portal": "answers 200 with a page in HTML, as a hotel's network does",
    "huge-answer": "answers with 1 GB",
    "expired-certificate": "serves a certificate that is over (with TLS, from its start on)",
}
"""Name of each fault and what it does. `NAME@10-20` lasts from the tenth to the twentieth second."""


class CentreFault(TimedFault):
    """One fault; its kind is one of `FAULTS`."""

    @classmethod
    def parse(cls, text: str) -> CentreFault:
        """Reads `KIND`, `KIND@FROM` or `KIND@FROM-TO`.

        >>> CentreFault.parse("down@10-20")
        CentreFault(kind='down', start_s=10.0, stop_s=20.0)

        Raises:
            UsageError: an unknown kind, or no times.
        """
        kind = text.partition("@")[0]
        if kind not in FAULTS:
            raise UsageError(
                f"there is no fault `{kind}`", hint=perhaps(kind, FAULTS) or f"faults: {', '.join(FAULTS)}"
            )
        found = parse_fault(text)
        return cls(found.kind, found.start_s, found.stop_s)
