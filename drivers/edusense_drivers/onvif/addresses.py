"""Addresses that a camera gives, made ones that we can reach. Text in, text out; nothing is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from edusense.errors import DeviceProtocolError

if TYPE_CHECKING:
    from edusense_drivers.onvif.http import Place

__all__ = ["repair", "repair_stream", "without_secrets", "without_user"]

_DOUBLED_PORT: Final = re.compile(r"^(https?://[^/:\[\]]+:\d+):\d+")
_SECRET_KEYS: Final = frozenset(
    {"user", "username", "usr", "loginuse", "password", "passwd", "pass", "pwd", "loginpas"}
)


def repair(address: str, place: Place, *, ours: bool = True) -> str:
    """An http address that the camera gave, made one that we can reach.

    Relative ones are completed, doubled ports (`host:8106:8106`) halved, users and passwords taken out; a host that is
    not the one we reached it by is replaced together with its port, since what is behind NAT answers at one.

    Args:
        address: as the camera gave it.
        place: where we reached it.
        ours: put our host in; else believe the camera's.
    """
    address = _DOUBLED_PORT.sub(r"\1", address.strip())
    try:
        parts = urlsplit(urljoin(place.url, address))
        host, port = parts.hostname, parts.port
    except ValueError:
        return place.url
    if parts.scheme not in ("http", "https") or not host:
        return place.url
    if ours and host != place.host:
        parts = parts._replace(scheme=place.scheme, netloc=str(place))
    else:
        netloc = f"[{host}]" if ":" in host else host
        parts = parts._replace(netloc=netloc if port is None else f"{netloc}:{port}")
    return urlunsplit(parts._replace(fragment=""))


def repair_stream(address: str, place: Place, *, ours: bool = True) -> str:
    """An rtsp address that the camera gave, without user and password, with the host that we reached it by and its own
    port.

    Args:
        address: as the camera gave it.
        place: where we reached it.
        ours: put our host in; else believe the camera's.

    Raises:
        DeviceProtocolError: it is no address of a stream.
    """
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("rtsp", "rtsps", "http", "https") or not host:
        raise DeviceProtocolError(f"`{place}` gives `{without_user(address)[:80]}` as the address of a stream")
    if ours:
        host = place.host
    netloc = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=netloc if port is None else f"{netloc}:{port}"))


def without_user(url: str) -> str:
    """A URL fit for eyes: what stands before `@` taken out.

    >>> without_user("rtsp://admin:secret@10.0.0.5:554/main")
    'rtsp://10.0.0.5:554/main'
    """
    head, mark, tail = url.partition("://")
    if not mark:
        return url.rpartition("@")[2]
    netloc, slash, rest = tail.partition("/")
    return f"{head}://{netloc.rpartition('@')[2]}{slash}{rest}"


def without_secrets(url: str) -> str:
    """A URL without user and password, also where they stand in its query.

    >>> without_secrets("http://10.0.0.5/snap?channel=1&user=admin&password=12345")
    'http://10.0.0.5/snap?channel=1'
    """
    parts = urlsplit(without_user(url))
    said = parse_qsl(parts.query, keep_blank_values=True)
    if any(key.lower() in _SECRET_KEYS for key, _ in said):
        parts = parts._replace(
            query=urlencode([(key, value) for key, value in said if key.lower() not in _SECRET_KEYS])
        )
    return urlunsplit(parts)
