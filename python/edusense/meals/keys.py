"""The keys that a box signs its batches with: made once, mode 0600, changed only on the record.

The files are described in `docs/reference/batch-format.md`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from edusense import _native
from edusense.errors import BatchError, BatchRefusedError, LedgerError, UsageError
from edusense.meals.files import read_at_most, write_whole
from edusense.meals.record import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edusense.meals.ledger import Ledger
    from edusense.meals.streams import Streams

__all__ = ["KeyRing", "SigningKey", "fingerprint", "public_pem", "read_public_key"]

# RFC 8410: what stands before seed and public key in PKCS #8 and SubjectPublicKeyInfo.
_SECRET_PREFIX: Final = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
_MOST_BYTES: Final = 4096

SECRET_NAME: Final = "meals.key"  # noqa: S105 - a name of a file
PUBLIC_NAME: Final = "meals.pub"
BEFORE_PREFIX: Final = "meals.key.before-"
"""A key that was replaced is kept under the fingerprint of the key that followed it."""
_OLD_PREVIOUS_NAME: Final = "meals.key.previous"
"""Where the last one that was replaced stood, before 0.2."""
_NEXT_NAME: Final = "meals.key.next"


class SigningKey:
    """A secret key; it is never printed.

    Args:
        seed: 32 random bytes.
    """

    __slots__ = ("_seed", "public")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public: bytes = _native.public_key(seed)
        """Its public half, 32 bytes."""

    @classmethod
    def make(cls) -> SigningKey:
        """A new one, from the system's random numbers."""
        return cls(os.urandom(32))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Reads one.

        Args:
            path: a PEM file.

        Raises:
            BatchRefusedError: others than its owner may read it.
            BatchError: there is no Ed25519 key in it.
            PermissionDeniedError, LedgerStorageError: it cannot be read.
        """
        data = read_at_most(path, _MOST_BYTES)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BatchRefusedError(f"`{path}` may be read by others", hint=f"chmod 600 {path}; then make a new key")
        return cls(_of_pem(data, "PRIVATE KEY", _SECRET_PREFIX, str(path)))

    def save(self, path: Path) -> None:
        """Writes it, mode 0600; one that is there is left alone.

        Raises:
            FileExistsError: there is one.
            LedgerStorageError: the disk refused.
        """
        write_whole(path, _pem("PRIVATE KEY", _SECRET_PREFIX + self._seed), mode=0o600, replace=False)

    def seal(self, records: bytes) -> bytes:
        """The signed batch of n × 128 bytes of records; raises `BatchError` where they are not a run."""
        return _native.seal_batch(records, self._seed)

    def seal_segments(self, folder: Path) -> list[dict[str, Any]]:
        """Seals the full segments of the ledger in a folder; see `edusense.meals.sealing.seal`."""
        return _native.seal_segments(folder, self._seed)

    def prune_segments(self, folder: Path, hub_key: bytes, keep_from: int, until: int, holder: str) -> dict[str, Any]:
        """Removes segments whose seals it signs; see `edusense.meals.sealing.prune`."""
        return _native.prune_segments(folder, hub_key, keep_from, until, self._seed, holder)

    def acknowledge(self, **said: Any) -> bytes:
        """The signed acknowledgement with these fields, see `Acknowledgement`: what a hub does."""
        return _native.sign_acknowledgement(seed=self._seed, **said)

    @property
    def fingerprint(self) -> str:
        """What people call it: 32 hex digits."""
        return fingerprint(self.public)

    def __repr__(self) -> str:
        return f"<SigningKey {self.fingerprint}>"


class KeyRing:
    """The key of a box, and all that it had before: what was recorded up to a change is signed with the key before it.

    The hub may not have heard of any of the changes yet, or have forgotten them: whatever it knows last, from there on
    each key is announced in a batch that the one before has signed.

    Args:
        current: signs.
        before: for the fingerprint of a key that followed, the key that it followed.
    """

    def __init__(self, current: SigningKey, before: Mapping[str, SigningKey] | None = None) -> None:
        self.current, self.before = current, dict(before or {})

    @property
    def previous(self) -> SigningKey | None:
        """What signed before the last change; None if there was none."""
        return self.before.get(self.current.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> KeyRing:
        """Reads the keys of a box.

        Args:
            folder: where they are: beside the ledger's folder.

        Raises:
            BatchError: there is none, or no key in the file.
            BatchRefusedError: others may read it.
        """
        if not (folder / SECRET_NAME).exists():
            raise BatchError(
                f"there is no key `{folder / SECRET_NAME}`",
                hint="`edusense meals key new` makes one, on the box that writes the ledger",
            )
        current = SigningKey.load(folder / SECRET_NAME)
        before = {
            path.name.removeprefix(BEFORE_PREFIX): SigningKey.load(path)
            for path in sorted(folder.glob(f"{BEFORE_PREFIX}*"))
            if re.fullmatch(r"[0-9a-f]{32}", path.name.removeprefix(BEFORE_PREFIX))
        }
        if (old := folder / _OLD_PREVIOUS_NAME).exists():
            before.setdefault(current.fingerprint, SigningKey.load(old))
        return cls(current, before)

    @classmethod
    def load_or_make(cls, folder: Path) -> KeyRing:
        """Reads the keys of a box, or makes its first one, as at installing.

        Args:
            folder: as `load`.

        Raises:
            BatchError, BatchRefusedError, LedgerStorageError: as `load`, and where it cannot be written.
        """
        if not (folder / SECRET_NAME).exists():
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            made = SigningKey.make()
            try:
                made.save(folder / SECRET_NAME)
            except FileExistsError:
                pass  # somebody was faster
            else:
                write_whole(folder / PUBLIC_NAME, public_pem(made.public), mode=0o644)
        return cls.load(folder)

    def signer(self, streams: Streams, terminal: int, epoch: int, first: int) -> SigningKey:
        """The key for a batch: the one that was in force when its first record was written.

        So a batch that tells of a new key is signed with the key before, and the same records always give the same
        bytes, whenever the batch is made.

        Args:
            streams: the ledger's.
            terminal: the batch's.
            epoch: the batch's.
            first: sequence of its first record.
        """
        following = streams.next_key(terminal, epoch, first)
        return self.current if following is None else self.before.get(following, self.current)

    def rotate(self, ledger: Ledger, folder: Path) -> KeyRing:
        """Makes a new key, and records that it is the one from here on; the hub need not have heard of the last one.

        Should the power fail in the middle, calling it again goes on with the key that was begun.

        Args:
            ledger: open for writing.
            folder: where the keys are.

        Returns:
            The keys from now on.

        Raises:
            LedgerError: the ledger cannot take it; the key is the old one still.
        """
        from edusense.meals.ledger import Ledger

        begun = folder / _NEXT_NAME
        if not begun.exists():
            SigningKey.make().save(begun)
        made = SigningKey.load(begun)
        row = Ledger.blank(1, Kind.KEY_CHANGE)
        row["pupil"], row["card"] = _halves(made.public)
        row["time"] = round(time.time() * 1e6)
        if ledger.append(row)[0] != Status.RECORDED:
            raise LedgerError("the ledger takes no record of a new key")
        current = folder / SECRET_NAME
        present = SigningKey.load(current).fingerprint
        if (old := folder / _OLD_PREVIOUS_NAME).exists():
            old.replace(folder / f"{BEFORE_PREFIX}{present}")
        write_whole(folder / f"{BEFORE_PREFIX}{made.fingerprint}", current.read_bytes(), mode=0o600)
        begun.replace(current)
        write_whole(folder / PUBLIC_NAME, public_pem(made.public), mode=0o644)
        return KeyRing.load(folder)


def _halves(public: bytes) -> tuple[int, int]:
    """A key's fingerprint as it stands in a record's `pupil` and `card`."""
    mark = _native.key_fingerprint(public)
    return int.from_bytes(mark[:8], "little"), int.from_bytes(mark[8:], "little")


def fingerprint(public: bytes) -> str:
    """What people call a public key: the first 16 bytes of its SHA-256, in hex.

    >>> fingerprint(bytes(32))
    '66687aadf862bd776c8fc18b8e9f8e20'
    """
    return _native.key_fingerprint(public).hex()


def public_pem(public: bytes) -> bytes:
    """A public key as a PEM file.

    >>> print(public_pem(bytes(32)).decode(), end="")
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    -----END PUBLIC KEY-----
    """
    return _pem("PUBLIC KEY", _PUBLIC_PREFIX + public)


def read_public_key(given: str) -> bytes:
    """A public key from what somebody typed: a PEM file, or 64 hex digits.

    Args:
        given: path or digits.

    Raises:
        UsageError: neither.

    >>> read_public_key("00" * 32) == bytes(32)
    True
    """
    from pathlib import Path

    if len(given) == 64:
        try:
            return bytes.fromhex(given)
        except ValueError:
            pass
    path = Path(given)
    if not path.is_file():
        raise UsageError(f"`{given}` is no public key", hint="a PEM file such as `meals.pub`, or 64 hex digits")
    try:
        return _of_pem(read_at_most(path, _MOST_BYTES), "PUBLIC KEY", _PUBLIC_PREFIX, given)
    except BatchError as error:
        raise UsageError(str(error), hint=error.hint) from None


def _pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()


def _of_pem(data: bytes, label: str, prefix: bytes, name: str) -> bytes:
    lines = data.decode("ascii", "replace").strip().splitlines()
    try:
        if lines[0] != f"-----BEGIN {label}-----" or lines[-1] != f"-----END {label}-----":
            raise ValueError
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
        if len(der) != len(prefix) + 32 or not der.startswith(prefix):
            raise ValueError
    except (ValueError, IndexError, binascii.Error):
        raise BatchError(
            f"`{name}` holds no Ed25519 {label.lower()}", hint="a PEM file, as openssl writes it"
        ) from None
    return der[len(prefix) :]
