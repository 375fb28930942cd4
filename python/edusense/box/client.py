"""`edusense.connect()`: the running box from a script beside it, so that no camera or port is opened a second time.

```python
import edusense

box = edusense.connect()
for event in box.events(follow=True, kinds=["motion"]):
    print(event["camera"], event["score"])
```
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

from edusense.box.audit import AUDIT_NAME
from edusense.box.place import short_path, socket_of
from edusense.box.protocol import BEAT_S, LINE_LIMIT, PAYLOAD_LIMIT, encode, error_of, parse_line
from edusense.errors import (
    BoxBusyError,
    BoxError,
    BoxNotRunningError,
    BoxProtocolError,
    BoxTimeoutError,
    EdusenseError,
    PermissionDeniedError,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Box", "connect", "not_running", "rows_only"]


def connect(where: str | os.PathLike[str] | None = None, *, deadline_s: float = 30.0, wait_s: float = 0.0) -> Box:
    """The running box of a site.

    Args:
        where: its socket, the site file, or a folder with one of them; default: `$EDUSENSE_SITE`, else `./school.toml`.
        deadline_s: how long each call may take, in seconds.
        wait_s: how long to wait for a box that is just starting, in seconds.

    Raises:
        BoxNotRunningError: no box answers there.
        PermissionDeniedError: this user may not use its socket.
    """
    until = time.monotonic() + wait_s
    while True:
        try:
            box = Box(socket_of(where), deadline_s=deadline_s)
            box.hello()
        except BoxNotRunningError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
        else:
            return box


class Box:
    """A running box, asked through its socket. Every call opens a connection of its own, so threads may share it.

    Args:
        path: the box's socket.
        deadline_s: how long each call may take, in seconds.
    """

    def __init__(self, path: Path, *, deadline_s: float = 30.0) -> None:
        self.path = path
        self.deadline_s = deadline_s
        self.cursor = 0
        """The cursor of the last event that `events` has yielded: where to go on after a break."""

    def close(self) -> None:
        """Nothing is held open between calls; this is here so that a box can be used in a `with` like all else."""

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hello(self) -> dict[str, Any]:
        """Version, protocol, site and process of the box."""
        with self._ask("hello") as answer:
            return answer.end()

    def status(self) -> list[dict[str, Any]]:
        """The state of the box: rows of kind `box`, `camera`, `terminal` and `ledger`."""
        with self._ask("status") as answer:
            return list(answer.rows())

    def events(
        self,
        *,
        since: int | None = None,
        follow: bool = False,
        kinds: Sequence[str] | None = None,
        reconnect: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """What happened, oldest first, and with `follow` what happens, as it happens.

        Args:
            since: begin after this cursor; 0 is everything kept. Default: everything, with `follow` from now on.
            follow: go on for ever.
            kinds: only these kinds of events.
            reconnect: with `follow`, wait for a box that has stopped, and go on without loss or repetition.

        Yields:
            Rows of the event log. A row of kind `gap` says that older events have been deleted to make room.

        Raises:
            BoxNotRunningError: the box has stopped (without `reconnect`).
            BoxTimeoutError: the box says nothing any more.
        """
        asked: dict[str, Any] = {"follow": follow}
        if kinds is not None:
            asked["kinds"] = list(kinds)
        if follow and since is None:
            since = self._now()
        while True:
            if since is not None:
                asked["since"] = since
            try:
                with self._ask("events", **asked) as answer:
                    for row in answer.rows(silence_s=3 * BEAT_S if follow else None):
                        since = max(since or 0, row["cursor"])
                        self.cursor = since
                        if row["kind"] != "beat":
                            yield row
                    return
            except (BoxNotRunningError, BoxTimeoutError):
                if not (follow and reconnect):
                    raise
                time.sleep(0.5)

    @property
    def audit_path(self) -> Path:
        """The file in which the box writes down who took which picture or clip, and why."""
        return self.path.parent / AUDIT_NAME

    def clip(self, event: str, *, reason: str) -> bytes:
        """The clip of a confirmed event, as MP4.

        Args:
            event: its id.
            reason: why you take it: children are on it, so who, what and why go to the audit log first.

        Raises:
            BoxUnknownError: there is no such event, or its clip has been deleted to make room.
            BoxProtocolError: the reason is empty.
            PermissionDeniedError: the box cannot write its audit log.
        """
        with self._ask("clip", event=event, reason=reason) as answer:
            return answer.payload()

    def thumbnail(self, event: str, *, reason: str) -> bytes:
        """The picture of an event with its regions drawn in, as JPEG; `reason` and errors as of `clip`."""
        with self._ask("thumbnail", event=event, reason=reason) as answer:
            return answer.payload()

    def snapshot(self, camera: str, *, reason: str) -> bytes:
        """The newest picture of a camera, as JPEG, out of the stream that the box receives anyway.

        Args:
            camera: its id.
            reason: why you take it, for the audit log; errors as of `clip`.
        """
        with self._ask("snapshot", camera=camera, reason=reason) as answer:
            return answer.payload()

    def heatmap(self, camera: str, *, reason: str) -> bytes:
        """Where things moved in a camera's picture since it was called, over its newest picture, as PNG.

        Args:
            camera: its id.
            reason: why you take it, for the audit log; errors as of `clip`.
        """
        with self._ask("heatmap", camera=camera, reason=reason) as answer:
            return answer.payload()

    def record_export(self, what: str, of: str, *, reason: str) -> None:
        """Has an export written to the audit log that did not come through the box, such as a camera's own still.

        Args:
            what: `snapshot`, `clip` or the like.
            of: the camera or event.
            reason: why.
        """
        with self._ask("record-export", what=what, of=of, reason=reason) as answer:
            answer.end()

    def retry(self, camera: str) -> None:
        """Tries a camera again at once, whatever its back-off, for example after its password was mended."""
        with self._ask("retry", camera=camera) as answer:
            answer.end()

    def tap(self, terminal: str, card: str) -> dict[str, Any]:
        """A card at a terminal, as if it were held to its reader: a meal is recorded before this returns.

        Args:
            terminal: the terminal's id.
            card: the card's id, `010063E9AE` or `em4100:010063E9AE`.

        Returns:
            The row of the event: `granted`, `reason`, `pupil`, `record`, `message`.
        """
        with self._ask("tap", terminal=terminal, card=card) as answer:
            return next(answer.rows())

    def cases(self, *, open_only: bool = False, most: int = 200) -> list[dict[str, Any]]:
        """The newest cases, the newest first.

        Args:
            open_only: only those that take answers.
            most: at most so many.
        """
        with self._ask("cases", open=open_only, most=most) as answer:
            return list(answer.rows())

    def case(self, name: str) -> list[dict[str, Any]]:
        """One case: its row (kind `case`), its log (kind `entry`), and where it went (kind `hop`).

        Args:
            name: its id, the beginning of its id, or its number.

        Raises:
            CaseUnknownError: there is none, or more than one.
        """
        with self._ask("case", case=name) as answer:
            return list(answer.rows())

    def case_file(self, name: str, part: str = "still") -> bytes:
        """The `still` (JPEG) or `clip` (MP4) of a case.

        Raises:
            CaseUnknownError: there is no such case.
            BoxUnknownError: it has no such file.
        """
        with self._ask("case-file", case=name, part=part) as answer:
            return answer.payload()

    def answer(self, case: str, answer: str, *, by: str, note: str | None = None) -> dict[str, Any]:
        """Answers a case; what was answered is on the disk on return.

        Args:
            case: its id, the beginning of its id, or its number.
            answer: `seen`, `taken`, `closed` or `false`.
            by: who answers.
            note: in somebody's own words.

        Returns:
            The case's row.

        Raises:
            CaseUnknownError: there is no such case.
            CaseClosedError: it takes no answers any more.
        """
        told: dict[str, Any] = {} if note is None else {"note": note}
        with self._ask("answer", case=case, answer=answer, by=by, **told) as got:
            return next(got.rows())

    def raise_finding(
        self,
        kind: str,
        *,
        camera: str | None = None,
        rule: str,
        version: str,
        start_s: float | None = None,
        still: bytes | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Hands in a finding: it opens a case, or belongs to one that is open; durable on return.

        Args:
            kind: what was seen, in kebab-case: `fire`, `fight`.
            camera: the camera that saw it.
            rule: name of your rule or analyser.
            version: its version.
            start_s: when it began, Unix seconds; now by default.
            still: its picture as JPEG, at most 1 MiB; without one the camera's newest is taken.
            **more: `end_s`, `confidence`, `severity`, `zone`, `boxes` (shares of the picture), `event`, `text`,
                `clock_error_s`, `source`, `test`.

        Returns:
            The case's row.

        Raises:
            FindingError: it is none, or names what this site has not.
            FindingLimitedError: its source hands in too many.
            AlertStorageError: the disk did not take it.
        """
        finding = {"kind": kind, "camera": camera, "rule": rule, "version": version, **more}
        finding["start_s"] = time.time() if start_s is None else start_s
        told: dict[str, Any] = {} if still is None else {"bytes": len(still)}
        with self._ask("raise-finding", finding=finding, payload_=still, **told) as answer:
            return next(answer.rows())

    def test_alert(self, zone: str) -> dict[str, Any]:
        """Begins a marked test alert of a zone, which goes the whole way.

        Returns:
            The case's row; `events(kinds=["alert"])` tells each hop.
        """
        with self._ask("test-alert", zone=zone) as answer:
            return next(answer.rows())

    def silence(self, place: str, *, for_s: float, by: str, reason: str | None = None) -> dict[str, Any]:
        """Lets findings of a zone or a whole camera open no case for a while; they are counted.

        Args:
            place: a zone's id, or a camera's.
            for_s: for how long, in seconds; at most a week.
            by: who says so.
            reason: why, in their words.

        Returns:
            The silence's row: `id`, `zone`, `camera`, `since_s`, `until_s`, `by`, `reason`, `count`, `over`.

        Raises:
            UsageError: there is no such place, nobody's name, or an end that cannot be.
        """
        told: dict[str, Any] = {"for": max(1, round(for_s))} | ({} if reason is None else {"reason": reason})
        with self._ask("silence", place=place, by=by, **told) as answer:
            return next(answer.rows())

    def silences(self, *, over: bool = False) -> list[dict[str, Any]]:
        """The silences that are on, the newest first; `over`: also those that have ended."""
        with self._ask("silences", over=over) as answer:
            return list(answer.rows())

    def unsilence(self, silence: int, *, by: str) -> dict[str, Any]:
        """Ends a silence before its time.

        Raises:
            CaseUnknownError: no such silence is on.
        """
        with self._ask("unsilence", silence=silence, by=by) as answer:
            return next(answer.rows())

    def enter(
        self, terminal: str, pupil: int, *, operator: str, reason: str, words: str | None = None,
        day: str | None = None, slot: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Enters a meal by hand, for a child without a card.

        Args:
            terminal: the terminal's id.
            pupil: number of the pupil.
            operator: who does it: family name and given name.
            reason: why, such as `card-forgotten`; or one's own words.
            words: more words.
            day: `2026-10-05`, for a meal that was given earlier, from a paper list.
            slot: its slot; with `day` only.

        Returns:
            The row of the event, as `tap`.
        """
        more = {"words": words, "day": day, "slot": slot}
        asked: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
        with self._ask("enter", terminal=terminal, pupil=pupil, operator=operator, reason=reason, **asked) as answer:
            return next(answer.rows())

    def reverse(self, record: str, *, operator: str, reason: str, words: str | None = None) -> dict[str, Any]:
        """Takes a meal back: it stays on record, and its child may be served again.

        Args:
            record: key of the meal's record.
            operator: who does it: family name and given name.
            reason: why, such as `wrong-child`; or one's own words.
            words: more words.

        Returns:
            The row of the event: `meal`, `record` (of the reversal).
        """
        asked: dict[str, Any] = {} if words is None else {"words": words}
        with self._ask("reverse", record=record, operator=operator, reason=reason, **asked) as answer:
            return next(answer.rows())

    def confirm_clock(self, *, operator: str, at: int | None = None) -> dict[str, Any]:
        """Says what time it is, where the terminals cannot tell after a power cut.

        Args:
            operator: who says so: family name and given name.
            at: Unix seconds; None: what the terminals show is right.

        Returns:
            The row of the event: `clock_s`, `record`.
        """
        asked: dict[str, Any] = {} if at is None else {"at": at}
        with self._ask("confirm-clock", operator=operator, **asked) as answer:
            return next(answer.rows())

    def _now(self) -> int:
        with self._ask("hello") as answer:
            return int(answer.end()["cursor"])

    @contextlib.contextmanager
    def _ask(self, request: str, *, payload_: bytes | None = None, **arguments: Any) -> Iterator[_Answer]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self.deadline_s)
            try:
                with short_path(self.path) as name:
                    connection.connect(name)
                connection.sendall(encode({"request": request, **arguments}) + (payload_ or b""))
                with connection.makefile("rb") as stream:
                    yield _Answer(connection, stream, self.path, self.deadline_s)
            except TimeoutError as error:
                # Also a camera's timeout is a TimeoutError, and it came from the box, not from the socket.
                if isinstance(error, EdusenseError):
                    raise
                raise BoxTimeoutError(
                    f"the box at `{self.path}` did not answer `{request}` in time",
                    hint="`edusense status` shows whether it still lives",
                ) from None
            except OSError as error:
                if isinstance(error, EdusenseError):
                    raise
                raise not_running(self.path, error) from error


class _Answer:
    """The answer to one request, read as it comes."""

    def __init__(self, connection: socket.socket, stream: Any, path: Path, deadline_s: float) -> None:
        self._connection, self._stream, self._path = connection, stream, path
        self._until = time.monotonic() + deadline_s

    def rows(self, silence_s: float | None = None) -> Iterator[dict[str, Any]]:
        """The rows up to the end line; with `silence_s` the deadline is one of silence and not of the whole."""
        while True:
            row = self._line(silence_s)
            if "ok" in row:
                return
            yield rows_only(row)

    def end(self) -> dict[str, Any]:
        """The end line of an answer that has no rows."""
        return self._line(None)

    def payload(self) -> bytes:
        """The bytes that follow the end line."""
        size = self._line(None).get("bytes")
        if not isinstance(size, int) or not 0 <= size <= PAYLOAD_LIMIT:
            raise BoxProtocolError(f"the box announces `{size}` bytes")
        parts = []
        while size:
            self._deadline()
            part = self._stream.read1(min(size, 1 << 20))
            if not part:
                raise not_running(self._path, None)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _line(self, silence_s: float | None) -> dict[str, Any]:
        if silence_s is not None:
            self._until = time.monotonic() + silence_s
        self._deadline()
        line = self._stream.readline(LINE_LIMIT + 1)
        if not line.endswith(b"\n"):
            if len(line) > LINE_LIMIT:
                raise BoxProtocolError(f"the box sent a line longer than {LINE_LIMIT} bytes")
            raise not_running(self._path, None)
        value = parse_line(line)
        if value.get("ok") is False:
            raise error_of(value)
        return value

    def _deadline(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)


def rows_only(row: dict[str, Any]) -> dict[str, Any]:
    """The row, if it is one.

    Raises:
        BoxProtocolError: it has no `kind`.
    """
    if not isinstance(row.get("kind"), str):
        raise BoxProtocolError("the box sent a line that is neither a row nor an end", hint="are both of one version?")
    return row


def not_running(path: Path, error: OSError | None) -> BoxError | PermissionDeniedError:
    """What to say when nobody answers at a socket.

    Args:
        path: the socket.
        error: what connecting said; None when the box went away in the middle.
    """
    if isinstance(error, PermissionError):
        return PermissionDeniedError(
            f"this user may not use the box's socket `{path}`",
            hint="join the group that owns it (`ls -l` shows it), then log in again",
        )
    if isinstance(error, BlockingIOError):
        return BoxBusyError(f"too many clients call the box at `{path}`", hint="try again in a moment")
    if error is None or isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return BoxNotRunningError(f"the box at `{path}` went away", hint="it was stopped, or `journalctl` says why")
    return BoxNotRunningError(
        f"no box answers at `{path}`", hint="start it with `edusense run --site FILE`, or name its site file"
    )
