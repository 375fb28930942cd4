"""The way to the city's hub through a network that loses, doubles, delays and cuts, and a hub that dies at any moment.

Uplink, client, hub and its data base are the real ones; only the wire between them is simulated, so that a run follows
from its seed: which requests meet which fault. In the end the hub must hold what the ledger holds, each record once,
however the two were torn apart. Run by `make faults`; a small share of it in `make test`.

    python tests/faults/network_storm.py --runs 11000 --seed 7
    python tests/faults/network_storm.py --seed 7 --run 812     # one of them again
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edusense.alerts.web import Answer
from edusense.errors import DestinationUnavailableError, EdusenseError, HubUnavailableError
from edusense.meals import Acknowledgements, Kind, Ledger, SigningKey
from edusense.meals.hub_client import HubClient
from edusense.meals.uplink import Uplink
from edusense.sim.hub.application import HubApplication
from edusense.sim.hub.incoming import read_batch
from edusense.sim.hub.intake import Intake
from edusense.sim.hub.store import HubStore

SCHOOL = 51001
MOST_STEPS = 400
"""A way back to order that takes more than this has no end."""

ROUNDS = 4
"""Times that a run goes through its kinds of faults."""

KINDS = (
    "lost-request",
    "lost-answer",
    "duplicated",
    "late",
    "cut",
    "error",
    "hub-crash-before-commit",
    "hub-crash-after-commit",
    "hub-restored",
    "box-crash",
)
"""What happens on the way: the request is lost; its answer is; it comes twice; it comes after later ones, its sender
having given up; half of it comes; the hub answers 500; the hub dies before its data base has it, or after; the hub is
put back to an older backup; the box dies and begins anew.
"""
SETS = [*((kind,) for kind in KINDS), *itertools.combinations(KINDS, 2)]

BUGS = ("acknowledges-before-commit", "counts-twice", "goes-back-for-a-late-one")
"""Deliberate bugs, one for each promise, that the harness must find."""


class Crash(BaseException):
    """The hub's process ends here."""


@dataclass
class Outcome:
    """What came of one run."""

    met: list[str] = field(default_factory=list)
    requests: int = 0
    checks: int = 0
    lost: int = 0
    doubled: int = 0
    broken: str | None = None


class Hub:
    """The hub as a process that can die: its data base stays."""

    def __init__(self, folder: Path, bug: str | None) -> None:
        self.folder, self.bug = folder, bug
        self.key = SigningKey(bytes(32))
        self.dies_at_commit = False
        self.start()

    def start(self) -> None:
        """A new process on the same data base."""
        self.store = HubStore(self.folder, clock=lambda: 1_790_000_000.0)
        # What a disk does is another harness's; here only processes die.
        self.store._connection.execute("PRAGMA synchronous = OFF")
        self.intake = Intake(self.store, self.key)
        self.web = HubApplication(self.intake).web
        commit = self.store.transaction
        take = self.intake.take

        def transaction() -> Any:
            return _Dying(commit(), self) if self.dies_at_commit else commit()

        def taken(body: bytes) -> dict[str, Any]:
            if self.bug == "acknowledges-before-commit" and self.dies_at_commit:
                self.dies_at_commit = False
                self.backup("unsaid")
                told = take(body)
                self.store.restore(self.folder / "unsaid")
                return told
            told = take(body)
            if self.bug == "counts-twice" and told["new"] == 0:
                self.store._connection.execute("UPDATE lines SET meals = meals + 1")
            if self.bug == "goes-back-for-a-late-one" and told["new"] == 0:
                batch = read_batch(body)
                self.store._connection.execute(
                    "UPDATE lines SET acknowledged = ? WHERE terminal = ? AND epoch = ?",
                    (batch.last, batch.terminal, batch.epoch),
                )
            return told

        self.store.transaction = transaction  # type: ignore[method-assign]
        self.intake.take = taken  # type: ignore[method-assign]

    def crash(self) -> None:
        """The process is gone; the next one goes on from the data base."""
        self.dies_at_commit = False
        self.store.close()
        self.start()

    def backup(self, name: str) -> None:
        """Copies the data base as it is."""
        (self.folder / name).unlink(missing_ok=True)
        self.store.backup(self.folder / name)


class _Dying:
    """A transaction at whose end the process dies, before anything is committed."""

    def __init__(self, transaction: Any, hub: Hub) -> None:
        self._transaction, self._hub = transaction, hub

    def __enter__(self) -> None:
        self._transaction.__enter__()

    def __exit__(self, *what: Any) -> None:
        self._hub.dies_at_commit = False
        crash = Crash()
        self._transaction.__exit__(Crash, crash, None)
        raise crash


class Wire:
    """Stands where `Web` stands in a `HubClient`: carries requests to the hub's application, or does not."""

    def __init__(self, hub: Hub, chance: random.Random, loop: asyncio.AbstractEventLoop, outcome: Outcome) -> None:
        self.hub, self._chance, self._loop, self._outcome = hub, chance, loop, outcome
        self.faults: list[str] = []
        """Those of the next requests, in turn; an empty word is a request that goes well."""
        self._late: list[tuple[str, str, bytes, dict[str, str]]] = []

    def request(self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """One request; raises `DestinationUnavailableError` where nothing comes back."""
        self._outcome.requests += 1
        told = (method, path, body, headers or {})
        fault = self.faults.pop(0) if self.faults else ""
        if fault:
            self._outcome.met.append(fault)
        if self._late and self._chance.random() < 0.5:
            self._deliver(*self._late.pop(self._chance.randrange(len(self._late))))
        match fault:
            case "lost-request":
                raise self._nothing()
            case "lost-answer":
                self._deliver(*told)
                raise self._nothing()
            case "duplicated":
                first = self._deliver(*told)
                second = self._deliver(*told)
                return first if self._chance.random() < 0.5 else second
            case "late":
                self._late.append(told)
                raise self._nothing()
            case "cut":
                self._deliver(method, path, body[: self._chance.randrange(len(body) + 1)], headers or {})
                raise self._nothing()
            case "error":
                return Answer(500, {}, b'{"error": "fault", "message": "asked for"}', False)
            case "hub-crash-before-commit":
                self.hub.dies_at_commit = True
                try:
                    answer = self._deliver(*told)
                except Crash:
                    self.hub.crash()
                    raise self._nothing() from None
                self.hub.dies_at_commit = False
                return answer
            case "hub-crash-after-commit":
                self._deliver(*told)
                self.hub.crash()
                raise self._nothing()
            case "hub-restored":
                self.hub.store.restore(self.hub.folder / "older")
        return self._deliver(*told)

    def come_late(self) -> None:
        """What is still on its way comes now."""
        while self._late:
            self._deliver(*self._late.pop())

    def interrupt(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is open here."""

    @staticmethod
    def _nothing() -> DestinationUnavailableError:
        return DestinationUnavailableError("nothing came back")

    def _deliver(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        return self._loop.run_until_complete(self._called(method, path, body, headers))

    async def _called(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        parts = urlsplit(path)
        sent: dict[str, Any] = {"status": 0, "headers": [], "body": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                sent.update(status=message["status"], headers=message["headers"])
            else:
                sent["body"] += message.get("body", b"")

        told = {"host": "localhost", "content-length": str(len(body)), **{k.lower(): v for k, v in headers.items()}}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await self.hub.web(scope, receive, send)
        found = {name.decode().lower(): value.decode() for name, value in sent["headers"]}
        return Answer(int(sent["status"]), found, sent["body"], False)


class Run:
    """A box that meals and sends, and a hub, torn apart by some kinds of faults."""

    def __init__(self, folder: Path, seed: int, kinds: tuple[str, ...], bug: str | None = None) -> None:
        self.chance = random.Random(seed)
        self.outcome = Outcome()
        self.kinds, self.bug = kinds, bug
        self.ledger_folder = folder / "box" / "ledger"
        self.ledger_folder.parent.mkdir(parents=True)
        self.hub = Hub(folder / "hub", bug)
        self.hub.backup("older")
        self.loop = asyncio.new_event_loop()
        self.wire = Wire(self.hub, self.chance, self.loop, self.outcome)
        self.pupils = 0
        self.now = 0.0
        self.start_box()

    def start_box(self) -> None:
        """A new process of the box: what it knows is what is on the disk."""
        client = HubClient("http://hub.invalid")
        client._web = self.wire  # type: ignore[assignment]
        self.uplink = Uplink(self.ledger_folder, client, school=SCHOOL, monotonic=lambda: self.now)

    def eat(self) -> None:
        """Some children eat, of one terminal or the other; now and then a meal is taken back."""
        count = self.chance.choice((1, 3, 20, 90))
        rows = Ledger.blank(count)
        rows["terminal"], rows["day"], rows["slot"] = self.chance.choice((1, 2)), 20261005, b"lunch"
        rows["price"] = 45_000
        rows["pupil"] = range(self.pupils + 1, self.pupils + 1 + count)
        self.pupils += count
        with Ledger.open(self.ledger_folder, school=SCHOOL, segment_records=64) as ledger:
            if ledger.append(rows).any():
                raise AssertionError("a meal of the run was not recorded")

    def send(self, steps: int) -> None:
        """Sends until nothing waits, or so often."""
        for _ in range(steps):
            try:
                self.uplink.refresh()
                if not self.uplink.send():
                    return
                self.check_signed()
            except HubUnavailableError:
                self.uplink.broke()
                self.now += 10.0

    def live(self) -> Outcome:
        """The whole run; what does not hold stands in the outcome."""
        try:
            self.eat()
            self.send(self.chance.randrange(6))
            if self.chance.random() < 0.7:
                self.hub.backup("older")
            for kind in self.kinds * ROUNDS:
                self.eat()
                if kind == "box-crash":
                    self.outcome.met.append(kind)
                    self.send(self.chance.randrange(3))
                    self.start_box()
                else:
                    before = self.chance.randrange(3)
                    self.wire.faults = [""] * before + [kind] * self.chance.choice((1, 1, 2))
                    self.send(4 + before)
                    self.wire.faults = []
            self.eat()
            self.settle()
            self.check()
        except (AssertionError, EdusenseError, Crash) as error:
            self.outcome.broken = f"{type(error).__name__}: {error}"
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.hub.store.close()
        return self.outcome

    def settle(self) -> None:
        """The line is good again: in a bounded number of steps nothing waits."""
        self.wire.come_late()
        self.send(MOST_STEPS)
        if "hub-restored" not in self.outcome.met:
            # Nothing waits any more: that must be true without holding the two against each other.
            self.check()
        for _ in range(3):
            self.send(MOST_STEPS)
            self.now += 3600.0
            self.uplink.refresh()
            self.uplink.compare()
        self.send(MOST_STEPS)
        self.outcome.checks += 1
        if self.uplink.refresh() or self.uplink.troubles():
            raise AssertionError(f"{self.uplink.waiting} records wait for ever: {self.uplink.troubles()}")

    def check_signed(self) -> None:
        """What the hub has signed for is there: it may have forgotten only what it was put back before."""
        if "hub-restored" in self.outcome.met:
            return
        for (terminal, epoch), sequence in Acknowledgements(self.ledger_folder).sequences().items():
            line = self.hub.store.line(SCHOOL, terminal, epoch)
            self.outcome.checks += 1
            if line is None or line.acknowledged < sequence:
                self.outcome.lost += 1
                raise AssertionError(f"the hub has signed for {terminal}/{epoch:08x}/{sequence} and does not have it")

    def check(self) -> None:
        """The hub holds what the ledger holds, once, and its totals are the ledger's."""
        ledger = Ledger.open(self.ledger_folder, read_only=True)
        streams = ledger.streams()
        for stream in streams:
            own = streams.records(stream.terminal, stream.epoch, stream.first, stream.last)
            line = self.hub.store.line(SCHOOL, stream.terminal, stream.epoch)
            self.outcome.checks += 2
            there = b"" if line is None else self.hub.store.records(line, 1, line.acknowledged)
            if there != own.tobytes():
                self.outcome.lost += len(own) - len(there) // 128
                raise AssertionError(f"the hub holds {len(there) // 128} of {len(own)} records of {stream}")
            assert line is not None
            if line.totals.meals != int((own["kind"] == Kind.MEAL).sum()):
                self.outcome.doubled += abs(line.totals.meals - int((own["kind"] == Kind.MEAL).sum()))
                raise AssertionError(f"the hub counts {line.totals.meals} meals of {stream}")
        meals = int((ledger.records()["kind"] == Kind.MEAL).sum())
        counted = sum(day["meals"] for day in self.hub.store.day_totals(SCHOOL))
        self.outcome.checks += 2
        if counted != meals:
            self.outcome.lost += max(0, meals - counted)
            self.outcome.doubled += max(0, counted - meals)
            raise AssertionError(f"the hub counts {counted} meals of {meals}")
        if cases := self.hub.store.cases():
            raise AssertionError(f"nobody did wrong, and there are cases: {cases}")


def run(seed: int, number: int, bug: str | None = None) -> Outcome:
    """The run with this number."""
    memory = Path("/dev/shm")  # a disk's failures are another harness's
    place = Path(tempfile.mkdtemp(prefix="edusense-network-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        return Run(place, seed * 1_000_003 + number, SETS[number % len(SETS)], bug).live()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@dataclass
class Account:
    """The sums of many runs."""

    runs: int = 0
    requests: int = 0
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    by_pair: Counter[tuple[str, ...]] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Counts a run."""
        self.runs += 1
        self.requests += outcome.requests
        for kind in set(outcome.met):
            counts = self.by_kind.setdefault(kind, Counter())
            counts["injected"] += outcome.met.count(kind)
            counts["runs"] += 1
            for name in ("checks", "lost", "doubled"):
                counts[name] += getattr(outcome, name)
            counts["broken"] += outcome.broken is not None
        met = Counter(outcome.met)
        if len(met) == 2:
            self.by_pair[tuple(sorted(met))] += min(met.values())
        if outcome.broken is not None:
            self.broken.append((number, outcome.broken))

    def lines(self, seed: int) -> list[str]:
        """The table."""
        found = [
            f"{'on the way':<24} {'injected':>9} {'runs':>7} {'checks':>8} {'lost':>6} {'doubled':>8} {'broken':>7}"
        ]
        for kind in KINDS:
            told = self.by_kind.get(kind, Counter())
            found.append(
                f"{kind:<24} {told['injected']:>9} {told['runs']:>7} {told['checks']:>8} {told['lost']:>6} "
                f"{told['doubled']:>8} {told['broken']:>7}"
            )
        if self.by_pair:
            pair, times = min(self.by_pair.items(), key=lambda one: one[1])
            found.append(f"{len(self.by_pair)} pairs; the rarest, {' with '.join(pair)}, {times} times")
        for number, what in self.broken[:20]:
            found.append(
                f"BROKEN: python tests/faults/network_storm.py --seed {seed} --run {number}"
                f"    # {' + '.join(SETS[number % len(SETS)])}: {what}"
            )
        return found


def _share(given: tuple[int, range]) -> list[tuple[int, Outcome]]:
    seed, numbers = given
    return [(number, run(seed, number)) for number in numbers]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=11_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--run", type=int, help="this one alone")
    given = parser.parse_args()
    if given.run is not None:
        outcome = run(given.seed, given.run)
        sys.stdout.write(f"{' + '.join(SETS[given.run % len(SETS)])}: {outcome}\n")
        raise SystemExit(outcome.broken is not None)
    account, begun = Account(), time.monotonic()
    shares = [(given.seed, range(first, min(first + 110, given.runs))) for first in range(0, given.runs, 110)]
    with multiprocessing.Pool() as pool:
        for found in pool.imap_unordered(_share, shares):
            for number, outcome in found:
                account.add(number, outcome)
    spent = time.monotonic() - begun
    sys.stdout.write(f"{account.runs} runs, {account.requests} requests, seed {given.seed}, {spent:.0f} s\n")
    sys.stdout.write("\n".join(account.lines(given.seed)) + "\n")
    raise SystemExit(bool(account.broken))


if __name__ == "__main__":
    main()
