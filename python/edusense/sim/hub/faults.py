"""What a virtual hub can be told to do wrong, and when."""

from __future__ import annotations

from typing import Final

from edusense.errors import UsageError
from edusense.nearest import perhaps
from edusense.sim.timed_fault import TimedFault, parse_fault

__all__ = ["FAULTS", "parse_hub_fault"]

FAULTS: Final[dict[str, str]] = {
    "down": "refuses connections",
    "slow": "carries 64 kbit/s, half a second late",
    "errors": "answers 500, and now and then 503 with Retry-After, without having looked",
    "errors-after-commit": "keeps what it got, and answers 500",
    "commit-without-answer": "keeps what it got, and every connection breaks before the answer",
    "answer-lost": "keeps what it got, and one answer in three is lost on its way back",
    "twice": "takes every request twice, as a network does that repeats it; what is answered is the second one's",
    "cut": "one piece in five of what it is sent is cut in its middle",
    "restored": "once, at its beginning: the database is put back to what it was at half that time",
    "other-key": "signs acknowledgements with another key than its own",
    "portal": "answers 200 with a page in HTML, as a hotel's network does",
    "huge-answer": "answers with 1 GB",
}
"""Name of each fault and what it does. `NAME@10-20` lasts from the tenth to the twentieth second."""


def parse_hub_fault(text: str) -> TimedFault:
    """Reads `KIND`, `KIND@FROM` or `KIND@FROM-TO`.

    >>> parse_hub_fault("down@10-20")
    TimedFault(kind='down', start_s=10.0, stop_s=20.0)

    Raises:
        UsageError: an unknown kind, or no times.
    """
    kind = text.partition("@")[0]
    if kind not in FAULTS:
        raise UsageError(f"there is no fault `{kind}`", hint=perhaps(kind, FAULTS) or f"faults: {', '.join(FAULTS)}")
    return parse_fault(text)
