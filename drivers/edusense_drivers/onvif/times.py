"""Reading a camera's clock out of GetSystemDateAndTime, as cameras really send it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from edusense.devices.camera import CameraClock
from edusense_drivers.onvif import soap

if TYPE_CHECKING:
    from lxml import etree

__all__ = ["moment_of", "posix_offset", "read_clock"]

_POSIX: Final = re.compile(r"^\s*(?:<[^>]{1,12}>|[A-Za-z]{2,12})\s*([+-]?)(\d{1,2})(?::(\d{2}))?(?::\d{2})?")


def read_clock(response: etree._Element | None, now_s: float) -> CameraClock:
    """The clock in a GetSystemDateAndTime response.

    `UTCDateTime` is taken where it is a date; else `LocalDateTime` with the camera's time zone; else there is no time.
    Cameras leave out elements, send them in any order, and show dates such as 0000-00-00 before their first NTP answer.

    Args:
        response: the response element; None where there was none.
        now_s: our clock when it came, Unix seconds.
    """
    said = soap.child(response, "SystemDateAndTime")
    zone = soap.text(said, "TimeZone", "TZ")
    when = _moment(soap.child(said, "UTCDateTime"))
    if when is None:
        local, offset = _moment(soap.child(said, "LocalDateTime")), posix_offset(zone or "")
        when = local - offset if local is not None and offset is not None else None
    ntp = (soap.text(said, "DateTimeType") or "").upper() == "NTP"
    # Cameras tell whole seconds, cut off: on average their clock is half a second further.
    saving = (soap.text(said, "DaylightSavings") or "").lower()
    daylight = saving in ("true", "1") if saving else None
    return CameraClock(when, None if when is None else when.timestamp() + 0.5 - now_s, ntp, zone, daylight)


def _moment(element: etree._Element | None) -> datetime | None:
    date, time = soap.child(element, "Date"), soap.child(element, "Time")
    parts = [soap.number(date, name) for name in ("Year", "Month", "Day")]
    parts += [soap.number(time, name) for name in ("Hour", "Minute", "Second")]
    if any(part is None for part in parts):
        return None
    year, month, day, hour, minute, second = (int(part) for part in parts if part is not None)
    try:
        day_begun = datetime(year, month, day, tzinfo=UTC)
        # Not into datetime(): some cameras show minute 61 or second 60.
        return day_begun + timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):
        return None


def posix_offset(zone: str) -> timedelta | None:
    """How far local time is ahead of UTC in a POSIX time zone string, daylight saving left out; None where it is none.

    >>> posix_offset("<+05>-5")
    datetime.timedelta(seconds=18000)
    """
    match = _POSIX.match(zone)
    if not match:
        return None
    sign = 1 if match[1] == "-" else -1  # POSIX counts westwards
    return sign * timedelta(hours=int(match[2]), minutes=int(match[3] or 0))


_STAMP: Final = re.compile(
    r"\s*(\d{4})-(\d{2})-(\d{2})[T -]+(\d{1,2}):(\d{2}):(\d{2})(?:[.,]\d+)?\s*(?:(Z)|([+-])(\d{2}):?(\d{2}))?\s*"
)


def moment_of(said: str | None) -> datetime | None:
    """A time stamp as cameras send it, in UTC; None where it is none.

    Besides what ISO 8601 has, `2023-05-15T-07:10:32Z`, `2010-01-01-00:00:00` and minute 61 are seen.

    >>> moment_of("2023-05-15T-07:61:32Z")
    datetime.datetime(2023, 5, 15, 8, 1, 32, tzinfo=datetime.timezone.utc)
    """
    match = _STAMP.fullmatch((said or "")[:64])
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    try:
        begun = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)
        return begun + offset if match[8] == "-" else begun - offset
    except (ValueError, OverflowError):
        return None
