"""Silences: a place whose findings open no case for a while, because somebody has said so, by name and with an end.

A door is mended, a zone was drawn badly. What is left out is counted; who silenced what, until when and why stands in
the case log, and the destinations of the place hear of its beginning and its end. What is `extreme` is never silenced,
and neither is a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import CaseUnknownError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.alerts.database import Database
    from edusense.alerts.finding import Finding

__all__ = ["LONGEST_S", "Silence", "Silences"]

LONGEST_S: Final = 7 * 86_400.0
"""Whatever is to be left out for longer belongs into the site file."""
CLOCK_SLACK_S: Final = 60.0
"""A clock that is set to rights a little is no clock that was put back."""
_STREAM: Final = "silences"


@dataclass(frozen=True)
class Silence:
    """One place that is silenced.

    Attributes:
        id: its number in this box's database.
        zone: the zone, or None.
        camera: the camera; of a zone, the one whose picture it is in.
        since_s: since when, Unix seconds; `until_s` likewise.
        by: who said so.
        reason: why, in their words.
        count: findings that were left out.
        over: it has ended.
    """

    id: int
    zone: str | None
    camera: str
    since_s: float
    until_s: float
    by: str
    reason: str | None
    count: int = 0
    over: bool = False

    @property
    def place(self) -> str:
        """What is silenced, for people."""
        return f"camera `{self.camera}`" if self.zone is None else f"zone `{self.zone}`"

    def holds(self, now_s: float) -> bool:
        """Whether it is on at a time. A clock put back to before its beginning ends it: it must not last for years."""
        return self.since_s - CLOCK_SLACK_S <= now_s < self.until_s

    def to_json(self) -> dict[str, Any]:
        """The silence as a JSON object."""
        return {
            "id": self.id,
            "zone": self.zone,
            "camera": self.camera,
            "since_s": round(self.since_s, 3),
            "until_s": round(self.until_s, 3),
            "by": self.by,
            "reason": self.reason,
            "count": self.count,
            "over": self.over,
        }


class Silences:
    """The silences in the database of cases. What changes something runs inside `Database.durably`.

    Args:
        database: where they are.
        clock: Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock
        self._on = self.all(over=False)
        """Those that are on, so that a finding asks no database."""

    def all(self, *, over: bool | None = None, most: int = 1000) -> list[Silence]:
        """Silences, the newest first.

        Args:
            over: only those that have ended, or only those that have not.
            most: how many.
        """
        where = "" if over is None else f"WHERE over = {int(over)}"
        rows = self._database.rows(f"SELECT * FROM silences {where} ORDER BY id DESC LIMIT ?", (most,))  # noqa: S608 - constants
        return [
            Silence(
                row["id"], **json.loads(row["body"]), until_s=row["until_s"], count=row["count"], over=row["over"] != 0
            )
            for row in rows
        ]

    def begin(self, *, zone: str | None, camera: str, until_s: float, by: str, reason: str | None) -> Silence:
        """Begins one.

        Raises:
            UsageError: its end is over already, or too far away.
        """
        now_s = self._clock()
        if not now_s < until_s <= now_s + LONGEST_S:
            raise UsageError(
                "a silence ends within a week, and not in the past",
                hint='`--for 2h`; a zone that is to be left out for longer gets other `hours`, or kind = "ignore"',
            )
        body = {"zone": zone, "camera": camera, "since_s": now_s, "by": by, "reason": reason}
        place = f"camera:{camera}" if zone is None else f"zone:{zone}"
        done = self._database.run(
            "INSERT INTO silences (place, until_s, body) VALUES (?, ?, ?)",
            (place, until_s, json.dumps(body, ensure_ascii=False)),
        )
        return Silence(done.lastrowid or 0, zone, camera, now_s, until_s, by, reason)

    def end(self, number: int) -> Silence:
        """Ends one.

        Raises:
            CaseUnknownError: there is none of that number, or it is over.
        """
        found = [one for one in self.all(over=False) if one.id == number]
        if not found:
            raise CaseUnknownError(f"no silence {number} is on", hint="`edusense alerts silences` lists them")
        self._database.run("UPDATE silences SET over = 1 WHERE id = ?", (number,))
        return found[0]

    def refresh(self) -> None:
        """Takes what the database has by now; after each change, when it is on the disk."""
        self._on = self.all(over=False)

    def of(self, finding: Finding) -> Silence | None:
        """The silence that a finding falls under; None where there is none."""
        if finding.test or finding.severity == "extreme":
            return None
        now_s = self._clock()
        for one in self._on:
            if one.holds(now_s) and (one.zone == finding.zone if one.zone else one.camera == finding.camera):
                return one
        return None

    def count(self, silence: Silence) -> None:
        """A finding was left out."""
        self._database.run("UPDATE silences SET count = count + 1 WHERE id = ?", (silence.id,))

    def over_by_now(self) -> list[Silence]:
        """Those whose time has come."""
        now_s = self._clock()
        return [one for one in self._on if not one.holds(now_s)]

    def next_sequence(self) -> tuple[str, int]:
        """Stream and number of the next message about silences."""
        (last,) = self._database.rows(
            "SELECT ifnull(max(sequence), 0) AS sequence FROM messages WHERE stream = ?", (_STREAM,)
        )
        return _STREAM, last["sequence"] + 1
