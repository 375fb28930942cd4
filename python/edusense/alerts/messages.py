"""What a destination is told, as JSON: alerts, and what became of them (docs/reference/alerts.md)."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.alerts.case import Case

__all__ = ["FORMAT", "alert", "local_time", "refused_answer", "silence", "update"]

FORMAT: Final = 1
"""Raised when something is taken away or changes its meaning; additions leave it alone."""


def local_time(at_s: float, timezone: str) -> str:
    """A time with its zone, ISO 8601, to a millisecond.

    >>> local_time(1_789_396_803.12, "Asia/Almaty")
    '2026-09-14T19:40:03.120+05:00'
    """
    moment = datetime.datetime.fromtimestamp(at_s, zoneinfo.ZoneInfo(timezone))
    return moment.isoformat(timespec="milliseconds")


def alert(case: Case, *, school: Mapping[str, Any], room: Mapping[str, Any] | None, timezone: str) -> dict[str, Any]:
    """The first message about a case.

    Args:
        case: the case, with the message's own number in `sequence`.
        school: `id` and `number`.
        room: `id`, `kind` and `name` of the room.
        timezone: the school's.
    """
    return {
        **_head("alert", case, school),
        "finding": case.finding,
        "severity": case.severity,
        "confidence": round(case.confidence, 3),
        "place": {"camera": case.camera, "zone": case.zone, "room": None if room is None else dict(room)},
        "start": local_time(case.start_s, timezone),
        "start_s": round(case.start_s, 3),
        "clock_error_s": round(case.clock_error_s, 3),
        "opened_s": round(case.opened_s, 3),
        "boxes": [[round(value, 4) for value in box] for box in case.boxes],
        "rule": {"name": case.rule, "version": case.version},
        "text": case.text,
        "state": case.state,
    }


def update(case: Case, what: str, *, school: Mapping[str, Any], at_s: float, **told: Any) -> dict[str, Any]:
    """A further message about a case.

    Args:
        case: the case as it is now, with the message's own number in `sequence`.
        what: `answer`, `again`, `graver` or `escalated`.
        school: `id` and `number`.
        at_s: when it happened.
        **told: what belongs to it: `answer`, `by`, `via`, `note`, ….
    """
    return {
        **_head("update", case, school),
        "what": what,
        "at_s": round(at_s, 3),
        "state": case.state,
        "severity": case.severity,
        "count": case.count,
        "last_s": round(case.last_s, 3),
        **told,
    }


def refused_answer(
    stream: str, sequence: int, *, school: Mapping[str, Any], answer: Mapping[str, Any], error: Mapping[str, Any]
) -> dict[str, Any]:
    """What a destination is told whose answer could not be taken.

    Args:
        stream: what its messages of this kind are numbered in.
        sequence: its number there.
        school: `id` and `number`.
        answer: the answer, as it came.
        error: `error`, `message` and `hint`.
    """
    return {
        "format": FORMAT,
        "type": "answer-refused",
        "key": f"{stream}/{sequence}",
        "case": stream,
        "sequence": sequence,
        "status": "actual",
        "school": dict(school),
        "answer": dict(answer),
        **error,
    }


def silence(
    stream: str, sequence: int, *, school: Mapping[str, Any], what: str, silence: Mapping[str, Any]
) -> dict[str, Any]:
    """What destinations are told of a place that is silenced, or not any more.

    Args:
        stream: what its messages of this kind are numbered in.
        sequence: its number there.
        school: `id` and `number`.
        what: `begun` or `over`.
        silence: place, end, who and why, and how many findings were left out.
    """
    return {
        "format": FORMAT,
        "type": "silence",
        "key": f"{stream}/{sequence}",
        "case": stream,
        "sequence": sequence,
        "status": "actual",
        "school": dict(school),
        "what": what,
        "silence": dict(silence),
    }


def _head(kind: str, case: Case, school: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "type": kind,
        "key": f"{case.case}/{case.sequence}",
        "case": case.case,
        "sequence": case.sequence,
        # The words of the Common Alerting Protocol (OASIS CAP 1.2, section 3.2.1).
        "status": "test" if case.test else "actual",
        "school": dict(school),
    }
