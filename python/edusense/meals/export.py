"""Records as rows for people and other programs: a line a meal, each with the key of the record that it comes from."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from edusense.meals.ledger import describe_flags
from edusense.meals.record import Flag, Kind, RecordKey, kind_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["MEAL_COLUMNS", "meal_rows", "terminal_rows"]

MEAL_COLUMNS: Final = (
    "record",
    "day",
    "time",
    "slot",
    "terminal",
    "pupil",
    "category",
    "price_tiyn",
    "entitlement",
    "assurance",
    "shown",
    "reversed",
    "flags",
)
"""Columns of an exported meal."""


def meal_rows(
    records: NDArray[Any],
    *,
    zone: datetime.tzinfo = datetime.UTC,
    first_day: int = 0,
    last_day: int = 99_991_231,
) -> Iterator[dict[str, Any]]:
    """The meals of some days, in the order of the ledger.

    Args:
        records: all records of a ledger, so that marks and reversals are seen.
        zone: of the column `time`.
        first_day: yyyymmdd.
        last_day: yyyymmdd.

    Yields:
        A row of `MEAL_COLUMNS` a meal. `shown`: the green light was noted; `reversed`: taken back, so not to be paid.
    """
    shown = _referred(records[records["kind"] == Kind.SHOWN])
    taken_back = _referred(records[records["kind"] == Kind.REVERSAL])
    wanted = (records["kind"] == Kind.MEAL) & (records["day"] >= first_day) & (records["day"] <= last_day)
    for record in records[wanted]:
        key = RecordKey.of(record)
        moment = datetime.datetime.fromtimestamp(int(record["time"]) / 1e6, zone)
        yield {
            "record": str(key),
            "day": iso_day(int(record["day"])),
            "time": moment.isoformat(timespec="milliseconds"),
            "slot": bytes(record["slot"]).decode("ascii"),
            "terminal": key.terminal,
            "pupil": int(record["pupil"]),
            "category": int(record["category"]),
            "price_tiyn": int(record["price"]),
            "entitlement": f"{int(record['entitlement']):08x}",
            "assurance": int(record["assurance"]),
            "shown": key in shown,
            "reversed": key in taken_back,
            "flags": describe_flags(int(record["flags"])),
        }


def terminal_rows(records: NDArray[Any]) -> list[dict[str, Any]]:
    """What each terminal wrote: records by kind, its last key and time.

    Args:
        records: records of a ledger.
    """
    rows = []
    for number in sorted({int(terminal) for terminal in records["terminal"]}):
        own = records[records["terminal"] == number]
        kinds = Counter(kind_name(int(kind)) for kind in own["kind"])
        last = own[-1]
        rows.append(
            {
                "kind": "terminal",
                "terminal": number,
                "records": len(own),
                "meals": kinds["meal"],
                "shown": kinds["shown"],
                "reversed": kinds["reversal"],
                "epochs": kinds["opened"],
                "clock_went_back": int(((own["flags"] & Flag.CLOCK_WENT_BACK) != 0).sum()),
                "last": str(RecordKey.of(last)),
                "last_s": int(last["time"]) / 1e6,
            }
        )
    return rows


def _referred(records: NDArray[Any]) -> set[RecordKey]:
    """The keys that marks or reversals refer to."""
    return {
        RecordKey(int(record["terminal"]), int(record["ref_epoch"]), int(record["ref_sequence"])) for record in records
    }


def iso_day(day: int) -> str:
    return f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"
