"""A CSV file as schools make them: which encoding, which separator, which line is wrong."""

from __future__ import annotations

import csv
import io
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from edusense.errors import RosterError

__all__ = ["COLUMNS", "OPTIONAL_COLUMNS", "Fault", "Line", "Table", "read_table"]

COLUMNS: Final = ("pupil", "name", "class", "category", "cards", "consent_date", "voucher_from", "voucher_to")
"""The columns that a roster has; others than these and the optional ones are named and ignored."""

OPTIONAL_COLUMNS: Final = ("shift", "allergens", "school")
"""Columns that a roster may have."""

_MAX_SHOWN: Final = 60
_MARK: Final = "\ufeff"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line.

    >>> print(Fault(7, "pupil", "1O17", "a whole number"))
    line 7, column `pupil`: `1O17`, expected a whole number
    """

    line: int
    """Line of the file, from 1."""
    column: str | None
    value: str | None
    expected: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"line {self.line}" if self.column is None else f"line {self.line}, column `{self.column}`"
        found = "" if self.value is None else f"`{self.value}`, " if self.value else "empty, "
        return f"{where}: {found}expected {self.expected}"

    def to_json(self) -> dict[str, Any]:
        """The fault as `edusense roster check --json` prints it."""
        return {"line": self.line, "column": self.column, "value": self.value, "expected": self.expected}


class Line:
    """One row of the file, by column."""

    def __init__(self, number: int, values: dict[str, str]) -> None:
        self.number = number
        self._values = values

    def __getitem__(self, column: str) -> str:
        return self._values.get(column, "")

    def fault(self, column: str, expected: str, value: str | None = None) -> Fault:
        """That a value of this line is not what was expected.

        Args:
            column: where.
            expected: what should stand there.
            value: the wrong part, where it is not all of it.
        """
        found = self[column] if value is None else value
        return Fault(self.number, column, found if len(found) <= _MAX_SHOWN else found[:_MAX_SHOWN] + "…", expected)


@dataclass(frozen=True)
class Table:
    """A file's rows."""

    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]
    ignored: tuple[str, ...]
    encoding: str
    delimiter: str


def read_table(raw: bytes, columns: tuple[str, ...] = COLUMNS, optional: tuple[str, ...] = OPTIONAL_COLUMNS) -> Table:
    """Reads a table's file.

    Args:
        raw: its bytes.
        columns: what it must have.
        optional: what it may have.

    Raises:
        RosterError: it is no text, or its first line does not name the columns.
    """
    text, encoding = _decode(raw)
    skipped = 0
    delimiter = None
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        # Excel's own way of naming the separator.
        delimiter, text, skipped = first.strip()[4], rest, 1
    heading = text.partition("\n")[0]
    if delimiter is None:
        delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    faults: list[Fault] = []
    begun = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((skipped + begun + 1, [unicodedata.normalize("NFC", cell.strip()) for cell in cells]))
            begun = reader.line_num
    except csv.Error as error:
        faults.append(Fault(skipped + begun + 1, None, None, f"a line of CSV ({error})"))
    if not rows:
        raise RosterError(
            "line 1: the file is empty, expected the names of the columns", hint=f"they are {', '.join(columns)}"
        )
    line_number, names = rows[0]
    names = [name.lower() for name in names]
    if missing := [column for column in columns if column not in names]:
        raise RosterError(
            f"line {line_number}: no column `{'`, `'.join(missing)}`, found `{'`, `'.join(names)[:200]}`",
            hint=f"the first line names the columns: {delimiter.join(columns)}",
        )
    ours = (*columns, *optional)
    if twice := [column for column in ours if names.count(column) > 1]:
        raise RosterError(
            f"line {line_number}: the column `{twice[0]}` stands there twice", hint="remove one of the two"
        )
    places = {column: names.index(column) for column in ours if column in names}
    lines = []
    for number, cells in rows[1:]:
        # Empty cells at a line's end are what spreadsheets leave out, or put in.
        if max(places.values()) >= len(cells) or any(cells[len(names) :]):
            faults.append(Fault(number, None, None, f"{len(names)} columns as in the first line, found {len(cells)}"))
        else:
            lines.append(Line(number, {column: cells[place] for column, place in places.items()}))
    ignored = tuple(name for name in names if name and name not in ours)
    return Table(tuple(lines), tuple(faults), ignored, encoding, delimiter)


def _decode(raw: bytes) -> tuple[str, str]:
    """The text of a file, and how it was encoded."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError:
            raise RosterError("the file is not whole UTF-16", hint="save it again as CSV UTF-8") from None
    try:
        return _no_nul(raw.decode("utf-8").removeprefix(_MARK)), "utf-8"
    except UnicodeDecodeError as error:
        # Text in Windows-1251 is nearly never valid UTF-8; UTF-8 with a broken byte is mostly valid all the same.
        if raw.startswith(_MARK.encode()) or _mostly_utf8(raw):
            line = raw.count(b"\n", 0, error.start) + 1
            raise RosterError(
                f"line {line}: byte 0x{raw[error.start]:02X} is not UTF-8 as the rest of the file is",
                hint="save the file again as CSV UTF-8",
            ) from None
    try:
        return _no_nul(raw.decode("cp1251")), "cp1251"
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RosterError(
            f"line {line}: byte 0x{raw[error.start]:02X} is neither UTF-8 nor Windows-1251",
            hint="save the file again as CSV UTF-8",
        ) from None


def _mostly_utf8(raw: bytes) -> bool:
    text = raw.decode("utf-8", errors="replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    return sum(ord(char) > 0x7F for char in text) - broken > 4 * broken


def _no_nul(text: str) -> str:
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RosterError(
            f"line {line}: a zero byte, expected text", hint="this is no CSV file; export it as CSV UTF-8"
        )
    return text
