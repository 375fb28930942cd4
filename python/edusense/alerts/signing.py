"""HTTP Message Signatures (RFC 9421) with HMAC-SHA256, and Content-Digest (RFC 9530): who sent a request, unchanged.

Both sides use it: the box signs requests, and a centre checks them. What is covered is always the same: method, path
with query, the body's digest, and the headers that say which part of a file is sent.

```text
Content-Digest: sha-256=:X48E9q…=:
Signature-Input: box=("@method" "@path" "@query" "content-digest");created=1789396803;keyid="51";alg="hmac-sha256"
Signature: box=:pxcQw6…=:
```
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COVERED", "SignatureError", "digest", "sign", "signature_base", "verify"]

LABEL: Final = "box"
COVERED: Final = (
    "@method",
    "@path",
    "@query",
    "content-digest",
    "idempotency-key",
    "upload-offset",
    "upload-length",
    "upload-media-type",
    "upload-sha256",
)
"""What is covered; headers that a request does not have are left out."""
_REQUIRED: Final = ("@method", "@path", "@query", "content-digest")
_PARAMETERS: Final = re.compile(
    r'box=(?P<all>\((?P<names>("[a-z0-9@-]+"( "[a-z0-9@-]+")*)?)\)'
    r';created=(?P<created>\d{1,12});keyid="(?P<key>[^"\\]{1,200})";alg="hmac-sha256")'
)


class SignatureError(ValueError):
    """A request is not signed, or not by whoever it says, or was changed on its way."""


def digest(body: bytes) -> str:
    """The value of Content-Digest (RFC 9530, section 2).

    >>> digest(b'{"hello": "world"}')
    'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'
    """
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, key_id: str, secret: bytes, created: int
) -> dict[str, str]:
    """The headers that sign a request.

    Args:
        method: `POST`, `GET`, ….
        url: path with query, or the whole URL.
        headers: of the request; those in `COVERED` are covered.
        body: of the request.
        key_id: who signs.
        secret: what both sides know.
        created: when, Unix seconds.

    Returns:
        `Content-Digest`, `Signature-Input` and `Signature`.
    """
    told = {name.lower(): value for name, value in headers.items()} | {"content-digest": digest(body)}
    names = [name for name in COVERED if name.startswith("@") or name in told]
    listed = " ".join(f'"{name}"' for name in names)
    parameters = f'({listed});created={created};keyid="{key_id}";alg="hmac-sha256"'
    base = signature_base(method, url, told, names, parameters)
    made = hmac.digest(secret, base, "sha256")
    return {
        "Content-Digest": told["content-digest"],
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}=:{base64.b64encode(made).decode()}:",
    }


def verify(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, secrets: Mapping[str, bytes]
) -> tuple[str, int]:
    """Checks a request.

    The time of signing is not held against a clock: a school whose clock is wrong must still be heard. What comes
    twice is told by its idempotency key.

    Args:
        method: as it came.
        url: path with query, as it came.
        headers: as they came.
        body: as it came.
        secrets: what is known, by who signs.

    Returns:
        Who signed, and when by its own clock, Unix seconds.

    Raises:
        SignatureError: what is wrong; no message holds a secret.
    """
    told = {name.lower(): value for name, value in headers.items()}
    match = _PARAMETERS.fullmatch(told.get("signature-input", ""))
    if match is None:
        raise SignatureError("the request is not signed, or not with hmac-sha256 under the label `box`")
    names = match["names"].replace('"', "").split()
    if missing := [name for name in _REQUIRED if name not in names]:
        raise SignatureError(f"the signature does not cover {', '.join(missing)}")
    # What says where in a file a piece belongs must not be changed on the way either.
    if bare := [name for name in COVERED if name in told and name not in names]:
        raise SignatureError(f"the signature does not cover {', '.join(bare)}")
    secret = secrets.get(match["key"])
    if secret is None:
        raise SignatureError("the request is signed by somebody who is not known here")
    if not hmac.compare_digest(told.get("content-digest", ""), digest(body)):
        raise SignatureError("the body is not the one that was signed")
    given = re.fullmatch(r"box=:([A-Za-z0-9+/=]{1,200}):", told.get("signature", ""))
    try:
        found = base64.b64decode(given[1], validate=True) if given else b""
    except binascii.Error:
        found = b""
    if any(name not in told for name in names if not name.startswith("@")):
        raise SignatureError("the signature covers a header that is not there")
    base = signature_base(method, url, told, names, match["all"])
    if not hmac.compare_digest(found, hmac.digest(secret, base, "sha256")):
        raise SignatureError("the signature is wrong: another secret, or the request was changed on its way")
    return match["key"], int(match["created"])


def signature_base(method: str, url: str, headers: Mapping[str, str], names: Sequence[str], parameters: str) -> bytes:
    """What is signed (RFC 9421, section 2.5).

    Args:
        method: of the request.
        url: path with query, or the whole URL.
        headers: with names in lower case.
        names: the components, in order.
        parameters: the value of `@signature-params`.
    """
    parts = urlsplit(url)
    derived = {
        "@method": method.upper(),
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
        "@authority": parts.netloc.lower(),
    }
    lines = [
        f'"{name}": {derived[name] if name.startswith("@") else " ".join(headers[name].split())}' for name in names
    ]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()
