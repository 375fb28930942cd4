"""The heartbeat: what a box tells of itself each minute, so that "all cameras work" is a fact with a time.

It also carries the case log's newest hash away from the box: a log that is cut and written anew does not fit what the
centre was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edusense.alerts.messages import FORMAT, local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["heartbeat"]


def heartbeat(
    rows: Iterable[Mapping[str, Any]],
    *,
    school: Mapping[str, Any],
    timezone: str,
    now_s: float,
    waiting: Mapping[str, Any],
    silences: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The message of the box's state (docs/reference/alerts.md).

    Args:
        rows: those of `status`.
        school: `id` and `number`.
        timezone: the school's.
        now_s: Unix seconds.
        waiting: what waits for the destination.
        silences: those that are on.

    >>> told = heartbeat(
    ...     [{"kind": "camera", "id": "yard-1", "room": "yard", "state": "playing", "reason": None, "picture_s": 8.04}],
    ...     school={"id": "school-51", "number": 51001}, timezone="Asia/Almaty", now_s=9.0, waiting={"messages": 0},
    ... )
    >>> told["cameras"]
    [{'id': 'yard-1', 'room': 'yard', 'state': 'playing', 'reason': None, 'seen_s': 8.0}]
    """
    told: dict[str, Any] = {
        "format": FORMAT,
        "type": "heartbeat",
        "key": f"heartbeat/{school['id']}/{round(now_s * 1000)}",
        "school": dict(school),
        "at": local_time(now_s, timezone),
        "at_s": round(now_s, 3),
        "box": None,
        "cameras": [],
        "terminals": [],
        "ledger": None,
        "cases": None,
        "waiting": dict(waiting),
        "silences": [dict(silence) for silence in silences],
    }
    for row in rows:
        match row["kind"]:
            case "box":
                told["box"] = _some(row, "version", "state", "reason", "uptime_s")
            case "camera":
                seen_s = row.get("picture_s")
                told["cameras"].append(
                    _some(row, "id", "room", "state", "reason")
                    | {"seen_s": None if seen_s is None else round(seen_s, 1)}
                )
            case "terminal":
                told["terminals"].append(_some(row, "id", "room", "state", "reader_state"))
            case "ledger":
                told["ledger"] = _some(row, "state", "records", "synced")
            case "alerts":
                told["cases"] = _some(row, "state", "open", "unanswered", "position", "head")
    return told


def _some(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row.get(name) for name in names}
