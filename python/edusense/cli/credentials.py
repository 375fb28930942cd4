"""User and password of commands that take a URL or a camera: `--user NAME --password-from env:NAME|file:PATH`.

A password never stands on a command line: everybody on the machine sees it there, and the shell's history keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edusense.errors import SiteSecretError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["password_at", "resolve", "url_options"]


def url_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--user` and `--password-from` (arguments `user`, `password_from`)."""
    function = click.option(
        "--password-from",
        metavar="env:NAME|file:PATH",
        help="Where the password is: an environment variable, or a file of mode 0600.",
    )(function)
    return click.option("--user", metavar="NAME", help="The user on the device.")(function)


def resolve(url: str, user: str | None, password_from: str | None) -> tuple[str | None, str | None]:
    """User and password for a URL.

    Args:
        url: the URL, or whatever else names the source; it must not carry a user or password.
        user: `--user`.
        password_from: `--password-from`.

    Returns:
        User and password; None and None where neither option was given.

    Raises:
        UsageError: a password stands in the URL, one option is given without the other, or the password cannot be
            read from where it is said to be.
    """
    # Only a URL: a file's name, which commands of `video` take in its place, may hold anything.
    if "://" in url and _carries_secret(url):
        raise UsageError(
            "a user or password stands in the URL, where everybody on this machine can read it",
            hint="--user NAME --password-from env:NAME or file:PATH; change the password that stood here",
        )
    if password_from is None:
        if user is not None:
            raise UsageError(f"`--user {user}` without a password", hint="add --password-from env:NAME or file:PATH")
        return None, None
    if user is None:
        raise UsageError("`--password-from` without a user", hint="add --user NAME")
    return user, password_at(password_from)


def _carries_secret(url: str) -> bool:
    from edusense.site.secrets import in_url

    return in_url(url)


def password_at(reference: str) -> str:
    """The password that `--password-from` points to.

    Args:
        reference: `env:NAME` or `file:PATH`.

    Raises:
        UsageError: it cannot be had, or others may read it; never with any part of it.
    """
    from edusense.site.secrets import resolve as read

    try:
        return read(reference)
    except SiteSecretError as error:
        # On the command line this is an option, not a line of the site file.
        raise UsageError(error.message, hint=error.hint or "--password-from env:NAME or file:PATH") from None
