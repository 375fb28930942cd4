"""Which destinations are installed, and making one of its table in the site file.

They enter by the entry points `edusense.destinations`, ours like a stranger's: the name is what `driver` says, the
value a subclass of `Destination`. One that cannot be loaded is told with its reason, never as a traceback.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

from edusense.alerts.destination import Destination, Settings
from edusense.errors import DestinationRefusedError, DriverBrokenError, DriverMissingError, EdusenseError, UsageError
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from edusense.site import Destination as Entry
    from edusense.site import Site

__all__ = ["GROUP", "check_table", "destination_class", "make_destination", "settings_of"]

GROUP: Final = "edusense.destinations"


def destination_class(name: str) -> type[Destination]:
    """The class of that name.

    Raises:
        DriverMissingError: none has it.
        DriverBrokenError: it is there and cannot be loaded.
    """
    points = list(metadata.entry_points(group=GROUP))
    for point in points:
        if point.name != name:
            continue
        whose = point.dist.name if point.dist is not None else "?"
        try:
            found = point.load()
        except (Exception, SystemExit) as error:
            raise DriverBrokenError(
                f"the destination `{name}` of the package `{whose}` cannot be loaded: {type(error).__name__}: {error}",
                hint=f"reinstall or update `{whose}`, or report this to its author",
            ) from error
        if not (isinstance(found, type) and issubclass(found, Destination)):
            raise DriverBrokenError(f"`{point.value}` is no `edusense.alerts.Destination`", hint="tell its author")
        return found
    known = sorted({point.name for point in points})
    raise DriverMissingError(
        f"no destination `{name}` is installed",
        hint=perhaps(name, known) or f"installed: {', '.join(known) or 'none'}",
    )


def settings_of(site: Site, entry: Entry) -> Settings:
    """What a destination is made of; its secret is read now.

    Raises:
        SiteSecretError: the secret cannot be had.
    """
    credentials = site.credentials_of(entry)
    return Settings(
        id=entry.id,
        school={"id": site.site.id, "number": site.site.number},
        url=entry.url,
        user=None if credentials is None else credentials.user,
        password=None if credentials is None else credentials.secret(),
        ca=None if entry.ca is None else site.path_of(entry.ca),
        options=dict(entry.options),
        timezone=site.site.timezone,
        folder=site.folder,
    )


def make_destination(cls: type[Destination], settings: Settings) -> Destination:
    """Makes a destination.

    Raises:
        UsageError: an option that its driver has not.
        DestinationRefusedError: its table cannot be right.
        DriverBrokenError: it failed in a way that is its author's.
    """
    _address(cls, settings)
    for name in settings.options:
        if name not in cls.OPTIONS:
            raise UsageError(
                f"destination `{settings.id}` has no option `{name}`",
                hint=perhaps(name, cls.OPTIONS) or f"its options: {', '.join(cls.OPTIONS) or 'none'}",
            )
    try:
        return cls(settings)
    except EdusenseError:
        raise
    except Exception as error:
        raise DriverBrokenError(
            f"destination `{settings.id}` cannot be made: {type(error).__name__}: {error}",
            hint="a bug of its driver: report it to its author",
        ) from error


def check_table(site: Site, entry: Entry) -> None:
    """Makes a destination of its table without its secret, and lets go of it: nothing is connected.

    Raises:
        EdusenseError: it cannot be made so.
    """
    credentials = None if entry.credentials is None else site.credentials_of(entry)
    settings = Settings(
        id=entry.id,
        school={"id": site.site.id, "number": site.site.number},
        url=entry.url,
        user=None if credentials is None else credentials.user,
        password=None if credentials is None else "not read",
        ca=None if entry.ca is None else site.path_of(entry.ca),
        options=dict(entry.options),
        timezone=site.site.timezone,
        folder=site.folder,
    )
    make_destination(destination_class(entry.driver), settings).close()


def _address(cls: type[Destination], settings: Settings) -> None:
    """Holds URL and credentials against what the class takes."""
    name, url = f"destination `{settings.id}`", settings.url
    if url is not None and not cls.URLS:
        raise DestinationRefusedError(f"{name} takes no `url`", hint="its `options` say all that it needs")
    if cls.URLS:
        scheme = "" if url is None else url.partition("://")[0]
        if scheme not in cls.URLS:
            what = "needs a `url`" if url is None else f"has the url `{url[:80]}`, which it cannot use"
            raise DestinationRefusedError(
                f"{name} {what}", hint=f"one that begins with {' or '.join(f'{one}://' for one in cls.URLS)}"
            )
    if settings.user is not None and not cls.CREDENTIALS:
        raise DestinationRefusedError(f"{name} takes no credentials", hint="leave `credentials` out")
