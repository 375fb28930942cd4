"""The processes of the alert storm: a box with desk and couriers, a centre with its store, and what forks both.

Everything that is promised about alerts is kept by the real classes; what stands here is the way in (commands as JSON,
one a line, over a Unix socket), a disk that can be full and a clock that can jump. A process has no way to end but to
be killed, or that the harness has gone.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import signal
import socket
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn  # noqa: F401 - imported once, for all who are forked
from tests.faults.alert_storm_bugs import plant

from edusense.alerts import Desk, Finding, Settings
from edusense.alerts import courier as courier_module
from edusense.alerts import web as web_module
from edusense.alerts.courier import Courier
from edusense.alerts.database import Database
from edusense.alerts.https_json import HttpsJson
from edusense.alerts.limiter import Limiter
from edusense.box.evidence import write_evidence
from edusense.errors import AlertStorageError, CaseClosedError, CaseUnknownError, DeviceBusyError, EdusenseError
from edusense.sim.ops_centre.application import CentreApplication
from edusense.sim.ops_centre.store import CentreStore
from edusense.sim.web_server import WebServer
from edusense.site import Site

SITE = """[site]
id = "storm"
number = 51001
[[destinations]]
id = "centre"
driver = "https-json"
url = "https://ops.example.kz/alerts"
"""
USER, SECRET = "storm", "what both sides of the storm know"
UNLIMITED = 1 << 30
RESERVE_PAGES = 24
"""How far a full disk carries on with what the reserve gives back."""
START_S = 20.0


def content_of(marker: str, name: str, size: int) -> bytes:
    """The bytes of a case's still or clip: the same each time that it is made."""
    return random.Random(f"{marker}/{name}").randbytes(size)


class Control:
    """The harness's way into a process."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(told["socket"])
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self.ready = {"role": told["role"], "life": told["life"]}

    def say(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._socket.sendall(json.dumps(row).encode() + b"\n")

    def serve(
        self,
        do: Callable[[str, dict[str, Any]], dict[str, Any]],
        begin: Callable[[], None] = lambda: None,
        **more: Any,
    ) -> None:
        """Answers commands until the harness is gone."""
        self.say({**self.ready, **more})
        begin()
        for line in self._file:
            told = json.loads(line)
            number = told["n"]
            try:
                found = do(told.pop("do"), told)
            except Exception as error:
                traceback.print_exc()
                found = {"broken": f"{type(error).__name__}: {error}"}
            self.say({**found, "n": number})


class StormDatabase(Database):
    """The database on a disk that is full on command: SQLite itself refuses to take another page."""

    is_full = False

    def set_full(self, pages: int | None) -> None:
        """Leaves room for so many pages; None for all that anybody wants."""
        with self._lock:
            self.is_full = pages is not None
            (now,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {UNLIMITED if pages is None else now + pages}")

    def _give_up_reserve(self) -> bool:
        given = super()._give_up_reserve()
        if given:
            self.set_full(RESERVE_PAGES)
        return given


class Box:
    """A box's alerts as `AlertsPart` has them, without cameras."""

    def __init__(self, told: dict[str, Any], control: Control) -> None:
        self._offset_s = told["offset_s"]
        self._control = control
        # The harness waits for what people do not wait for, too: pauses are a hundredth of theirs.
        courier_module.FIRST_S, courier_module.LIMIT_S = 0.01, 0.15  # type: ignore[misc]
        courier_module.REFUSED_S, courier_module.REFUSED_LIMIT_S = 0.1, 0.2  # type: ignore[misc]
        courier_module.BEAT_S, courier_module.LISTEN_S = 0.1, 2.0  # type: ignore[misc]
        web_module.time = SimpleNamespace(time=self.clock, monotonic=time.monotonic)  # type: ignore[assignment]
        fallocate = os.posix_fallocate

        def allocate(file: int, start: int, size: int) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fallocate(file, start, size)

        self.full = told["full"]
        os.posix_fallocate = allocate
        self.database = StormDatabase(Path(told["folder"]))
        if self.full:
            self.database.set_full(0)
        limiter = Limiter(per_s=1e9, burst=1e9, camera_per_s=1e9, camera_burst=1e9)
        site = Site.loads(SITE)
        self.desk = Desk(self.database, site, told=self._told, clock=self.clock, limiter=limiter)
        settings = Settings("centre", {"id": "storm", "number": 51001}, told["url"], USER, SECRET)
        self.courier = Courier("centre", self.desk, lambda rank: HttpsJson(settings), clock=self.clock)
        self.promises_early = told["bug"] == "promise-before-commit"
        plant(told["bug"])
        self._lanes = told["lanes"]

    def begin(self) -> None:
        """Begins to bring alerts away."""
        lanes = [self.courier.deliver] * self._lanes + [self.courier.deliver_clips, self.courier.listen]
        for work in lanes:
            threading.Thread(target=self._lane, args=(work,), daemon=True).start()

    def _told(self, row: dict[str, Any]) -> None:
        if row["entry"] in ("answer", "attached", "answer-refused"):
            self.courier.wake()

    def clock(self) -> float:
        return time.time() + self._offset_s

    def _lane(self, work: Callable[..., None]) -> None:
        try:
            work(threading.Event(), lambda: None)
        except BaseException as error:
            traceback.print_exc()
            self._control.say({"broken": f"the lane `{work.__name__}` ended: {type(error).__name__}: {error}"})

    def do(self, what: str, told: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._done(what, told)
        except (AlertStorageError, OSError) as error:
            return {"again": str(error)}
        except CaseClosedError as error:
            return {"refused": str(error)}

    def _done(self, what: str, told: dict[str, Any]) -> dict[str, Any]:
        match what:
            case "take":
                if self.promises_early:
                    self._control.say({"n": told["n"], "case": ""})
                    time.sleep(0.001)
                kind, start_s = told["marker"], told["start_s"]
                finding = Finding(kind, None, start_s, "storm", "1", severity=told["severity"], source="storm")
                case = self.desk.take(finding)
                self.courier.wake()
                return {"case": case.case}
            case "attach":
                if self.full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                name, media_type = told["name"], "image/jpeg" if told["name"] == "still" else "video/mp4"
                content = content_of(told["marker"], name, told["size"])
                folder = self.database.folder / "evidence"
                self.desk.attach(write_evidence(folder, self._case_of(told["marker"]), name, media_type, content))
            case "answer":
                self.desk.answer(self._case_of(told["marker"]), told["answer"], by="guard", via="page")
            case "disk":
                self.full = told["full"]
                self.database.set_full(told["pages"] if self.full else None)
                if not self.full:
                    self.database.keep_reserve()
            case "clock":
                self._offset_s = told["offset_s"]
            case "waiting":
                reserve = (self.database.folder / "reserve").exists()
                return {**self.desk.outbox.waiting("centre"), "cursor": self.desk.cursor("centre"), "reserve": reserve}
        return {}

    def _case_of(self, marker: str) -> str:
        for row in self.database.rows("SELECT id FROM cases WHERE topic = ?", (f"{marker}\x1f\x1f\x1f",)):
            return str(row["id"])
        raise CaseUnknownError(f"{marker} was promised, and the box has no case of it")


def box(told: dict[str, Any]) -> None:
    control = Control(told)
    made = Box(told, control)
    control.serve(made.do, begin=made.begin)


def centre(told: dict[str, Any]) -> None:
    control = Control(told)
    offset_s = told["offset_s"]
    store = CentreStore(Path(told["folder"]), clock=lambda: time.time() + offset_s)
    plant(told["bug"])
    application = CentreApplication(store, secrets={USER: SECRET.encode()}, clock=lambda: time.time() + offset_s)
    until = time.monotonic() + START_S
    while True:
        try:
            server = WebServer(application.web, name="centre", port=told["port"])
        except DeviceBusyError:  # the one that was killed lets go of it in a moment
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            break
    if not server.wait_ready(START_S):
        raise EdusenseError("the centre does not serve")

    def disk(pages: int | None) -> None:
        with store._lock:
            (now,) = store._connection.execute("PRAGMA page_count").fetchone()
            store._connection.execute(f"PRAGMA max_page_count = {UNLIMITED if pages is None else now + pages}")

    def do(what: str, command: dict[str, Any]) -> dict[str, Any]:
        if what == "disk":
            disk(command["pages"] if command["full"] else None)
        elif what == "newest-answer":
            (row,) = store._rows("SELECT ifnull(max(number), 0) AS number FROM answers")
            return {"number": row["number"]}
        return {}

    if told["full"]:
        disk(0)
    control.serve(do, port=server.port)


def nursery() -> None:
    """Forks a process for each line, out of one that has done the imports: hundreds of starts take seconds."""
    assert sqlite3.threadsafety
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(log, 1)
                os.dup2(log, 2)
                logging.basicConfig(level=logging.CRITICAL)
                (box if told["role"] == "box" else centre)(told)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(9)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    nursery()
