"""The kinds of value that stand in a site file, each with its check and a message that says what was meant.

A check raises `wrong(…)`; `edusense.site.problems` adds the place and the class of `edusense.errors`.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import zoneinfo
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from edusense.errors import UsageError
from edusense.site.hours import parse_hours
from edusense.site.secrets import in_url
from edusense.week import days_of

__all__ = [
    "MAX_SLOT_ID",
    "Address",
    "Assigned",
    "Certificate",
    "Clock",
    "Days",
    "DestinationUrl",
    "FilePath",
    "Hours",
    "Id",
    "Line",
    "ListenAddress",
    "Mac",
    "Name",
    "Point",
    "Polygon",
    "Price",
    "PublicKey",
    "Secret",
    "SlotId",
    "StreamUrl",
    "Template",
    "TimeZone",
    "WebUrl",
    "clock_of",
    "is_loopback",
    "wrong",
]

MAX_SLOT_ID: Final = 12
"""Bytes of a slot's id: it is written into every meal record, which has that much room."""
_ID: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


def wrong(message: str, hint: str | None = None, *, code: str = "site-value") -> PydanticCustomError:
    """A finding of one of our own checks, on its way through pydantic.

    Args:
        message: what is wrong, without the place.
        hint: what to do next.
        code: the `code` of a class below `SiteError`.
    """
    # pydantic fills braces of the template itself; a message with braces of its own must come in as a value.
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint})


def _identifier(value: str) -> str:
    if re.fullmatch(_ID, value) and len(value) <= 64:
        return value
    slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:64]
    raise wrong(
        f"`{value[:80]}` is not an id: small letters a–z, digits and hyphens, at most 64",
        f'for example "{slug}"' if slug else "in Latin letters: it stands in file names and addresses",
    )


def _slot_id(value: str) -> str:
    _identifier(value)
    if len(value.encode()) > MAX_SLOT_ID:
        raise wrong(
            f"`{value}` is longer than {MAX_SLOT_ID} bytes, which is the room that a meal record has for it",
            f'for example "{value[:MAX_SLOT_ID].strip("-")}"',
        )
    return value


def _name(value: str) -> str:
    if not value.strip() or any(ord(character) < 32 for character in value) or len(value) > 200:
        raise wrong("expected a text of 1 to 200 characters without control characters")
    return value


def _file_path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise wrong("expected the path of a file or folder, and it is empty")
    return Path(value).expanduser()


def _time_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            raise wrong(
                f"`{value}` cannot be looked up: this computer has no time zone data", "apt-get install tzdata"
            ) from None
        from edusense.nearest import nearest

        guess = nearest(value, known) or "Asia/Almaty"
        raise wrong(f"there is no time zone `{value}`", f'perhaps "{guess}"') from None
    return value


def clock_of(value: Any) -> datetime.time | None:
    """A time of day as the file may write it ("11:00", "11:00:30", or TOML's own local time); None for anything else.

    >>> clock_of("14:30")
    datetime.time(14, 30)
    """
    if isinstance(value, datetime.time) and value.tzinfo is None:
        return value
    if isinstance(value, str) and (match := re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", value)):
        hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime.time(hour, minute, second)
    return None


def _clock(value: Any) -> Any:
    if (time := clock_of(value)) is not None:
        return time
    if isinstance(value, str):
        raise wrong(f"`{value[:40]}` is not a time of day", 'written as "11:00" or "14:30", from "00:00" to "23:59"')
    return value


def _price(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    if not isinstance(value, str):
        raise wrong(
            f"expected a price as text, the number {value!r} stands here",
            f'in tenge, in quotes: price = "{value:.2f}" (a number could lose a tiyn to rounding)',
        )
    if not re.fullmatch(r"\d{1,7}(\.\d{1,2})?", value):
        if re.fullmatch(r"\d+\.\d{3,}", value):
            raise wrong(f"`{value[:40]}` has more than two decimals: there is nothing smaller than a tiyn")
        raise wrong(f"`{value[:40]}` is not a price", 'tenge with two decimals: price = "450.00"')
    whole, _, part = value.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


def _secret(value: str) -> str:
    kind, _, rest = value.partition(":")
    if kind == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        return value
    if kind == "file" and rest and "\0" not in rest:
        return value
    # The value itself is never repeated: it is, or may be, the secret.
    if kind in ("env", "file"):
        what = "the name of a variable: letters, digits, _" if kind == "env" else "the path of a file"
        raise wrong(f"after `{kind}:` stands {what}", 'password = "file:/etc/edusense/cameras.secret" or "env:NAME"')
    raise wrong(
        "a secret must not stand in the site file, only the place where it is kept",
        'password = "file:/etc/edusense/cameras.secret" (mode 0600) or "env:NAME"; what stood here should be changed',
        code="site-secret",
    )


def _no_password(value: str, field: str) -> None:
    if in_url(value):
        raise wrong(
            f"a user or password must not stand in `{field}`",
            'name a table of [credentials]: credentials = "cameras"; what stood here should be changed',
            code="site-secret",
        )


def _url(value: str, field: str, schemes: tuple[str, ...], example: str) -> str:
    _no_password(value, field)
    try:
        parts = urlsplit(value)
        sound = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or re.search(r"\s", value):
        raise wrong(f"`{value[:80]}` is not a URL of {', '.join(schemes)}", f'for example "{example}"')
    return value


def _stream_url(value: str) -> str:
    return _url(value, "url", ("rtsp", "rtsps", "http", "https"), "rtsp://10.20.0.51:554/stream1")


def _web_url(value: str) -> str:
    return _url(value, "url", ("https", "http"), "https://ops.example.kz/alerts")


def _destination_url(value: str) -> str:
    scheme = value.partition("://")[0]
    # Which schemes there are is known to the destinations that are installed, also to strangers'.
    schemes = (scheme,) if re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) else ("https",)
    return _url(value, "url", schemes, "https://ops.example.kz/alerts")


def _public_key(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise wrong(
            "this is no public key: 64 hex digits", "`edusense sim hub` prints its own; ask whoever runs the hub"
        )
    return value.lower()


def _address(value: str) -> str:
    _no_password(value, "address")
    host, port = value, None
    # As `edusense camera discover` prints it, too: some makes keep ONVIF at another path than the standard's.
    if match := re.fullmatch(r"(?:https?://)?(\[[0-9A-Fa-f:.]+\]|[^:/\[\]\s]+)(?::(\d{1,5}))?(?:/[!-~]*)?", value):
        host, port = match.group(1), match.group(2)
    sound = re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", host)
    if re.fullmatch(r"[\d.]+", host):
        sound = re.fullmatch(r"(\d{1,3})(\.\d{1,3}){3}", host)
        sound = sound if sound and all(int(part) <= 255 for part in host.split(".")) else None
    if not sound or (port is not None and not 0 < int(port) < 65536):
        hint = (
            'a whole URL belongs in url = "rtsp://…", for a camera without ONVIF'
            if "://" in value
            else 'for example "10.20.0.51" or "camera-7.school.local:8080"'
        )
        raise wrong(f"`{value[:80]}` is not the address of a camera: a host or IP address, and a port if not 80", hint)
    return value


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("10.20.0.5")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    sound = port.isascii() and port.isdecimal() and int(port) < 65536 and host == host.strip()
    try:
        sound = sound and (host == "localhost" or bool(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))))
    except ValueError:
        sound = False
    if not sound or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        raise wrong(
            f"`{value[:80]}` is not an address to listen on", 'an IP address and a port: listen = "127.0.0.1:8480"'
        )
    return value


def _mac(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", value):
        raise wrong(f"`{value[:40]}` is not a MAC address", 'six pairs of hex digits: mac = "00:1a:2b:3c:4d:5e"')
    return value.lower().replace("-", ":")


def _assigned(value: str) -> str:
    address, _, prefix = value.partition("/")
    try:
        if not prefix.isdecimal() or not 1 <= int(prefix) <= 30:
            raise ValueError
        interface = ipaddress.IPv4Interface(value)
    except ValueError:
        raise wrong(f"`{value[:40]}` is not an IPv4 address with its network's prefix", '"10.20.0.51/22"') from None
    if interface.ip in (interface.network.network_address, interface.network.broadcast_address):
        raise wrong(f"`{value}` is the address of the network itself, not of a device in it")
    return f"{address}/{prefix}"


def _certificate(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9A-Fa-f]{64}", value):
        raise wrong(
            f"`{value[:80]}` is not the fingerprint of a certificate",
            "sha256: and 64 hex digits, as the error about an unknown certificate says them",
        )
    return value.lower()


def _template(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value) or ".." in value.split("/"):
        raise wrong(
            f"`{value[:80]}` is not the name of a template",
            'a file below firmware_configs/cameras without its ".toml": template = "generic/onvif-t"',
        )
    return value


def _hours(value: str) -> str:
    try:
        parse_hours(value)
    except UsageError as error:
        raise wrong(error.message, error.hint) from None
    return value


def _week(value: str) -> str:
    if days_of(value):
        return value
    raise wrong(f"`{value[:60]}` names no days of the week", 'days = "mon-fri", or "mon-thu,sat"')


def _polygon(value: list[list[float]]) -> list[list[float]]:
    points = [(x, y) for x, y in value]
    if _crosses(points):  # before the area: a bow tie's halves cancel out
        raise wrong("the polygon's sides cross each other", "name its corners in order around it")
    ring = [*points, points[0]]
    area = abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))) / 2
    if area < 1e-6:
        raise wrong("the polygon has no area: its corners lie on one line")
    return value


def _line(value: list[list[float]]) -> list[list[float]]:
    if value[0] == value[1]:
        raise wrong("the line has no length: its two points are one")
    return value


def _crosses(points: list[tuple[float, float]]) -> bool:
    """Whether two sides that do not share a corner meet."""
    Corner = tuple[float, float]  # noqa: N806 - a type

    def side(a: Corner, b: Corner, c: Corner) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    sides = [(points[index], points[(index + 1) % len(points)]) for index in range(len(points))]
    for first in range(len(sides)):
        for second in range(first + 2, len(sides)):
            if first == 0 and second == len(sides) - 1:
                continue  # neighbours around the end
            (a, b), (c, d) = sides[first], sides[second]
            if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
                return True
    return False


def _text(pattern: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


Id = Annotated[str, AfterValidator(_identifier), _text(_ID, maxLength=64)]
SlotId = Annotated[str, AfterValidator(_slot_id), _text(_ID, maxLength=MAX_SLOT_ID)]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200})]
FilePath = Annotated[Path, BeforeValidator(_file_path), WithJsonSchema({"type": "string", "minLength": 1})]
TimeZone = Annotated[str, AfterValidator(_time_zone), WithJsonSchema({"type": "string", "examples": ["Asia/Almaty"]})]
Clock = Annotated[
    datetime.time,
    BeforeValidator(_clock),
    PlainSerializer(lambda time: time.isoformat("minutes" if not time.second else "seconds"), when_used="json"),
    _text(r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"),
]
Price = Annotated[
    int,
    BeforeValidator(_price),
    PlainSerializer(lambda tiyn: f"{tiyn // 100}.{tiyn % 100:02}", when_used="json"),
    _text(r"^\d{1,7}(\.\d{1,2})?$"),
]
Secret = Annotated[str, AfterValidator(_secret), _text(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
StreamUrl = Annotated[str, AfterValidator(_stream_url), _text(r"^(rtsps?|https?)://")]
DestinationUrl = Annotated[str, AfterValidator(_destination_url), _text(r"^[a-z][a-z0-9+.-]*://")]
WebUrl = Annotated[str, AfterValidator(_web_url), _text(r"^https?://")]
PublicKey = Annotated[str, AfterValidator(_public_key), _text(r"^[0-9a-fA-F]{64}$")]
ListenAddress = Annotated[
    str, AfterValidator(_listen), WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8480"]})
]
Address = Annotated[str, AfterValidator(_address), WithJsonSchema({"type": "string", "examples": ["10.20.0.51"]})]
Mac = Annotated[str, AfterValidator(_mac), _text(r"^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$")]
Assigned = Annotated[str, AfterValidator(_assigned), WithJsonSchema({"type": "string", "examples": ["10.20.0.51/22"]})]
Certificate = Annotated[str, AfterValidator(_certificate), _text(r"^sha256:[0-9A-Fa-f]{64}$")]
Template = Annotated[
    str, AfterValidator(_template), WithJsonSchema({"type": "string", "examples": ["generic/onvif-t"]})
]
Hours = Annotated[str, AfterValidator(_hours), WithJsonSchema({"type": "string", "examples": ["mon-fri 18:00-07:00"]})]
Days = Annotated[str, AfterValidator(_week), WithJsonSchema({"type": "string", "examples": ["mon-fri"]})]
Point = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=2)]
Line = Annotated[list[Point], Field(min_length=2, max_length=2), AfterValidator(_line)]
Polygon = Annotated[list[Point], Field(min_length=3, max_length=64), AfterValidator(_polygon)]
