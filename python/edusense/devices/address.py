"""How a device is named in a site file and on a command line: `driver:target?key=value`.

>>> address = Address("rdm6300:/dev/ttyUSB0?baud=19200")
>>> address.driver, address.target, address.options
('rdm6300', '/dev/ttyUSB0', {'baud': '19200'})

A target that is itself a URL (`onvif:http://10.0.0.5/onvif?x=1`) keeps its query.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote

from edusense.errors import UsageError

__all__ = ["Address", "onvif_address"]

_DRIVER: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class Address(str):
    """A device's address: a text that knows its parts.

    Args:
        text: `driver:target?key=value&key=value`; target and options may be empty (`ccid:` is the first such reader).

    Raises:
        UsageError: it is no text, no driver is named, or an option is not `key=value` or stands there twice.
    """

    __slots__ = ("driver", "options", "target")

    driver: str
    """The driver's name, before the first colon."""
    target: str
    """What the driver opens: a port, an identity, a URL."""
    options: dict[str, str]
    """What comes after the question mark, decoded."""

    def __new__(cls, text: str) -> Address:
        """Reads the text."""
        if isinstance(text, Address):
            return text
        if not isinstance(text, str):
            raise UsageError(
                f"an address is text, not {type(text).__name__}",
                hint="such as `rdm6300:/dev/ttyUSB0` or `ccid:072f:2200`",
            )
        self = super().__new__(cls, text)
        driver, colon, rest = text.partition(":")
        if not colon or not _DRIVER.fullmatch(driver):
            example = f"`rdm6300:{text}`" if text.startswith("/") else "`rdm6300:/dev/ttyUSB0`"
            raise UsageError(
                f"`{text}` names no driver", hint=f"an address is driver:target, such as {example} or `ccid:072f:2200`"
            )
        options: dict[str, str] = {}
        if "://" not in rest:
            rest, _, query = rest.partition("?")
            try:
                pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
            except ValueError as error:
                raise UsageError(
                    f"`{text}`: what follows `?` is not key=value", hint="several options are joined by `&`"
                ) from error
            for key, value in pairs:
                if key in options:
                    raise UsageError(f"`{text}` gives `{key}` twice", hint="give each option once")
                options[key] = value
        self.driver, self.target, self.options = driver, rest, options
        return self

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)

    def with_target(self, target: str) -> Address:
        """The same driver and options with another target.

        >>> Address("external:wiegand:/dev/ttyUSB0?baud=9600").with_target("/dev/ttyUSB0").target
        '/dev/ttyUSB0'
        """
        told = "&".join(f"{quote(key)}={quote(value)}" for key, value in self.options.items())
        return Address(f"{self.driver}:{target}" + (f"?{told}" if told else ""))

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """An option that is a number.

        Args:
            key: the option.
            default: what it is when it is not given.
            low: the smallest value that makes sense.
            high: the largest.

        Raises:
            UsageError: it is no number, or outside the limits.
        """
        text = self.options.get(key)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise UsageError(
                f"`{self}`: `{key}` is `{text}`", hint=f"it is a number from {low:g} to {high:g}; default {default:g}"
            )
        return value


def onvif_address(host: str) -> str:
    """A camera's address as `open_camera` takes it, of what a site file or a person says.

    Args:
        host: a host with or without port, a URL, or such an address already.

    >>> onvif_address("10.20.0.51:8000")
    'onvif:http://10.20.0.51:8000/onvif/device_service'
    """
    if "://" not in host and host.partition(":")[0] != "onvif":
        host = f"http://{host}"
    if host.startswith(("http://", "https://")):
        host = f"onvif:{host}"
    head, _, rest = host.partition("://")
    place, _, path = rest.partition("/")
    return f"{head}://{place}/{path or 'onvif/device_service'}"
