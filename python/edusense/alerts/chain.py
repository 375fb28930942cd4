"""The chain of the case log: each entry carries the hash of all before it (docs/reference/case-log.md).

An entry's body is JSON with sorted keys and without spaces, in UTF-8. Its hash is SHA-256 over the hash before it
(32 bytes; zeros before the first) and the body. So nobody can change, remove or insert an entry without changing every
hash after it, and heartbeats carry the newest one away from the box.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import AlertLogDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["START", "body_of", "check", "following"]

START: Final = bytes(32)
"""What stands before the first entry."""


def body_of(entry: Mapping[str, Any]) -> bytes:
    """An entry as the bytes that are hashed and kept.

    >>> body_of({"what": "opened", "case": "attic-door-1"})
    b'{"case":"attic-door-1","what":"opened"}'
    """
    return json.dumps(entry, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def following(before: bytes, body: bytes) -> bytes:
    """The hash of an entry.

    Args:
        before: the hash of the entry before it, or `START`.
        body: the entry.

    >>> following(START, b"{}").hex()[:16]
    'fb1634c4e6cd4b1f'
    """
    return hashlib.sha256(before + body).digest()


def check(entries: Iterable[tuple[int, bytes, bytes]]) -> tuple[int, bytes]:
    """Follows a chain from its beginning.

    Args:
        entries: position, body and hash of each, in order.

    Returns:
        Position and hash of the last one; 0 and `START` of an empty log.

    Raises:
        AlertLogDamagedError: an entry does not follow from those before it; the message names it.
    """
    last, head = 0, START
    for position, body, found in entries:
        if position != last + 1:
            raise AlertLogDamagedError(
                f"entry {last + 1} of the case log is missing: entry {position} follows entry {last}",
                hint="somebody deleted it, or the file was put back from a copy: compare with the centre's heartbeats",
            )
        if following(head, body) != found:
            raise AlertLogDamagedError(
                f"entry {position} of the case log was altered, or the one before it was",
                hint="all up to the entry before it is as it was written; keep the file, it is evidence",
            )
        last, head = position, found
    return last, head
