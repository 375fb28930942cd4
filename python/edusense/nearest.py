"""What was meant: the nearest of the known words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["near", "nearest", "perhaps"]


def near(word: str, known: Iterable[str], most: int) -> list[str]:
    """The known words that look like `word`, the most similar first; empty where nothing comes near.

    Args:
        word: what was written.
        known: what could have been meant.
        most: how many at most.
    """
    import difflib  # on use: the command line comes by here at each start

    by_case = {name.casefold(): name for name in known}
    return [by_case[found] for found in difflib.get_close_matches(word.casefold(), by_case, n=most, cutoff=0.55)]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`, or None where nothing comes near.

    Args:
        word: what was written.
        known: what could have been meant.

    >>> nearest("time_zone", ["id", "number", "timezone"])
    'timezone'
    >>> nearest("xyz", ["id", "number"]) is None
    True
    """
    return next(iter(near(word, known, 1)), None)


def perhaps(word: str, known: Iterable[str]) -> str | None:
    """The nearest known word as a hint; None where nothing comes near.

    Args:
        word: what was written.
        known: what could have been meant.

    >>> perhaps("camra", ["camera", "reader"])
    'perhaps `camera`'
    """
    guess = nearest(word, known)
    return None if guess is None else f"perhaps `{guess}`"
