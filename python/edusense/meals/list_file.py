"""The roster's file on disk: replaced as a whole, or changed in its column of cards and nowhere else."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import os
from typing import TYPE_CHECKING

from edusense.errors import PermissionDeniedError, RosterError
from edusense.meals.table import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edusense.devices import CardId

__all__ = ["replace_file", "with_cards"]


def replace_file(path: Path, data: bytes) -> None:
    """Puts a file in the place of another; at each moment, also after a power cut, one of the two is there whole.

    Args:
        path: the file.
        data: what is to stand in it.

    Raises:
        PermissionDeniedError: this user may not write to its folder.
        RosterError: the disk is full, or broken.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except PermissionError:
        raise PermissionDeniedError(
            f"`{path}` may not be replaced", hint="the user needs to write to its folder"
        ) from None
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise RosterError(
            f"`{path}` cannot be replaced: {error.strerror}", hint="the list in force is as it was"
        ) from None


def with_cards(raw: bytes, cards: Mapping[int, Sequence[CardId]]) -> bytes:
    """A roster's file with other cards: whatever else stands in it stays, its encoding and its other columns too.

    Args:
        raw: the file as it is; it must be right (`Roster.check`).
        cards: the cards of those pupils whose cards are to change, by number.

    >>> from edusense.devices import CardId
    >>> head = b"pupil;name;class;category;cards;consent_date;voucher_from;voucher_to;house\\r\\n"
    >>> with_cards(head + b"1017;A;1A;;;;;;green\\r\\n", {1017: [CardId.parse("em4100:010063E9AE")]}).splitlines()[1]
    b'1017;A;1A;;em4100:010063E9AE;;;;green'
    """
    table = read_table(raw)
    text = raw.decode(table.encoding).removeprefix("\ufeff")
    first, end, rest = text.partition("\n")
    separator = first + end if first.strip().lower().startswith("sep=") else ""
    lines = io.StringIO(rest if separator else text, newline="")
    rows = list(csv.reader(lines, delimiter=table.delimiter, strict=True))
    heading = next(row for row in rows if any(cell.strip() for cell in row))
    names = [name.strip().lower() for name in heading]
    at, of = names.index("cards"), names.index("pupil")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\r\n" if "\r\n" in text else "\n")
    for row in rows:
        number = row[of].strip() if len(row) > max(at, of) else ""
        if row is not heading and number.isdecimal() and int(number) in cards:
            row[at] = " ".join(str(card) for card in cards[int(number)])
        writer.writerow(row)
    told = separator + out.getvalue()
    if table.encoding == "utf-16":
        return codecs.BOM_UTF16_LE + told.encode("utf-16-le")
    return (codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b"") + told.encode(table.encoding)
