"""A batch as a hub sees it: read, checked, and counted; and the key that a hub signs with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edusense.errors import BatchError, UsageError
from edusense.meals.batches import Batch
from edusense.meals.keys import SigningKey
from edusense.meals.record import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DamagedError", "Totals", "hub_key", "read_batch"]


class DamagedError(ValueError):
    """Bytes are no batch, or not the one that was signed; the message names the first thing that is wrong."""


@dataclass(frozen=True)
class Totals:
    """What records come to.

    Attributes:
        meals: of kind meal.
        reversals: of kind reversal.
        sum_tiyn: prices of the meals less prices of the reversals.
        head: SHA-256 of the last record.
    """

    meals: int
    reversals: int
    sum_tiyn: int
    head: bytes

    @classmethod
    def of(cls, records: NDArray[Any]) -> Totals:
        """Of records that follow one another."""
        meals, reversals = (records["kind"] == kind for kind in (Kind.MEAL, Kind.REVERSAL))
        prices = records["price"].astype("<i8")
        return cls(
            int(meals.sum()),
            int(reversals.sum()),
            int(prices[meals].sum() - prices[reversals].sum()),
            hashlib.sha256(records[-1:].tobytes()).digest(),
        )


def read_batch(body: bytes) -> Batch:
    """Reads a batch and checks all that can be checked without knowing the school.

    Raises:
        DamagedError: the first thing that is wrong.
    """
    try:
        batch = Batch.read(body)
    except BatchError as error:
        raise DamagedError(str(error)) from error
    records = batch.records
    # An epoch begins with the record that says what it follows, and has no other of that kind.
    fits = (records["kind"] == Kind.OPENED) == (records["sequence"] == 1)
    meals = (records["kind"] == Kind.MEAL) | (records["kind"] == Kind.REVERSAL)
    fits &= ~meals | ((records["day"] >= 19_700_101) & (records["day"] <= 99_991_231) & (records["slot"] != b""))
    if not fits.all():
        raise DamagedError(f"its record number {int(np.argmin(fits))} cannot stand where it does")
    return batch


def hub_key(folder: Path) -> SigningKey:
    """What a hub signs with: of its folder, made when it is missing, for its owner alone.

    Raises:
        UsageError: the file holds no key, or others may read it.
    """
    path = folder / "hub.key"
    try:
        if not path.exists():
            SigningKey.make().save(path)
        return SigningKey.load(path)
    except BatchError as error:
        raise UsageError(str(error), hint="without the file a new key is made, which boxes will not believe") from error
