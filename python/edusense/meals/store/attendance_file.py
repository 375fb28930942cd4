"""How many children of a class came on a day, as a CSV file."""

from __future__ import annotations

from edusense.errors import RosterError
from edusense.meals.roster_lines import read_date
from edusense.meals.store.days import Attendance
from edusense.meals.table import Fault, read_table

__all__ = ["read_attendance"]


def read_attendance(raw: bytes, name: str) -> list[Attendance]:
    """The counts of a file with the columns `day`, `class`, `present`, in any of the dresses of a roster's file.

    Args:
        raw: its bytes.
        name: what to call it in errors.

    Raises:
        RosterError: a line is wrong; the message names it, and nothing of the file is to be taken.
    """
    table = read_table(raw, ("day", "class", "present"), ())
    faults: list[Fault] = list(table.faults)
    found: dict[tuple[str, str], Attendance] = {}
    for line in table.lines:
        try:
            day = read_date(line["day"])
        except ValueError:
            day = None
        if day is None:
            faults.append(line.fault("day", "a day, such as 2026-10-05 or 05.10.2026"))
        elif not line["class"]:
            faults.append(line.fault("class", "a class, such as 4Б"))
        elif not (line["present"].isascii() and line["present"].isdecimal() and len(line["present"]) <= 5):
            faults.append(line.fault("present", "how many came, a whole number"))
        elif (day.isoformat(), line["class"]) in found:
            faults.append(line.fault("class", f"a class that occurs once on {day}"))
        else:
            found[day.isoformat(), line["class"]] = Attendance(day, line["class"], int(line["present"]))
    if faults:
        first = min(faults, key=lambda fault: fault.line)
        more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
        raise RosterError(f"{name}: {first}{more}", hint="nothing of the file was taken")
    return list(found.values())
