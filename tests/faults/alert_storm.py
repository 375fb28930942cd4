"""Alerts on their way through everything that goes wrong: kill -9 of both sides, a bad line, full disks, clock steps.

A box and a centre are processes of their own, with their own files; between them a relay loses, doubles, delays and
cuts. What `Desk.take` has returned was promised, and is held against the centre's files in the end: nothing lost,
nothing doubled, in order within each case. Run by `make faults-alerts`; a small share of it in `make test`.

    python -m tests.faults.alert_storm --alerts 10000 --seed 7
    python -m tests.faults.alert_storm --alerts 10000 --seed 7 --storm 3    # one of them again
    python -m tests.faults.alert_storm --alerts 200 --bug later-message-first

What is raised, what befalls which request, and after which alert a process dies follow from the seed; the moments are
the machine's own. Each storm of some hundred alerts has kinds of faults of its own, the first one has all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

from tests.faults.alert_storm_account import EVENTS, KINDS, Account, Outcome
from tests.faults.alert_storm_bugs import BUGS
from tests.faults.alert_storm_judge import Promised, judged
from tests.faults.alert_storm_relay import LINE_KINDS, Relay
from tests.faults.alert_storm_workers import content_of

from edusense.alerts.finding import SEVERITIES

__all__ = ["BUGS", "KINDS", "Account", "Outcome", "run"]

PLACE = Path(__file__).resolve().parents[2]
STORM = 500
"""Alerts of a storm."""
SHARE = 0.12
"""Share of requests that meet a fault."""
AT_ONCE = 16
MOST_WAITING = 40
"""With so much in the outbox nothing more is raised: all of it is to go through the faults."""
WAIT_S = 90.0
LATE = 12
"""Alerts that wait for the end of an outage, to see which goes first."""
CLOCK_S = (3600.0, 86_400.0, 30 * 86_400.0, 365 * 86_400.0, 8 * 365 * 86_400.0)


class BrokenPromiseError(Exception):
    """Something that must hold does not."""


class GoneError(Exception):
    """The process was killed before it answered."""


class Process:
    """One side: forked, killed and forked again on the same files."""

    def __init__(self, storm: Storm, role: str) -> None:
        self.storm, self.role = storm, role
        self.config: dict[str, Any] = {"role": role, "full": False, "offset_s": 0.0, "bug": storm.bug, "port": 0}
        self.config |= {"folder": str(storm.folder / role), "log": str(storm.folder / f"{role}.log"), "lanes": 3}
        self.ready = asyncio.Event()
        self.turn = asyncio.Lock()
        self.lives = 0
        self._life = 0
        self._numbers = 0
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process = 0
        self._ended: asyncio.Event = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, dies_young: float | None = None) -> None:
        """A new process; one that dies young is killed so many seconds after its first instruction."""
        if dies_young is not None:
            await self._fork()
            await asyncio.sleep(dies_young)
            await self._kill()
            self.storm.outcome.kills += 1
        await self._fork()
        try:
            await asyncio.wait_for(self.ready.wait(), WAIT_S)
        except TimeoutError:
            raise BrokenPromiseError(f"the {self.role} does not start again") from None

    async def _fork(self) -> None:
        self.lives += 1
        self._life = self.lives
        self._process = await self.storm.fork({**self.config, "socket": self.storm.socket, "life": self._life})

    async def connected(self, told: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The process is there: hears it to its end."""
        if told["life"] != self._life:  # it was killed while it said so
            return
        self._writer, self._ended = writer, asyncio.Event()
        self.config["port"] = told.get("port", 0)
        self.ready.set()
        with contextlib.suppress(OSError):
            async for line in reader:
                if not line.endswith(b"\n"):
                    break
                self._heard(json.loads(line))
        self.ready.clear()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(GoneError())
        self._asked.clear()
        self._ended.set()

    def _heard(self, row: dict[str, Any]) -> None:
        if "broken" in row:
            self.storm.broke(f"{self.role}: {row['broken']}")
        future = self._asked.pop(row.get("n", 0), None)
        if future is not None and not future.done():
            future.set_result(row)

    async def call(self, do: str, **told: Any) -> dict[str, Any]:
        """One command and its answer.

        Raises:
            GoneError: it was killed before it answered; whether it was done nobody knows.
        """
        await self.ready.wait()
        assert self._writer is not None
        self._numbers += 1
        number = self._numbers
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"n": number, "do": do, **told}).encode() + b"\n")
        return await future

    async def kill(self) -> None:
        """kill -9, at whatever it is."""
        self.storm.outcome.kills += 1
        await self._kill()
        # What it said before it died was said.
        await self._ended.wait()

    async def end(self) -> None:
        """Leaves nothing behind, whatever it was at."""
        if self._process and _is_there(self._process):
            await self._kill()
        if self._writer is not None:
            await self._ended.wait()

    async def _kill(self) -> None:
        was_ready = self.ready.is_set()
        os.kill(self._process, signal.SIGKILL)
        self._life = 0
        until = time.monotonic() + WAIT_S
        while _is_there(self._process):
            if time.monotonic() > until:
                raise BrokenPromiseError("a killed process is still there")
            await asyncio.sleep(0.001)
        if was_ready:
            await self._ended.wait()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class Storm:
    """One box, one centre, the line between them, and what befalls them while alerts are raised.

    Args:
        folder: an empty one.
        alerts: how many.
        seed: of everything but the moments.
        kinds: which faults.
        bug: a deliberate one.
        density: how many times as many events as `EVENTS` says.
    """

    def __init__(
        self, folder: Path, alerts: int, seed: int, kinds: Iterable[str], bug: str | None, density: float
    ) -> None:
        self.folder, self.alerts, self.bug = folder, alerts, bug
        self.kinds = tuple(kinds)
        self.chance = random.Random(seed)
        self.outcome = Outcome()
        self.promised = Promised()
        self.waiting = 0
        self.socket = str(folder / "control")
        self.box, self.centre = Process(self, "box"), Process(self, "centre")
        line = tuple(kind for kind in self.kinds if kind in LINE_KINDS)
        self.relay = Relay(lambda: self.centre.config["port"], seed + 1, line, SHARE)
        self._broken: list[str] = []
        self._fork_turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._events: dict[int, list[str]] = {}
        for kind, count in EVENTS.items():
            if kind in self.kinds:
                for _ in range(max(1, round(count * density * alerts / STORM))):
                    self._events.setdefault(self.chance.randrange(alerts), []).append(kind)

    def broke(self, what: str) -> None:
        """A promise was not kept: the storm ends."""
        self._broken.append(what)

    # Processes.

    async def fork(self, told: dict[str, Any]) -> int:
        """A new process out of the nursery."""
        async with self._fork_turn:
            assert self._nursery.stdin is not None
            assert self._nursery.stdout is not None
            self._nursery.stdin.write(json.dumps(told).encode() + b"\n")
            return int(await self._nursery.stdout.readline())

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._hear(reader, writer))
        self._hearing[writer] = task
        task.add_done_callback(lambda _: self._hearing.pop(writer))

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(await reader.readline())
            await (self.box if told["role"] == "box" else self.centre).connected(told, reader, writer)
        writer.transport.abort()

    async def live(self) -> Outcome:
        """The whole storm; what does not hold stands in the outcome."""
        control = await asyncio.start_unix_server(self._connected, self.socket, limit=1 << 20)
        self._nursery = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.alert_storm_workers",
            cwd=PLACE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await self.relay.start()
            self.box.config["url"] = f"http://127.0.0.1:{self.relay.port}/alerts"
            await self.centre.start()
            await self.box.start()
            await self._guarded(self._rage())
            if not self._broken:
                await self._guarded(self._order())
        except BrokenPromiseError as error:
            self.broke(str(error))
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for process in (self.box, self.centre):
                await process.end()
            await self.relay.close()
            # A process whose number nobody has read yet ends when the harness hangs up.
            control.close()
            while self._hearing:
                for writer in tuple(self._hearing):
                    writer.transport.abort()
                await asyncio.sleep(0.001)
            assert self._nursery.stdin is not None
            assert self._nursery.stdout is not None
            self._nursery.stdin.close()
            await self._nursery.stdout.read()
            await self._nursery.wait()
            for _ in range(10):  # what was closed a moment ago lets go of its socket in the loop's next turns
                await asyncio.sleep(0.001)
        self.outcome.alerts = len(self.promised.cases)
        self.outcome.requests = self.relay.requests
        self.outcome.injected.update(self.relay.injected)
        self.outcome.verdict = judged(self.folder / "box", self.folder / "centre", self.promised)
        # A storm that was broken off has left much on its way: what broke it off comes first.
        self.outcome.broken = next(iter(self._broken), None) or self.outcome.verdict.broken
        return self.outcome

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Works until it is done or a promise is broken somewhere."""
        task = asyncio.ensure_future(work)
        while not task.done() and not self._broken:
            await asyncio.wait([task], timeout=0.1)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif (error := task.exception()) is not None:
            if not isinstance(error, BrokenPromiseError):
                raise error
            self.broke(str(error))

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except BrokenPromiseError as error:
                self.broke(str(error))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.broke(f"the harness itself: {type(error).__name__}: {error}")

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Alerts.

    async def _rage(self) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        watch = self._begin(self._watch())
        scripts = []
        for number in range(self.alerts):
            for kind in self._events.get(number, ()):
                self._begin(self._befall(kind, random.Random(self.chance.random())))
            await turns.acquire()
            until = time.monotonic() + WAIT_S
            while self.waiting > MOST_WAITING:
                await asyncio.sleep(0.005)
                if time.monotonic() > until:
                    raise BrokenPromiseError(f"{self.waiting} wait in the outbox, and none goes")
            script = self._begin(self._alert(f"k-{number:06d}", random.Random(self.chance.random())))
            script.add_done_callback(lambda _: turns.release())
            scripts.append(script)
        await _all_within(scripts, "alerts could not be raised to the end")
        await _all_within([task for task in self._tasks if task is not watch], "a fault did not end")
        watch.cancel()
        # Everything is well again: now it must come to an end by itself.
        self.relay.kinds = ()
        await self.relay.come_late()
        await self._drained()

    async def _watch(self) -> None:
        """Knows how much waits, so that no more is raised than is carried."""
        while True:
            with contextlib.suppress(GoneError):
                told = await self.box.call("waiting")
                self.waiting = told["messages"] + told["stills"] + told["clips"]
            await asyncio.sleep(0.02)

    async def _drained(self) -> None:
        until = time.monotonic() + WAIT_S
        while True:
            told = await self.box.call("waiting")
            newest = await self.centre.call("newest-answer")
            waits = {name: told[name] for name in ("messages", "stills", "clips") if told[name]}
            if not waits and int(told["cursor"] or 0) == newest["number"]:
                return
            if time.monotonic() > until:
                raise BrokenPromiseError(f"{waits}, answers {told['cursor']} of {newest['number']}: it has no end")
            await asyncio.sleep(0.02)

    async def _done(self, do: str, **told: Any) -> dict[str, Any]:
        """Asks the box until it says that it is done, as whoever sees that nobody has heard does."""
        while True:
            try:
                found = await self.box.call(do, **told)
            except GoneError:
                self.outcome.again += 1
                continue
            if "again" not in found:
                return found
            self.outcome.refused += 1
            await asyncio.sleep(0.03)

    async def _take(self, marker: str, severity: str, start_s: float) -> None:
        self.promised.raised.add(marker)
        found = await self._done("take", marker=marker, severity=severity, start_s=start_s)
        if self.promised.cases.setdefault(marker, found.get("case", "")) != found.get("case"):
            raise BrokenPromiseError(f"alert {marker} has two cases")

    async def _alert(self, marker: str, chance: random.Random) -> None:
        """An alert's life: raised, with a picture, graver, answered by the school and by the centre."""
        start_s = time.time() + self.box.config["offset_s"]
        severity = chance.choice(SEVERITIES[:-1])
        await self._take(marker, severity, start_s)
        if chance.random() < 0.4:
            await self._attach(marker, "still", chance.randrange(1_000, 40_000))
        if chance.random() < 0.01:
            await self._attach(marker, "clip", chance.randrange(300_000, 900_000))
        if chance.random() < 0.2:
            await self._take(marker, SEVERITIES[SEVERITIES.index(severity) + 1], start_s + chance.random())
        for answer in chance.choices(("seen", "taken", "closed"), k=chance.choice((0, 0, 0, 0, 1, 2))):
            if "refused" not in await self._done("answer", marker=marker, answer=answer):
                self.promised.answers[marker].append(answer)
        if chance.random() < 0.2:
            answers = chance.choices(("seen", "taken", "closed", "false"), k=chance.choice((1, 1, 2, 3)))
            self._begin(self._answer(marker, answers))

    async def _attach(self, marker: str, name: str, size: int) -> None:
        await self._done("attach", marker=marker, name=name, size=size)
        self.promised.parts[marker, name] = hashlib.sha256(content_of(marker, name, size)).hexdigest()

    async def _answer(self, marker: str, answers: list[str]) -> None:
        """Somebody at the centre answers, on its page, as soon as the case is there."""
        for answer in answers:
            until = time.monotonic() + WAIT_S
            delivered = False
            while (status := await self._asked_page(self.promised.cases[marker], answer)) != 200:
                if status == 404 and delivered:
                    raise BrokenPromiseError(f"lost: alert {marker} waits no more and is not at the centre")
                if time.monotonic() > until:
                    raise BrokenPromiseError(f"alert {marker} does not come to the centre")
                await asyncio.sleep(0.1)
                with contextlib.suppress(GoneError):
                    told = await self.box.call("waiting")
                    delivered = not told["messages"]

    async def _asked_page(self, case: str, answer: str) -> int:
        body = json.dumps({"answer": answer, "by": "ЦОУ"}).encode()
        head = f"POST /cases/{case}/answer HTTP/1.1\r\nHost: centre\r\nConnection: close\r\nContent-Length: {len(body)}"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.centre.config["port"])
            writer.write(head.encode() + b"\r\n\r\n" + body)
            try:
                return int((await reader.readline()).split()[1])
            finally:
                writer.transport.abort()
        except (OSError, IndexError, ValueError):
            return 0

    # What befalls them.

    async def _befall(self, kind: str, chance: random.Random) -> None:
        await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 0.02), chance.uniform(0.0, 0.3))))
        self.outcome.injected[kind] += 1
        dies_young = chance.uniform(0.0, 0.05) if chance.random() < 0.25 else None
        match kind:
            case "kill-box":
                await self._killed(self.box, chance.choice((0.0, 0.05)), dies_young)
            case "kill-centre":
                await self._killed(self.centre, chance.choice((0.0, 0.05, 0.3)), dies_young)
            case "kill-both":
                both = (self._killed(process, 0.0, dies_young) for process in (self.box, self.centre))
                await asyncio.gather(*both)
            case "box-disk-full" | "centre-disk-full":
                process = self.box if kind == "box-disk-full" else self.centre
                await self._told(process, {"full": True}, "disk", full=True, pages=chance.choice((0, 1, 3, 8)))
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                if process is self.box:
                    with contextlib.suppress(GoneError):
                        self.outcome.reserves += not (await process.call("waiting"))["reserve"]
                await self._told(process, {"full": False}, "disk", full=False)
            case "box-clock-step":
                offset_s = chance.choice((-1.0, 1.0)) * chance.choice(CLOCK_S) * chance.random()
                await self._told(self.box, {"offset_s": offset_s}, "clock", offset_s=offset_s)
            case "centre-clock-step":
                self.centre.config["offset_s"] = chance.choice((-1.0, 1.0)) * chance.choice(CLOCK_S) * chance.random()
                await self._killed(self.centre, 0.0, None)
            case "line-down":
                self.relay.cut()
                await asyncio.sleep(chance.uniform(0.1, 0.8))
                self.relay.is_up = True

    @staticmethod
    async def _killed(process: Process, pause_s: float, dies_young: float | None) -> None:
        async with process.turn:
            await process.kill()
            await asyncio.sleep(pause_s)
            await process.start(dies_young)

    @staticmethod
    async def _told(process: Process, config: dict[str, Any], do: str, **told: Any) -> None:
        """Something about a process that holds for those that follow it, too."""
        process.config |= config
        with contextlib.suppress(GoneError):
            await process.call(do, **told)

    async def _order(self) -> None:
        """The line is down and alerts gather; then they arrive one by one, by one lane, the gravest first."""
        self.relay.cut()
        severities = [self.chance.choice(SEVERITIES) for _ in range(LATE)]
        weights = {}
        for number, severity in enumerate(severities):
            marker = f"late-{number:03d}"
            await self._take(marker, severity, time.time())
            weights[marker] = SEVERITIES.index(severity)
        graver = self.chance.choice(list(weights))
        weights[graver] = len(SEVERITIES) - 1
        await self._take(graver, SEVERITIES[-1], time.time())
        # One that begins only now has nothing in its hands that it took before the gravest was there.
        await self.box.kill()
        self.box.config["lanes"] = 1
        await self.box.start()
        self.promised.grave_first = sorted(weights, key=lambda marker: (-weights[marker], marker))
        self.relay.is_up = True
        await self._drained()


async def _all_within(tasks: list[asyncio.Task[None]], otherwise: str) -> None:
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=WAIT_S)
        if left:
            raise BrokenPromiseError(f"{len(left)} times: {otherwise}")


def kinds_of(seed: int, number: int) -> tuple[str, ...]:
    """What goes wrong in a storm: everything in the first one, about half of it in the others."""
    chance = random.Random(seed * 1_000_003 + number)
    return (
        KINDS if number == 0 else tuple(sorted(chance.sample(KINDS, chance.randrange(5, len(KINDS))), key=KINDS.index))
    )


def run(seed: int, number: int, alerts: int = STORM, bug: str | None = None, density: float = 1.0) -> Outcome:
    """The storm with this number; its files stay where a promise was broken."""
    memory = Path("/dev/shm")  # what a disk forgets in a power cut is another harness's
    place = Path(tempfile.mkdtemp(prefix="edusense-alerts-", dir=memory if os.access(memory, os.W_OK) else None))
    storm = Storm(place, alerts, seed * 1_000_003 + number, kinds_of(seed, number), bug, density)
    outcome = asyncio.run(storm.live())
    if outcome.broken is None or bug is not None:
        shutil.rmtree(place, ignore_errors=True)
    else:
        outcome.log = str(place)
    return outcome


def _share(given: tuple[int, int, int, str | None, float]) -> tuple[int, Outcome]:
    return given[1], run(*given)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--bug", choices=BUGS, help="a deliberate one, which must be found")
    parser.add_argument("--storm", type=int, help="this one alone")
    parser.add_argument("--density", type=float, default=1.0, help="times as many kills, full disks and clock steps")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="storms side by side")
    given = parser.parse_args()
    account, begun = Account(), time.monotonic()
    shares = [
        (given.seed, number, min(STORM, given.alerts - first), given.bug, given.density)
        for number, first in enumerate(range(0, given.alerts, STORM))
        if given.storm is None or given.storm == number
    ]
    with multiprocessing.Pool(min(given.at_once, len(shares))) as pool:
        for number, outcome in pool.imap_unordered(_share, shares):
            account.add(number, outcome)
            sys.stderr.write(f"{account.total['alerts']} of {given.alerts} alerts, {time.monotonic() - begun:.0f} s\n")
    lines = account.lines(given.seed, given.alerts, time.monotonic() - begun)
    sys.stdout.write("\n".join(lines) + "\n")
    raise SystemExit(bool(account.broken))


if __name__ == "__main__":
    main()
