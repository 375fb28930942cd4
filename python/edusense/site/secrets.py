"""Where a secret is (`env:NAME` or `file:PATH`), and reading it: the one place that does."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edusense.errors import SiteSecretError

__all__ = ["in_url", "resolve"]

_MAX_BYTES: Final = 4096
_ASSIGNED: Final = re.compile(r"[?&;/](pass(word|wd)?|pwd)=[^&;/]", re.IGNORECASE)
"""As in `rtsp://10.20.0.51/user=admin&password=…&channel=1`, which many a camera's manual gives as its address."""


def in_url(url: str) -> bool:
    """Whether a URL, or a host without a scheme, carries a user or password.

    >>> in_url("rtsp://admin:x@10.20.0.51/stream1"), in_url("rtsp://10.20.0.51/stream1?channel=1")
    (True, False)
    """
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        told = parts.username is not None or parts.password is not None
    except ValueError:
        told = "@" in url
    return told or _ASSIGNED.search(url) is not None


def resolve(
    reference: str,
    folder: str | os.PathLike[str] = "",
    *,
    place: tuple[str | None, int | None, int | None] = (None, None, None),
) -> str:
    """Reads a secret.

    Args:
        reference: `env:NAME`, or `file:PATH` with a path that may be relative to `folder`.
        folder: where relative paths start.
        place: file, line and column that errors name.

    Returns:
        The secret, without the line end that editors put after it.

    Raises:
        SiteSecretError: it cannot be had, or others may read it. No message ever holds any part of it.

    >>> import os
    >>> os.environ["CAMERA_PASSWORD"] = "correct horse"
    >>> resolve("env:CAMERA_PASSWORD")
    'correct horse'
    """

    def refusal(message: str, hint: str | None) -> SiteSecretError:
        path, line, column = place
        return SiteSecretError(message, hint=hint, path=path, line=line, column=column)

    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if not value:
            state = "not set" if value is None else "empty"
            raise refusal(f"the environment variable `{rest}` is {state}", f"export {rest}=…, or use file:PATH")
        return value
    if kind != "file":
        raise refusal("a secret is named by `env:NAME` or `file:PATH`", None)

    path = Path(folder) / Path(rest).expanduser()
    create = f"install -m 600 /dev/null {path}, then write the password into it"
    try:
        # The open file is asked, not its name: it could be exchanged between the two.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise refusal(f"the secret's file `{path}` does not exist", create) from None
    except PermissionError:
        raise refusal(f"the secret's file `{path}` may not be read by this user", f"chown $USER {path}") from None
    except OSError as error:
        raise refusal(f"the secret's file `{path}` cannot be read: {error.strerror}", None) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise refusal(f"the secret's file `{path}` is not a file", None)
        if status.st_mode & 0o077:
            raise refusal(
                f"the secret's file `{path}` may be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
                f"chmod 600 {path}",
            )
        content = os.read(descriptor, _MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_BYTES:
        raise refusal(
            f"the secret's file `{path}` is longer than {_MAX_BYTES} bytes", "it holds the password and nothing else"
        )
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or "\0" in text:
        raise refusal(f"the secret's file `{path}` must hold one line of UTF-8", "the password, and nothing else")
    return text
