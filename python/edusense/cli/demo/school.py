"""The demo's two processes: the virtual school, and the real box beside it, watched through its socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from edusense.errors import BoxError, BoxNotRunningError, DeviceError

__all__ = ["Box", "Process", "VirtualSchool"]

Row = dict[str, Any]
START_LIMIT_S = 120.0
"""Long, because a busy machine takes half a minute to begin; who dies before is noticed at once."""
STOP_LIMIT_S = 15.0


class Process:
    """One `edusense` command in a process of its own, stopped as systemd would stop it.

    Args:
        arguments: what stands behind `edusense` on the command line.
        log: file that takes what it says on stderr.
    """

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.name = arguments[0] if arguments[0] != "sim" else "sim school"
        self.log = log
        self.cpu_s = 0.0
        self.peak_bytes = 0
        self.status: int | None = None
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edusense", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Ctrl-C belongs to the demo: it stops the others in their order.
                start_new_session=True,
            )

    @property
    def output(self) -> IO[bytes]:
        """What the command prints: its rows."""
        assert self._process.stdout is not None
        return self._process.stdout

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.status is None and self._process.poll() is None

    def stop(self) -> int:
        """Asks it to stop, waits, and reads what it cost.

        Returns:
            Its exit status; negative when it had to be killed.
        """
        if self.status is not None:
            return self.status
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while True:
            if self._process.returncode is not None:  # poll() of `alive` has already collected it
                self.status = self._process.returncode
                break
            pid, raw, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self.cpu_s = usage.ru_utime + usage.ru_stime
                self.peak_bytes = usage.ru_maxrss * 1024
                self.status = self._process.returncode = os.waitstatus_to_exitcode(raw)
                break
            if time.monotonic() > deadline:
                self._process.kill()
                deadline = float("inf")
            time.sleep(0.02)
        self.output.close()
        return self.status

    def last_words(self) -> str:
        """The end of its log, for the message when it failed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


class VirtualSchool:
    """The devices: cameras, readers, people.

    Args:
        folder: where the site file, the roster and the record of what was staged are written.
        cameras: how many cameras.
        seconds: how long it lasts, the quiet included.
        quiet_s: seconds of quiet before the first event.
        seed: what happens follows from it.
    """

    def __init__(self, folder: Path, *, cameras: int, seconds: int, quiet_s: int, seed: int) -> None:
        self.folder = folder
        self.devices: list[Row] = []
        self.process = Process(
            [
                *("sim", "school", str(folder), "--cameras", str(cameras), "--seconds", str(seconds)),
                *("--quiet", str(quiet_s), "--seed", str(seed)),
            ],
            folder.parent / "school.log",
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(START_LIMIT_S) or self.site is None:
            self.process.stop()
            raise DeviceError(
                f"the virtual school did not start within {START_LIMIT_S:.0f} s:\n{self.process.last_words()}",
                hint=f"all it said stands in {self.process.log}",
            )

    site: Path | None = None
    """The site file that it wrote, once everything is up."""

    def _read(self, ready: threading.Event) -> None:
        for line in self.process.output:
            row = json.loads(line)
            if row["kind"] == "school":
                self.site = Path(row["site"])
                ready.set()
            else:
                self.devices.append(row)
        ready.set()

    @property
    def ended(self) -> bool:
        """Whether all that was to happen has happened."""
        return (self.folder / "ended").exists()

    def staged(self, kind: str) -> list[Row]:
        """What really happened, as the devices recorded it."""
        path = self.folder / "staged.jsonl"
        if not path.exists():
            return []
        rows = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
        return [row for row in rows if row["kind"] == kind]


class Box:
    """The box, and a follower of its events.

    Args:
        site: the site file.
        log: file that takes what the box says.
    """

    def __init__(self, site: Path, log: Path) -> None:
        import edusense

        self.process = Process(["run", "--site", str(site)], log)
        self.events: list[Row] = []
        self._site = site
        self._stopping = False
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.client = edusense.connect(str(site))
                break
            except BoxNotRunningError as error:
                if not self.process.alive() or time.monotonic() > deadline:
                    self.process.stop()
                    raise BoxNotRunningError(
                        f"the box did not start:\n{self.process.last_words()}", hint=f"all it said stands in {log}"
                    ) from error
                time.sleep(0.1)
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        import edusense

        cursor = 0  # from the first event that is kept
        while not self._stopping:
            try:
                with edusense.connect(str(self._site)) as client:
                    for event in client.events(since=cursor, follow=True):
                        self.events.append(event)
                        cursor = event["cursor"]
            except BoxError:
                time.sleep(0.2)

    def of_kind(self, kind: str) -> list[Row]:
        """The events of one kind so far."""
        return [event for event in list(self.events) if event["kind"] == kind]

    def stop(self) -> int:
        """Stops the box as systemd would; its exit status."""
        self._stopping = True
        self.client.close()
        return self.process.stop()
