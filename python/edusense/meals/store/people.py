"""Names and photos of people, and their deletion."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import RosterError

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from edusense.meals.store.schema import Database

__all__ = ["PHOTO_SIZE", "People", "PhotoImport", "read_photo"]

PHOTO_SIZE: Final = (480, 600)
"""Largest width and height of a kept photo: enough for a screen that is looked at from two metres."""

_MOST_BYTES: Final = 30 << 20
_MOST_PIXELS: Final = 80_000_000
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True)
class PhotoImport:
    """What became of one file of a folder of photos."""

    file: str
    pupil: int | None
    problem: str | None
    """Why it was not taken; None: it was."""

    def to_json(self) -> dict[str, Any]:
        """As `edusense roster photos --json` prints it."""
        return {"file": self.file, "pupil": self.pupil, "problem": self.problem}


class People:
    """Names and photos of a roster's database.

    Args:
        database: the roster's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def name(self, number: int) -> str | None:
        """Somebody's name; None for nobody's number, or where it was deleted."""
        row = self._database.row("SELECT name FROM people WHERE number = ?", number)
        return None if row is None else str(row[0])

    def names(self) -> dict[int, str]:
        """All names, by number."""
        return dict(self._database.rows("SELECT number, name FROM people"))

    def photo(self, number: int) -> bytes | None:
        """Somebody's photo as JPEG; None where there is none."""
        row = self._database.row("SELECT photo FROM people WHERE number = ?", number)
        return None if row is None or row[0] is None else bytes(row[0])

    def with_photo(self) -> frozenset[int]:
        """The numbers of all who have a photo."""
        return frozenset(number for (number,) in self._database.rows("SELECT number FROM people WHERE photo NOT NULL"))

    def set_photo(self, number: int, photo: bytes | None, *, at: float) -> bool:
        """Keeps or deletes somebody's photo.

        Args:
            number: whose.
            photo: JPEG as `read_photo` makes it; None deletes it.
            at: when, Unix seconds.

        Returns:
            Whether there is such a person.
        """
        with self._database.transaction():
            there = self._database.row("SELECT 1 FROM people WHERE number = ?", number) is not None
            self._database.write("UPDATE people SET photo = ?, photo_at = ? WHERE number = ?", photo, at, number)
        return there

    def import_photos(self, folder: Path, *, at: float) -> list[PhotoImport]:
        """Takes the photos of a folder: files named by the pupil's number, `1017.jpg`.

        Args:
            folder: where they are.
            at: when, Unix seconds.

        Returns:
            What became of each file; one that is no photo does not hold up the others.

        Raises:
            RosterError: there is no such folder.
        """
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        except OSError as error:
            raise RosterError(
                f"`{folder}` cannot be read: {error.strerror}", hint="name a folder of photos such as 1017.jpg"
            ) from None
        found = []
        for path in files:
            if not (path.stem.isascii() and path.stem.isdecimal()):
                found.append(PhotoImport(path.name, None, "its name is no number of a pupil"))
                continue
            number = int(path.stem)
            try:
                photo = read_photo(path.read_bytes())
            except (RosterError, OSError) as error:
                found.append(PhotoImport(path.name, number, str(error)))
                continue
            known = number < 2**63 and self.set_photo(number, photo, at=at)
            found.append(PhotoImport(path.name, number, None if known else "nobody on the list has this number"))
        return found

    def forget(self, before: datetime.date, *, at: float) -> int:
        """Deletes everybody who stood on no list that was in force on or after a day: name, photo, cards, allergens.

        What the ledger says of their meals stays, by numbers alone.

        Args:
            before: who was last listed before this day goes.
            at: when, Unix seconds.

        Returns:
            How many people were deleted.
        """
        base = self._database
        # A list was in force until the day before the next one began.
        gone = (
            "SELECT number FROM people WHERE number NOT IN (SELECT pupil FROM entries JOIN lists ON lists.id = list "
            "WHERE state = 'proposed' OR (state = 'taken' AND coalesce(last, '9999') >= :before AND coalesce("
            "(SELECT min(later.first) FROM lists AS later WHERE later.state = 'taken' AND (later.first, later.id) > "
            "(lists.first, lists.id)), '9999') > :before))"
        )
        with base.transaction():
            numbers = [row[0] for row in base.rows(gone.replace(":before", "?1"), before.isoformat())]
            some = [(number,) for number in numbers]
            base.write_many("DELETE FROM people WHERE number = ?", some)
            base.write_many("DELETE FROM listed_cards WHERE pupil = ?", some)
            base.write_many("DELETE FROM card_changes WHERE pupil = ?", some)
            base.write_many(
                "UPDATE entries SET allergens = '[]', consent_date = NULL, voucher_from = NULL, voucher_to = NULL "
                "WHERE pupil = ?",
                some,
            )
            if numbers:
                base.write(
                    "INSERT INTO purges (made_at, before, people) VALUES (?, ?, ?)", at, before.isoformat(), len(some)
                )
        if numbers:
            # What SQLite would keep of them in free pages goes too.
            base.write("VACUUM")
        return len(numbers)


def read_photo(raw: bytes) -> bytes:
    """A photo as it is kept: upright, at most `PHOTO_SIZE`, JPEG, without what cameras write beside the picture.

    Args:
        raw: JPEG, PNG or WebP.

    Raises:
        RosterError: it is no such picture, or larger than any photo.
    """
    from PIL import Image, ImageOps

    if len(raw) > _MOST_BYTES:
        raise RosterError(f"it has {len(raw)} bytes, more than any photo", hint=f"at most {_MOST_BYTES >> 20} MiB")
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG", "WEBP")) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise RosterError(f"it has {opened.width}×{opened.height} pixels, more than any photo")
            opened.draft("RGB", (PHOTO_SIZE[0] * 2, PHOTO_SIZE[1] * 2))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except RosterError:
        raise
    except Exception as error:
        raise RosterError(f"it is no picture: {type(error).__name__}: {error}") from error
    picture.thumbnail(PHOTO_SIZE)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()
