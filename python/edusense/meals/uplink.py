"""The ledger's way to the city: what the hub has not signed for is sent, batch by batch, until it has.

The ledger is the outbox: nothing is queued a second time. Where the hub is, its signed acknowledgements say; they are
kept in the ledger's folder, so a box that was switched off goes on where it was. A hub that has less than it signed for
(it was put back to an old backup) asks for what it lacks, and gets it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import BatchError, HubRefusedError, UsageError
from edusense.meals.acknowledgements import Acknowledgement, Acknowledgements, Totals
from edusense.meals.batches import make_batch
from edusense.meals.files import read_at_most, write_whole
from edusense.meals.keys import KeyRing
from edusense.meals.ledger import Ledger
from edusense.meals.record import RecordKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edusense.meals.batches import Batch
    from edusense.meals.hub_client import HubClient, Sent
    from edusense.meals.streams import Stream, Streams

__all__ = ["Uplink", "kept_hub_key"]

logger = logging.getLogger(__name__)

LARGEST: Final = 1024
"""Records of a batch where the line is good."""
SMALLEST: Final = 64
"""Records of a batch where connections break: what is lost with one of them is little."""
ASIDE_S: Final = 600.0
"""An epoch that the hub refuses is tried again so often; the others go on meanwhile."""
STRETCH: Final = 1024
"""Records of a stretch that is compared."""
HUB_KEY_NAME: Final = "hub.pub.hex"
"""Beside the ledger's folder: the key of the hub that was met first, where the site file names none."""

_Line = tuple[int, int]


def kept_hub_key(folder: Path) -> bytes | None:
    """The key of the hub that was met first; None where none was met.

    Args:
        folder: the ledger's.

    Raises:
        BatchError: the file where it is kept holds no key.
    """
    path = folder.parent / HUB_KEY_NAME
    if not path.exists():
        return None
    try:
        found = bytes.fromhex(read_at_most(path, 100).decode("ascii", "replace").strip())
    except ValueError:
        found = b""
    if len(found) != 32:
        raise BatchError(
            f"`{path}` holds no public key", hint="ask the city for its key, and put it into the site file"
        )
    return found


class Uplink:
    """What is sent next, and what the hub made of it.

    Args:
        folder: the ledger's; the box's keys are beside it.
        client: the hub.
        school: national number.
        hub_key: the hub's public key; None believes the first one that is met, and no other afterwards.
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        folder: Path,
        client: HubClient,
        *,
        school: int,
        hub_key: bytes | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.client, self.school = folder, client, school
        self._hub_key, self._monotonic = hub_key, monotonic
        self._kept = Acknowledgements(folder)
        self._streams: Streams | None = None
        self._list: tuple[Stream, ...] = ()
        self._seen = -1
        self._held: dict[_Line, int] = {}
        self._aside: dict[_Line, tuple[float, str]] = {}
        self._closed: dict[_Line, str] = {}
        self._asked = monotonic()
        self._size = LARGEST
        self._went_back = False
        self._keys: tuple[Any, KeyRing] | None = None
        self.batches = 0
        """Batches that the hub has signed for since the start."""

    # What waits.

    def refresh(self) -> int:
        """Takes in what was recorded since; returns how many records the hub has not signed for.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if self._streams is None:
            if not any(self.folder.glob("*.seg")):
                return 0  # nothing was ever recorded here
            self._streams = Ledger.open(self.folder, read_only=True).streams()
            self._held = self._kept.sequences()
        # A year has thousands of epochs: they are gone through only where something was recorded.
        if (count := len(self._streams.ledger)) != self._seen:
            self._streams.refresh()
            self._list, self._seen = tuple(self._streams), count
        return self.waiting

    @property
    def waiting(self) -> int:
        """Records that the hub has not signed for."""
        return sum(max(0, stream.last - self._done(stream)) for stream in self._list if not self._is_closed(stream))

    @property
    def lines_waiting(self) -> int:
        """Epochs of terminals that have records which the hub has not signed for."""
        return sum(stream.last > self._done(stream) and not self._is_closed(stream) for stream in self._list)

    @property
    def acknowledged(self) -> int:
        """Records that the hub has signed for."""
        return sum(min(stream.last, self._done(stream)) for stream in self._list)

    @property
    def largest(self) -> int:
        """Records that go into one batch at the moment."""
        return self._size

    def oldest_s(self) -> float | None:
        """When the oldest record was made that waits, Unix seconds; None where none does."""
        found: list[float] = []
        for stream in self._list:
            first = max(self._done(stream) + 1, stream.first)
            if first <= stream.last and not self._is_closed(stream) and self._streams is not None:
                record = self._streams.records(stream.terminal, stream.epoch, first, first)[0]
                found.append(int(record["time"]) / 1e6)
        return min(found, default=None)

    def troubles(self) -> list[str]:
        """What the hub refuses, or holds otherwise than it is here."""
        damage = None if self._streams is None else self._streams.damage
        return [*(message for _, message in self._aside.values()), *([] if damage is None else [str(damage)])]

    def closed(self) -> list[str]:
        """What the hub holds otherwise, and somebody there has decided about: nothing more is sent of it."""
        return list(self._closed.values())

    # What is done about it.

    def send(self) -> bool:
        """Sends one batch of what waits.

        Returns:
            Whether there was one.

        Raises:
            HubUnavailableError: the hub cannot be reached, or not now; smaller batches are tried from now on.
            HubRefusedError: it refuses us, or what it answers cannot be believed.
            LedgerError, BatchError: ledger or key cannot be read.
        """
        if self._aside and self._monotonic() - self._asked >= ASIDE_S:
            self._ask_about_cases()
        if self._went_back:
            self._went_back = False
            self.compare()
        stream = self._next()
        if stream is None or self._streams is None:
            return False
        first = self._done(stream) + 1
        # Batches begin at the same places whoever makes them, so that what is sent twice is the same.
        last = min(stream.last, ((first - 1) // self._size + 1) * self._size)
        self._deliver(self._batch(stream, first, last))
        return True

    def broke(self) -> None:
        """A connection broke: less is put at stake next time."""
        self._size = max(SMALLEST, self._size // 4)

    def compare(self, *, everything: bool = True) -> None:
        """Holds what the hub says that it has against the ledger; sends again where they differ.

        Args:
            everything: all epochs; otherwise each terminal's newest, which is where a hub lacks something first.

        Raises:
            HubUnavailableError: as `send`.
            HubRefusedError: as `send`.
        """
        self._meet(self.client.who())
        if self._streams is None:
            return
        here = {(stream.terminal, stream.epoch): stream for stream in self._list}
        there = set()
        for told in self.client.lines(self.school, newest=not everything):
            acknowledged = self._read(told)
            key = (acknowledged.terminal, acknowledged.epoch)
            if key in here:
                there.add(key)
                self._compare(here[key], acknowledged)
        for key in set(here) - there if everything else ():
            self._held[key] = 0
        if self._aside:
            self._ask_about_cases()

    def _ask_about_cases(self) -> None:
        """Whether somebody at the hub has decided about what is set aside."""
        self._asked = self._monotonic()
        for case in self.client.cases(self.school):
            self._hear_of(case)

    def _hear_of(self, case: dict[str, Any]) -> bool:
        """Takes note of a case that somebody has closed; returns whether it is about something that was set aside."""
        decision, kind = case.get("decision"), case.get("kind")
        try:
            if kind == "fork":
                record = RecordKey.parse(str(case["record"]))
                key, sequence = (record.terminal, record.epoch), record.sequence
            else:
                key, sequence = (int(case["terminal"]), int(str(case["branches"][0]["epoch"]), 16)), 0
        except (KeyError, ValueError, TypeError, IndexError, UsageError):
            return False
        if key not in self._aside or decision not in {"count", "leave-out"} or kind not in {"fork", "rolled-back"}:
            return False
        told = f"case {case.get('case')} of {key[0]}/{key[1]:08x} was closed by {str(case.get('by'))[:100]}: {decision}"
        logger.warning("uplink: %s", told)
        del self._aside[key]
        if kind == "fork" and decision == "count":
            # What the hub had there has given way to what is here.
            self._held[key] = min(self._held.get(key, 0), sequence - 1)
        else:
            self._closed[key] = told
        return True

    def _compare(self, stream: Stream, told: Acknowledgement) -> None:
        if self._is_closed(stream):
            return
        key, name = (stream.terminal, stream.epoch), f"{stream.terminal}/{stream.epoch:08x}"
        if told.sequence > stream.last:
            self._set_aside(
                key,
                f"the hub holds {name} up to {told.sequence}, and here it ends with {stream.last}: this ledger is "
                "older than it was, or damaged at its end",
            )
            return
        self._held[key] = told.sequence
        if told.sequence < stream.first and stream.first > 1:
            # Of what was pruned nothing can be compared. What follows can be sent, unless the hub lacks more.
            if told.sequence + 1 < stream.first:
                self._set_aside(key, self._pruned(stream))
        elif told.sequence and (told.totals, told.head) != self._own(stream, told.sequence):
            self._send_again(stream, told.sequence)
        elif told.sequence:
            assert self._streams is not None
            self._kept.take(told, self._streams, hub_key=self._hub_key)
            self._aside.pop(key, None)

    def _send_again(self, stream: Stream, last: int) -> None:
        """Looks for stretches that differ and sends them: the hub takes them, or says that they are a fork."""
        assert self._streams is not None
        logger.warning("uplink: the hub's totals of %s/%08x differ from ours", stream.terminal, stream.epoch)
        differing = []
        for told in self.client.ranges(self.school, stream.terminal, stream.epoch, STRETCH):
            start, stop = int(told["first"]), min(int(told["last"]), last)
            if not stream.first <= start <= stop:
                continue
            records = self._streams.records(stream.terminal, stream.epoch, start, stop)
            totals, head = Totals.of(records), hashlib.sha256(records[-1:].tobytes()).hexdigest()
            own = (totals.meals, totals.reversals, totals.sum, head)
            if own != (told.get("meals"), told.get("reversals"), told.get("sum_tiyn"), told.get("head")):
                differing.append((start, stop))
        for start, stop in differing or [(last, last)]:
            self._deliver(self._batch(stream, start, stop))
        key = (stream.terminal, stream.epoch)
        if key not in self._aside and key not in self._closed:
            where = ", ".join(f"{start} to {stop}" for start, stop in differing) or "none of its stretches"
            self._set_aside(
                key,
                f"the hub's totals of {stream.terminal}/{stream.epoch:08x} up to {last} are not ours; they differ in "
                f"{where}, which were sent again",
            )

    def _own(self, stream: Stream, last: int) -> tuple[Totals, bytes]:
        """What the hub should say of records 1 to `last`."""
        assert self._streams is not None
        kept = self._kept.of(stream.terminal, stream.epoch)
        if kept is not None and kept.sequence == last:
            return kept.totals, kept.head
        totals, first = (
            (Totals(), stream.first) if kept is None or kept.sequence > last else (kept.totals, kept.sequence + 1)
        )
        head = b""
        for start in range(first, last + 1, 65_536):
            stop = min(last, start + 65_535)
            records = self._streams.records(stream.terminal, stream.epoch, start, stop)
            totals += Totals.of(records)
            head = hashlib.sha256(records[-1:].tobytes()).digest()
        return totals, head

    # One batch.

    def _next(self) -> Stream | None:
        """The epoch of which something is to be sent: terminal by terminal, and what others follow first."""
        now = self._monotonic()
        for stream in self._list:
            key = (stream.terminal, stream.epoch)
            if stream.last <= self._done(stream) or self._is_closed(stream) or self._aside.get(key, (0.0, ""))[0] > now:
                continue
            if self._done(stream) + 1 < stream.first:
                self._set_aside(key, self._pruned(stream))
                continue
            return stream
        return None

    def _pruned(self, stream: Stream) -> str:
        return f"the hub asks for {stream.terminal}/{stream.epoch:08x}/{self._done(stream) + 1}, which was pruned"

    def _batch(self, stream: Stream, first: int, last: int) -> Batch:
        assert self._streams is not None
        records = self._streams.records(stream.terminal, stream.epoch, first, last)
        return make_batch(records, self._ring().signer(self._streams, stream.terminal, stream.epoch, first))

    def _deliver(self, batch: Batch) -> None:
        key = (batch.terminal, batch.epoch)
        sent = self.client.send(batch.data)
        if sent.code is None:
            self._signed(batch, sent)
        elif sent.code == "gap":
            self._gap(batch, sent)
        else:
            # Of a fork and the like a person has to take note; other terminals must not wait for that.
            told = f"the hub refuses {RecordKey(batch.terminal, batch.epoch, batch.first)} and on: {sent.message}"
            self._set_aside(key, told)
            case = sent.told.get("case")
            if isinstance(case, dict) and case.get("decision") == "leave-out":
                self._hear_of(case)

    def _signed(self, batch: Batch, sent: Sent) -> None:
        told = self._read(sent.told)
        key = (batch.terminal, batch.epoch)
        if (told.terminal, told.epoch) != key or told.sequence < batch.last:
            raise HubRefusedError(
                f"hub `{self.client.url}` answered {batch.name} with an acknowledgement of something else",
                hint="`edusense meals check-hub` tells what a hub must do",
            )
        assert self._streams is not None
        try:
            self._kept.take(told, self._streams, hub_key=self._hub_key)
        except BatchError as error:
            self._set_aside(key, str(error))
            return
        self._held[key] = told.sequence
        self._aside.pop(key, None)
        self._size = min(LARGEST, self._size * 2)
        self.batches += 1
        for case in sent.told.get("cases") or ():
            if isinstance(case, dict):
                logger.warning("uplink: the hub opened case %s: %s", case.get("case"), str(case.get("message"))[:200])

    def _gap(self, batch: Batch, sent: Sent) -> None:
        """The hub lacks what comes before: it is sent first."""
        try:
            epoch, sequence = int(str(sent.told.get("epoch", f"{batch.epoch:08x}")), 16), int(sent.told["sequence"])
        except (KeyError, ValueError, TypeError):
            epoch, sequence = batch.epoch, -1
        key = (batch.terminal, epoch)
        known = any((stream.terminal, stream.epoch) == key for stream in self._list)
        if sequence < 0 or not known:
            told = f"the hub asks for {batch.terminal}/{epoch:08x}, which is not in this ledger: {sent.message}"
            self._set_aside((batch.terminal, batch.epoch), told)
        elif self._held.get(key, 0) == sequence and (epoch != batch.epoch or batch.first == sequence + 1):
            # What it asks for is what it was sent, or what was refused: going on would never end.
            self._set_aside((batch.terminal, batch.epoch), f"the hub does not take {batch.name}: {sent.message}")
        else:
            # A hub that lacks what it had signed for was put back: it may lack more, of any terminal.
            self._went_back = self._held.get(key, 0) > sequence
            self._held[key] = sequence

    # Small things.

    def _is_closed(self, stream: Stream) -> bool:
        return (stream.terminal, stream.epoch) in self._closed

    def _done(self, stream: Stream) -> int:
        return self._held.get((stream.terminal, stream.epoch), 0)

    def _set_aside(self, key: _Line, message: str) -> None:
        if self._aside.get(key, (0.0, ""))[1] != message:
            logger.error("uplink: %s", message)
        self._aside[key] = (self._monotonic() + ASIDE_S, message)

    def _read(self, told: dict[str, Any]) -> Acknowledgement:
        try:
            found = Acknowledgement.read(bytes.fromhex(str(told.get("acknowledgement"))))
        except (ValueError, BatchError) as error:
            raise HubRefusedError(
                f"hub `{self.client.url}` signed for nothing: {error}",
                hint="is another server or a portal at that address?",
            ) from error
        self._meet(found.key)
        if found.school != self.school:
            raise HubRefusedError(f"hub `{self.client.url}` signed for school {found.school}")
        return found

    def _meet(self, key: bytes) -> None:
        """Holds the hub's key against the one that is known; the first one that is met is kept."""
        path = self.folder.parent / HUB_KEY_NAME
        if self._hub_key is None:
            self._hub_key = kept_hub_key(self.folder)
        if self._hub_key is None:
            write_whole(path, key.hex().encode() + b"\n")
            logger.info("uplink: the hub's key is %s from now on", key.hex())
            self._hub_key = key
        if self._hub_key != key:
            raise HubRefusedError(
                f"hub `{self.client.url}` signs with {key.hex()[:16]}…, and known is {self._hub_key.hex()[:16]}…",
                hint=f"ask the city; its new key goes into the site file, [hub] key, or `{path}` is deleted",
            )

    def _ring(self) -> KeyRing:
        """The box's keys, read again when they were changed."""
        folder = self.folder.parent
        try:
            status = (folder / "meals.key").stat()
            mark: Any = (status.st_mtime_ns, status.st_ino)
        except OSError:
            mark = None
        if self._keys is None or self._keys[0] != mark or mark is None:
            ring = KeyRing.load_or_make(folder)
            status = (folder / "meals.key").stat()
            self._keys = ((status.st_mtime_ns, status.st_ino), ring)
        return self._keys[1]
