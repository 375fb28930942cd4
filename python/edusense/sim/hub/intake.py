"""What a hub does with a batch: takes it, knows it already, or refuses it with the reason; and never pays twice.

```text
new epoch   follows what is acknowledged           its meals count
            follows something earlier, or nothing  kept as a branch of its own, a case `rolled-back` is opened
            follows something later                refused, `gap`: what is missing comes first
range       begins after what is acknowledged      taken
            overlaps, and says the same            what is new of it is taken
            overlaps, and says something else      refused, `fork`: both signed batches are evidence
            begins later                           refused, `gap`
```
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.meals.keys import fingerprint
from edusense.meals.record import DTYPE, Kind, RecordKey
from edusense.sim.hub.incoming import DamagedError, Totals, read_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edusense.meals.batches import Batch
    from edusense.meals.keys import SigningKey
    from edusense.sim.hub.store import HubStore, Line

__all__ = ["DECISIONS", "Intake", "Refused"]

MOST_SEQUENCE: Final = 1 << 48
DECISIONS: Final = ("count", "leave-out")
"""What may be decided of a branch: its meals count, or they stay what they are, evidence."""


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """A batch is not taken.

    Args:
        status: of HTTP.
        code: stable name of the reason.
        message: the reason, for people.
        more: further keys of the answer.
    """

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


class _Fork(Exception):  # noqa: N818 - it is undone like an error, and answered like a refusal
    def __init__(self, line: Line, topic: str, told: dict[str, Any], evidence: list[bytes]) -> None:
        super().__init__(topic)
        self.line, self.topic, self.told, self.evidence = line, topic, told, evidence


class Intake:
    """Takes batches into a store.

    Args:
        store: what the hub holds.
        key: what acknowledgements are signed with.
        trust_first: whether a school that nobody enrolled is known by the first key that it signs with.
    """

    def __init__(self, store: HubStore, key: SigningKey, *, trust_first: bool = True) -> None:
        self.store, self.key, self._trust_first = store, key, trust_first

    def hub(self) -> dict[str, Any]:
        """Who this is."""
        return {"hub": "edusense-sim", "format": 1, "key": self.key.public.hex()}

    def enrol(self, school: int, key: bytes) -> None:
        """Makes a school known, or gives it another key.

        Raises:
            ValueError: a public key has 32 bytes.
            Refused: no such school can be.
        """
        if len(key) != 32:
            raise ValueError(f"{len(key)} bytes")
        if not 0 < school < 1 << 32:
            raise Refused(422, "damaged", f"{school} is no number of a school")
        with self.store.transaction():
            self.store.add_key(school, key, "enrolled")

    def take(self, body: bytes) -> dict[str, Any]:
        """Takes a batch; on return it is on the disk.

        Args:
            body: the batch, as it came.

        Returns:
            `acknowledgement` (signed, hex) of all that is here of that epoch, `sequence`, `new` records, `standing`,
            and the `cases` that were opened or seen again.

        Raises:
            Refused: the reason; nothing of it was taken, but of a fork the evidence.
        """
        try:
            batch = read_batch(body)
        except DamagedError as error:
            raise Refused(422, "damaged", str(error)) from error
        if batch.last > MOST_SEQUENCE:
            raise Refused(422, "damaged", f"no terminal has written {batch.last} records")
        try:
            with self.store.transaction():
                self._check_key(batch)
                return self._take(batch, body)
        except _Fork as fork:
            # What was refused is undone; what speaks for it is kept.
            with self.store.transaction():
                case = self.store.open_case("fork", fork.line.school, fork.topic, fork.told, fork.evidence)
            raise Refused(409, "fork", fork.told["message"], case=case, **self._state(fork.line)) from None

    def told(self, line: Line) -> dict[str, Any]:
        """What is here of one epoch, for whoever asks, with its signed acknowledgement."""
        return {
            "terminal": line.terminal,
            "epoch": f"{line.epoch:08x}",
            "follows": {"epoch": f"{line.follows_epoch:08x}", "sequence": line.follows_sequence},
            "standing": line.standing,
            "meals": line.totals.meals,
            "reversals": line.totals.reversals,
            "sum_tiyn": line.totals.sum_tiyn,
            **self._state(line),
        }

    def ranges(self, line: Line, first: int, last: int, size: int) -> list[dict[str, Any]]:
        """Totals of stretches of a line, so that whoever sees a difference can find where it begins.

        Args:
            line: the epoch.
            first: sequence of the first record.
            last: sequence of the last record.
            size: records of a stretch.
        """
        found = []
        last = min(last, line.acknowledged)
        for start in range(first, last + 1, size):
            stop = min(start + size - 1, last)
            totals = Totals.of(np.frombuffer(self.store.records(line, start, stop), DTYPE))
            told = {"meals": totals.meals, "reversals": totals.reversals, "sum_tiyn": totals.sum_tiyn}
            found.append({"first": start, "last": stop, **told, "head": totals.head.hex()})
        return found

    def decide(self, number: int, decision: str, by: str, why: str = "") -> dict[str, Any]:
        """Writes down what somebody decided about a case, and does it. A decision is made once.

        Of a branch, `count` pays its meals. Of a fork, `count` lets what is here give way: its batches stay as
        evidence, and the box sends its own again. `leave-out` leaves either what it is: evidence.

        Args:
            number: of the case.
            decision: one of `DECISIONS`.
            by: who.
            why: more words.

        Returns:
            The case.

        Raises:
            Refused: no such case or decision, nobody decided it, or somebody decided otherwise before.
        """
        case = self.store.case(number)
        if case is None:
            raise Refused(404, "unknown", f"there is no case {number}")
        if decision not in DECISIONS or not 0 < len(by) <= 100 or len(why) > 1000:
            raise Refused(422, "damaged", f"`decision` is one of {', '.join(DECISIONS)}; `by` is a name")
        if case["kind"] == "served-twice" and decision == "count":
            raise Refused(422, "damaged", "a child's second meal is never paid; `leave-out` closes the case")
        if case["decision"] is not None and (case["decision"], case["by"]) != (decision, by):
            told = f"case {number} was closed by {case['by']}: {case['decision']}"
            raise Refused(409, "decided", told, case=case)
        if case["decision"] is not None:
            return case
        with self.store.transaction():
            self.store.decide(number, decision, by, why)
            if case["kind"] == "fork" and decision == "count":
                self._give_way(case)
            if case["kind"] == "rolled-back" and decision == "count":
                for line in self._branch(case):
                    self.store.count(line)
                    # What it took back of others' meals is taken back now, too.
                    self._reverse(replace(line, standing=True), self._all(line))
        found = self.store.case(number)
        assert found is not None
        return found

    def _give_way(self, case: dict[str, Any]) -> None:
        """What is here of a line goes out of what counts, from a record on: another branch takes its place."""
        key = RecordKey.parse(case["record"])
        line = self.store.line(case["school"], key.terminal, key.epoch)
        if line is None or line.acknowledged < key.sequence:
            return  # a hub that was put back has nothing there that could give way
        self.store.keep_evidence(case["case"], self.store.batches(line, key.sequence, line.acknowledged))
        left = np.frombuffer(self.store.records(line, 1, key.sequence - 1), DTYPE)
        totals = Totals.of(left) if len(left) else Totals(0, 0, 0, bytes(32))
        self.store.cut(line, key.sequence, totals)

    def _left_out(self, line: Line) -> int | None:
        """From which record on somebody has left out what a box says of a line; None where nobody has."""
        found = [
            RecordKey.parse(case["record"])
            for case in self.store.cases(line.school)
            if case["kind"] == "fork" and case["decision"] == "leave-out"
        ]
        return min(
            (key.sequence for key in found if (key.terminal, key.epoch) == (line.terminal, line.epoch)), default=None
        )

    def _branch(self, case: dict[str, Any]) -> list[Line]:
        """The epochs of a branch, from the one that a case is about."""
        lines = self.store.lines(case["school"], case["terminal"])
        wanted = {int(case["branches"][1]["epoch"], 16)}
        found = []
        for line in lines:
            if line.epoch in wanted or (line.follows_sequence and line.follows_epoch in wanted and not line.standing):
                wanted.add(line.epoch)
                found.append(line)
        return found

    def _all(self, line: Line) -> NDArray[Any]:
        return np.frombuffer(self.store.records(line, 1, line.acknowledged), DTYPE)

    # How a batch is taken; all of it in one transaction.

    def _check_key(self, batch: Batch) -> None:
        known = self.store.keys(batch.school)
        if batch.key in known:
            return
        announced = self.store.announced(batch.school)
        if known and fingerprint(batch.key) in announced:
            self.store.add_key(batch.school, batch.key, f"announced by {announced[fingerprint(batch.key)]}")
        elif known:
            raise Refused(403, "other-key", f"school {batch.school} signs with another key")
        elif not self._trust_first:
            raise Refused(403, "unknown-school", f"school {batch.school} is not known here")
        elif self.store.school_of(batch.key) is not None:
            raise Refused(403, "other-key", "this is the key of another school")
        else:
            self.store.add_key(batch.school, batch.key, "first-heard")

    def _take(self, batch: Batch, body: bytes) -> dict[str, Any]:
        line = self.store.line(batch.school, batch.terminal, batch.epoch)
        cases: list[dict[str, Any]] = []
        if line is None:
            if batch.first != 1:
                raise Refused(409, "gap", f"record 1 to {batch.first - 1} of this epoch come first", sequence=0)
            line = self._begin(batch, body, cases)
        elif batch.first > line.acknowledged + 1:
            told = f"records {line.acknowledged + 1} to {batch.first - 1} of this epoch come first"
            raise Refused(409, "gap", told, **self._state(line))
        new = self._new(line, batch, body)
        if len(new):
            self._keep(line, batch, body, new, cases)
            line = self.store.line(batch.school, batch.terminal, batch.epoch)
            assert line is not None
        return {"new": len(new), "standing": line.standing, "cases": cases, **self._state(line)}

    def _begin(self, batch: Batch, body: bytes, cases: list[dict[str, Any]]) -> Line:
        """Begins an epoch, as what counts or as a branch beside it."""
        opened = batch.records[0]
        follows, sequence = int(opened["ref_epoch"]), int(opened["ref_sequence"])
        before = self.store.lines(batch.school, batch.terminal)
        of_before = {line.epoch: line for line in before}
        parent = of_before.get(follows)
        # It goes on from a branch that was left out: that is a gap, or going back, no more.
        beside = parent is not None and (left := self._left_out(parent)) is not None and left <= sequence
        if not beside and sequence and (parent is None or sequence > parent.acknowledged):
            have = 0 if parent is None else parent.acknowledged
            told = f"this epoch follows {batch.terminal}/{follows:08x}/{sequence}; records from {have + 1} come first"
            more = {"epoch": f"{follows:08x}", "sequence": have}
            raise Refused(409, "gap", told, **more)
        # What counts is one row without a branch: it goes on from its last record, or it is not gone on from.
        rivals = [line for line in before if (line.follows_epoch, line.follows_sequence) == (follows, sequence)]
        behind = parent is not None and not beside and sequence < parent.acknowledged
        standing = (
            not rivals and not behind and (parent is None or parent.standing) and (parent is not None or not before)
        )
        line = self.store.add_line(
            batch.school,
            batch.terminal,
            batch.epoch,
            follows_epoch=follows,
            follows_sequence=sequence,
            standing=standing,
        )
        if rivals or behind or (parent is None and before):
            cases.append(self._rolled_back(line, parent, before, body))
        return line

    def _rolled_back(self, line: Line, parent: Line | None, before: list[Line], body: bytes) -> dict[str, Any]:
        """A terminal went on from an earlier state than the one that is here."""
        after = (line.follows_sequence if parent else 0) + 1
        if parent is not None and parent.acknowledged >= after:
            other, first = parent, after
        else:
            # Two epochs go on from one record.
            rivals = [one for one in before if one.follows_epoch == line.follows_epoch] or before
            other, first = rivals[0], 1
        where = RecordKey(line.terminal, line.follows_epoch, line.follows_sequence)
        told = {
            "terminal": line.terminal,
            "message": f"terminal {line.terminal} went on from {where if line.follows_sequence else 'nothing'}, "
            f"and records {other.name}/{first} to {other.acknowledged} were here: a disk was put back, or exchanged",
            "branches": [
                {"epoch": f"{other.epoch:08x}", "first": first, "last": other.acknowledged},
                {"epoch": f"{line.epoch:08x}", "first": 1, "follows": str(where)},
            ],
        }
        evidence = [*self.store.batches(other, first, other.acknowledged)[:1], body]
        return self.store.open_case(
            "rolled-back", line.school, f"rolled-back {line.school} {line.name}", told, evidence
        )

    def _new(self, line: Line, batch: Batch, body: bytes) -> NDArray[Any]:
        """Those of its records that are not here yet; what is here already has to be the same."""
        have = min(batch.last, line.acknowledged) - batch.first + 1
        if have > 0:
            kept = np.frombuffer(self.store.records(line, batch.first, batch.first + have - 1), DTYPE)
            given = batch.records[:have]
            if kept.tobytes() != given.tobytes():
                self._fork(line, batch, body, int(np.argmin(kept == given)))
        return batch.records[max(0, have) :]

    def _fork(self, line: Line, batch: Batch, body: bytes, index: int) -> None:
        sequence = batch.first + index
        key = RecordKey(line.terminal, line.epoch, sequence)
        told = {
            "terminal": line.terminal,
            "record": str(key),
            "message": f"record {key} is here already, and says something else",
        }
        evidence = [*self.store.batches(line, sequence, sequence), body]
        # Another content is another case: what was decided of one says nothing of the other.
        digest = hashlib.sha256(batch.records[index : index + 1].tobytes()).hexdigest()[:16]
        raise _Fork(line, f"fork {line.school} {key} {digest}", told, evidence)

    def _keep(self, line: Line, batch: Batch, body: bytes, new: NDArray[Any], cases: list[dict[str, Any]]) -> None:
        first = int(new["sequence"][0])
        number = self.store.add_batch(line, first, batch.last, body, new.tobytes())
        self.store.extend(line, batch.last, Totals.of(new))
        self.store.add_meals(line, number, new[new["kind"] == Kind.MEAL])
        self._reverse(line, new)
        for record in new[new["kind"] == Kind.KEY_CHANGE] if line.standing else ():
            halves = (int(record["pupil"]), int(record["card"]))
            named = b"".join(half.to_bytes(8, "little") for half in halves).hex()
            self.store.announce(line.school, named, str(RecordKey.of(record)))
        cases += [self._served_twice(line, row) for row in self.store.served_twice(number)]

    def _reverse(self, line: Line, records: NDArray[Any]) -> None:
        for record in records[records["kind"] == Kind.REVERSAL]:
            self.store.reverse(line, int(record["ref_epoch"]), int(record["ref_sequence"]), RecordKey.of(record))

    def _served_twice(self, line: Line, row: Any) -> dict[str, Any]:
        meals = self.store.meals_of(line.school, row["day"], row["slot"], row["pupil"])
        told = {
            "day": row["day"],
            "slot": row["slot"],
            "pupil": meals[0]["pupil"],
            "records": [meal["record"] for meal in meals],
            "message": f"one child was served {len(meals)} times; one is paid",
        }
        topic = f"served-twice {line.school} {row['day']} {row['slot']} {row['pupil']}"
        return self.store.open_case("served-twice", line.school, topic, told)

    def _state(self, line: Line) -> dict[str, Any]:
        """How far a line has come, signed."""
        time_us = round(self.store.clock() * 1e6)
        acknowledged = self.key.acknowledge(
            school=line.school,
            terminal=line.terminal,
            epoch=line.epoch,
            sequence=line.acknowledged,
            meals=line.totals.meals,
            reversals=line.totals.reversals,
            sum=line.totals.sum_tiyn,
            head=line.totals.head,
            time=time_us,
        )
        return {
            "epoch": f"{line.epoch:08x}",
            "sequence": line.acknowledged,
            "head": line.totals.head.hex(),
            "acknowledgement": acknowledged.hex(),
        }
