"""The destination `command`: a program of the school's own gets each message on its standard input.

Its exit status says what became of the message, in the words of sysexits.h: 0, it has it for good; 65 (EX_DATAERR), it
will never take this one; 126 and 127, it cannot be run; everything else, it may work later.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar, Final

from edusense.alerts.destination import Destination
from edusense.errors import DestinationRefusedError, DestinationUnavailableError, MessageRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.alerts.destination import Settings
    from edusense.alerts.outbox import Attachment

__all__ = ["Command"]

WITHIN_S: Final = 30.0
_DATA_ERROR: Final = 65
_CANNOT_RUN: Final = (126, 127)
_SAID: Final = 4096
"""So many bytes of what it last said on its standard error are read."""


class Command(Destination):
    """Runs a program for each message; without a shell, in a process group of its own, with a deadline."""

    OPTIONS: ClassVar[Mapping[str, str]] = {
        "command": "the program and its arguments, as on a command line; no shell reads it",
        "within_s": f"how long it may take, in seconds ({WITHIN_S:g})",
    }
    CREDENTIALS: ClassVar[bool] = False
    STILL_WITHIN_S: ClassVar[float] = 10.0

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._name = f"destination `{settings.id}`"
        try:
            self._arguments = shlex.split(str(settings.options.get("command", "")))
        except ValueError as error:
            raise DestinationRefusedError(f"{self._name}: its command cannot be read: {error}") from error
        if not self._arguments:
            raise DestinationRefusedError(
                f"{self._name} needs a command", hint='options = { command = "/usr/local/bin/ring-the-bell" }'
            )
        within = settings.options.get("within_s", WITHIN_S)
        if isinstance(within, bool) or not isinstance(within, (int, float)) or not 0 < within <= 600:
            raise DestinationRefusedError(f"{self._name}: `within_s` is a number of seconds, at most 600")
        self._within_s = float(within)
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, message: Mapping[str, Any], still: Attachment | None = None) -> None:
        """Runs the program with the message on its standard input; returns when it has ended with 0."""
        program = shutil.which(self._arguments[0], path=os.environ.get("PATH", os.defpath))
        if program is None:
            raise DestinationRefusedError(
                f"{self._name}: there is no program `{self._arguments[0]}`, or it may not be run",
                hint="write its whole path, and make it executable for the user who runs the box",
            )
        body = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        told = {"EDUSENSE_KEY": message["key"], "EDUSENSE_CASE": message["case"]}
        told["EDUSENSE_SCHOOL"] = str(self.settings.school["id"])
        if still is not None:
            told["EDUSENSE_STILL"] = str(still.path)
        # Files and not pipes: what it leaves running in the background must not hold up the next message.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(body)
            given.seek(0)
            status = self._run(program, given, said, os.environ | told)
            size = said.seek(0, os.SEEK_END)
            said.seek(max(0, size - _SAID))
            because = _last_line(said.read(_SAID))
        if status == 0:
            return
        text = f"{self._name}: `{self._arguments[0]}` ended with {status}" + (f": {because}" if because else "")
        if status == _DATA_ERROR:
            raise MessageRefusedError(text)
        if status in _CANNOT_RUN:
            raise DestinationRefusedError(text, hint="run it by hand as the user who runs the box")
        raise DestinationUnavailableError(text, hint="exit status 0 says that it has the message for good")

    def _run(self, program: str, given: Any, said: Any, environment: dict[str, str]) -> int:
        try:
            process = subprocess.Popen(
                [program, *self._arguments[1:]],
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment,
                cwd=self.settings.folder,
                start_new_session=True,
            )
        except OSError as error:
            raise DestinationRefusedError(
                f"{self._name}: `{self._arguments[0]}` cannot be run: {error.strerror}",
                hint="run it by hand as the user who runs the box",
            ) from error
        self._process = process
        try:
            return process.wait(self._within_s)
        except subprocess.TimeoutExpired:
            raise DestinationUnavailableError(
                f"{self._name}: `{self._arguments[0]}` did not end within {self._within_s:g} s, and was killed"
            ) from None
        finally:
            self._process = None
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def interrupt(self) -> None:
        """Ends the program: the message is sent again after the next start."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _last_line(said: bytes) -> str:
    """The last line that is not empty, as it may stand on a terminal."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in lines[-1][:200]) if lines else ""
