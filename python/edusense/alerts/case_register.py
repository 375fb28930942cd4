"""The register of cases: which there are, and what happened to each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edusense.alerts.case import Case
from edusense.errors import CaseUnknownError

if TYPE_CHECKING:
    from edusense.alerts.database import Database

__all__ = ["CaseRegister"]


class CaseRegister:
    """The cases of one site, to look at.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def case(self, name: str) -> Case:
        """The case with that id.

        Raises:
            CaseUnknownError: there is none.
        """
        for row in self.database.rows("SELECT body FROM cases WHERE id = ?", (name,)):
            return Case.of(json.loads(row["body"]))
        raise CaseUnknownError(f"there is no case `{name[:100]}`", hint="`edusense alerts list` names them")

    def find(self, name: str) -> Case:
        """The case that a person means: by id, by the beginning of an id, or by number.

        Raises:
            CaseUnknownError: there is none, or more than one.
        """
        if name.isascii() and name.isdigit() and len(name) < 16:
            for row in self.database.rows("SELECT body FROM cases WHERE number = ?", (int(name),)):
                return Case.of(json.loads(row["body"]))
        found = self.database.rows(
            "SELECT id, body FROM cases WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 3", (len(name), name)
        )
        exact = [row for row in found if row["id"] == name]
        if len(found) > 1 and not exact:
            named = ", ".join(f"`{row['id']}`" for row in found)
            raise CaseUnknownError(f"more than one case begins with `{name[:100]}`", hint=f"for example {named}")
        if not name or not found:
            return self.case(name)
        return Case.of(json.loads((exact or found)[0]["body"]))

    def cases(self, *, open_only: bool = False, most: int = 200) -> list[Case]:
        """The newest cases, the newest first."""
        where = "WHERE open" if open_only else ""
        rows = self.database.rows(f"SELECT body FROM cases {where} ORDER BY number DESC LIMIT ?", (most,))  # noqa: S608 - a constant
        return [Case.of(json.loads(row["body"])) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many cases there are: `cases`, `open`, and of these `unanswered`."""
        (row,) = self.database.rows(
            "SELECT count(*) AS cases, ifnull(sum(open), 0) AS open, "
            "ifnull(sum(open AND json_extract(body, '$.answered_s') IS NULL), 0) AS unanswered FROM cases"
        )
        return {"cases": row["cases"], "open": row["open"], "unanswered": row["unanswered"]}

    def history(self, case: str) -> list[dict[str, Any]]:
        """The log's entries of one case, oldest first, each with its `position`."""
        rows = self.database.rows("SELECT position, body FROM log WHERE stream = ? ORDER BY position", (case,))
        return [{"position": row["position"], **json.loads(row["body"])} for row in rows]
