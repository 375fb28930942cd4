"""What is to be sent, to whom, in which order: durable, at least once, and in order within a case.

Each destination has a queue of its own, so a dead one delays no other. In a queue messages go before stills and stills
before clips, the gravest case first, then the oldest. Within a case a message waits for the one before it, and stills
and clips wait for the first message, not for later ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from edusense.alerts.database import Database

__all__ = ["CLIP", "MESSAGE", "STILL", "Attachment", "Item", "Outbox"]

MESSAGE: Final = 0
STILL: Final = 1
CLIP: Final = 2
"""Ranks: what goes before what."""

_LOOK: Final = 64
"""So many of the first that wait are looked at; of cases that are being sent already there are never so many."""


@dataclass(frozen=True)
class Attachment:
    """A picture or a clip of a case, on disk.

    Attributes:
        case: the case's id.
        name: `still` or `clip`.
        path: the file.
        media_type: what it is.
        size: its length in bytes.
        sha256: its hash, in hex.
    """

    case: str
    name: str
    path: Path
    media_type: str
    size: int
    sha256: str

    @property
    def key(self) -> str:
        """What a destination knows it by: the same each time that it is sent."""
        return f"{self.case}/{self.name}"

    def read(self, start: int, most: int) -> bytes:
        """A piece of it.

        Raises:
            OSError: the file is gone, or shorter than it was.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(most)

    def to_json(self) -> dict[str, Any]:
        """What a message tells of it."""
        return {"name": self.name, "media_type": self.media_type, "bytes": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Item:
    """One thing that waits for a destination.

    Attributes:
        id: its number in the outbox.
        destination: whom it is for.
        stream: the case that it is about.
        rank: `MESSAGE`, `STILL` or `CLIP`.
        attempts: how often it was tried.
        created_s: when it was put there, Unix seconds.
        message: the message; None for an attachment.
        attachment: the attachment; None for a message.
    """

    id: int
    destination: str
    stream: str
    rank: int
    attempts: int
    created_s: float
    message: Mapping[str, Any] | None = None
    attachment: Attachment | None = None


class Outbox:
    """The outbox in the database of cases.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_message(self, body: Mapping[str, Any], destinations: Iterable[str], *, severity: int, now_s: float) -> None:
        """Puts a message into the queues of destinations; inside `Database.durably`.

        Args:
            body: the message, with `case` and `sequence`.
            destinations: whom it is for.
            severity: index in `SEVERITIES`.
            now_s: Unix seconds.
        """
        stream, sequence = body["case"], body["sequence"]
        self._database.run(
            "INSERT INTO messages VALUES (?, ?, ?)", (stream, sequence, json.dumps(body, ensure_ascii=False))
        )
        for destination in destinations:
            self._put(destination, stream, sequence, None, MESSAGE, severity, now_s)

    def put_attachment(
        self, attachment: Attachment, destinations: Iterable[str], *, severity: int, now_s: float
    ) -> None:
        """Puts a picture or clip into the queues of destinations; inside `Database.durably`."""
        self._database.run(
            "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?, ?, ?)",
            (
                attachment.case,
                attachment.name,
                str(attachment.path.relative_to(self._database.folder)),
                attachment.media_type,
                attachment.size,
                attachment.sha256,
            ),
        )
        rank = STILL if attachment.name == "still" else CLIP
        for destination in destinations:
            self._put(destination, attachment.case, None, attachment.name, rank, severity, now_s)

    def repeat(self, stream: str, destinations: Iterable[str], *, severity: int, now_s: float) -> None:
        """Puts a case's first message, picture and clip into further queues; inside `Database.durably`."""
        names = [row["name"] for row in self._database.rows("SELECT name FROM attachments WHERE stream = ?", (stream,))]
        for destination in destinations:
            self._put(destination, stream, 1, None, MESSAGE, severity, now_s)
            for name in names:
                self._put(destination, stream, None, name, STILL if name == "still" else CLIP, severity, now_s)

    def _put(
        self,
        destination: str,
        stream: str,
        sequence: int | None,
        name: str | None,
        rank: int,
        severity: int,
        now_s: float,
    ) -> None:
        self._database.run(
            "INSERT INTO outbox (destination, stream, sequence, name, rank, severity, created_s, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting')",
            (destination, stream, sequence, name, rank, severity, now_s),
        )

    def next(
        self, destination: str, *, most_rank: int, least_rank: int = MESSAGE, busy: Collection[tuple[str, bool]] = ()
    ) -> Item | None:
        """What is to be sent next.

        Args:
            destination: to whom.
            most_rank: the last rank that is asked for: `STILL` leaves clips out.
            least_rank: the first: `CLIP` leaves all else out.
            busy: what is being sent at this moment by others: streams, each with whether it is a message.

        Returns:
            The item; None where nothing waits that could be sent now.
        """
        for row in self._database.rows(_NEXT, (destination, least_rank, most_rank, _LOOK)):
            if (row["stream"], row["rank"] == MESSAGE) not in busy:
                return self._item(row)
        return None

    def _item(self, row: sqlite3.Row) -> Item:
        message = None if row["body"] is None else json.loads(row["body"])
        attachment = None
        if row["path"] is not None:
            attachment = Attachment(
                row["stream"],
                row["name"],
                self._database.folder / row["path"],
                row["media_type"],
                row["bytes"],
                row["sha256"],
            )
        return Item(
            row["id"],
            row["destination"],
            row["stream"],
            row["rank"],
            row["attempts"],
            row["created_s"],
            message,
            attachment,
        )

    def tried(self, item: Item) -> None:
        """Counts an attempt that came to nothing."""
        self._database.durably(
            lambda: self._database.run("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?", (item.id,))
        )

    def settle(self, item: Item, state: str, *, now_s: float, reason: str | None = None) -> bool:
        """Says what became of an item; inside `Database.durably`.

        Args:
            item: which.
            state: `delivered`, `refused` or `expired`.
            now_s: Unix seconds.
            reason: why, of the latter two.

        Returns:
            Whether it waited until now.
        """
        done = self._database.run(
            "UPDATE outbox SET state = ?, settled_s = ?, reason = ?, attempts = attempts + 1 "
            "WHERE id = ? AND state = 'waiting'",
            (state, now_s, reason, item.id),
        )
        return done.rowcount > 0

    def weigh(self, stream: str, severity: int) -> None:
        """A case has become graver: what waits of it moves forward; inside `Database.durably`."""
        self._database.run("UPDATE outbox SET severity = ? WHERE stream = ? AND state = 'waiting'", (severity, stream))

    def waiting(self, destination: str | None = None) -> dict[str, Any]:
        """How much waits, for one destination or for all.

        Returns:
            `messages`, `stills`, `clips`, `refused` and `oldest_s` (Unix seconds; None where nothing waits).
        """
        where, values = ("", ()) if destination is None else ("AND destination = ?", (destination,))
        counts = {MESSAGE: 0, STILL: 0, CLIP: 0}
        oldest: float | None = None
        for row in self._database.rows(
            f"SELECT rank, count(*) AS n, min(created_s) AS oldest FROM outbox WHERE state = 'waiting' {where} "  # noqa: S608 - a constant
            "GROUP BY rank",
            values,
        ):
            counts[row["rank"]] = row["n"]
            oldest = row["oldest"] if oldest is None else min(oldest, row["oldest"])
        return {"messages": counts[MESSAGE], "stills": counts[STILL], "clips": counts[CLIP], "oldest_s": oldest}

    def hops(self, case: str) -> list[dict[str, Any]]:
        """Everything that was or is to be sent of a case, in order.

        Returns:
            Rows with `destination`, `part` (a message's number, `still` or `clip`), `state`, `attempts`, `created_s`,
            `settled_s`, `reason`.
        """
        return [
            {
                "destination": row["destination"],
                "part": row["name"] or str(row["sequence"]),
                "state": row["state"],
                "attempts": row["attempts"],
                "created_s": row["created_s"],
                "settled_s": row["settled_s"],
                "reason": row["reason"],
            }
            for row in self._database.rows("SELECT * FROM outbox WHERE stream = ? ORDER BY id", (case,))
        ]

    def attachment(self, case: str, name: str) -> Attachment | None:
        """A case's picture or clip; None where it has none."""
        found = self._database.rows("SELECT * FROM attachments WHERE stream = ? AND name = ?", (case, name))
        for row in found:
            path = self._database.folder / row["path"]
            return Attachment(case, name, path, row["media_type"], row["bytes"], row["sha256"])
        return None


_NEXT: Final = """
SELECT o.id, o.destination, o.stream, o.rank, o.attempts, o.created_s, m.body, a.name, a.path, a.media_type, a.bytes,
       a.sha256
FROM outbox o
LEFT JOIN messages m ON o.sequence IS NOT NULL AND m.stream = o.stream AND m.sequence = o.sequence
LEFT JOIN attachments a ON o.name IS NOT NULL AND a.stream = o.stream AND a.name = o.name
WHERE o.state = 'waiting' AND o.destination = ? AND o.rank BETWEEN ? AND ?
  AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.stream = o.stream AND b.destination = o.destination
                  AND b.state = 'waiting' AND b.sequence < ifnull(o.sequence, 2))
ORDER BY o.rank, o.severity DESC, o.id
LIMIT ?
"""
