"""The running box for asyncio: the same words as `Box`, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from edusense.box.audit import AUDIT_NAME
from edusense.box.client import not_running, rows_only
from edusense.box.place import short_path, socket_of
from edusense.box.protocol import BEAT_S, LINE_LIMIT, PAYLOAD_LIMIT, encode, error_of, parse_line
from edusense.errors import BoxNotRunningError, BoxProtocolError, BoxTimeoutError, EdusenseError

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

__all__ = ["AsyncBox", "connect_async"]


async def connect_async(
    where: str | os.PathLike[str] | None = None, *, deadline_s: float = 30.0, wait_s: float = 0.0
) -> AsyncBox:
    """The running box of a site, for asyncio. Arguments and errors as `edusense.connect`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        try:
            # Reads the site file, which may lie on a slow disk.
            box = AsyncBox(await asyncio.to_thread(socket_of, where), deadline_s=deadline_s)
            await box.hello()
        except BoxNotRunningError:
            if loop.time() >= until:
                raise
            await asyncio.sleep(0.05)
        else:
            return box


class AsyncBox:
    """A running box, asked through its socket; every call opens a connection of its own, so tasks may share it.

    Args:
        path: the box's socket.
        deadline_s: how long each call may take, in seconds.
    """

    def __init__(self, path: Path, *, deadline_s: float = 30.0) -> None:
        self.path = path
        self.deadline_s = deadline_s
        self.cursor = 0
        """The cursor of the last event that `events` has yielded."""

    async def close(self) -> None:
        """Nothing is held open between calls; this is here so that a box can be used in a `with` like all else."""

    async def __aenter__(self) -> AsyncBox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def hello(self) -> dict[str, Any]:
        """Version, protocol, site and process of the box."""
        return (await self._call("hello"))[1]

    async def status(self) -> list[dict[str, Any]]:
        """The state of the box: rows of kind `box`, `camera`, `terminal` and `ledger`."""
        return (await self._call("status"))[0]

    @property
    def audit_path(self) -> Path:
        """The file in which the box writes down who took which picture or clip, and why."""
        return self.path.parent / AUDIT_NAME

    async def clip(self, event: str, *, reason: str) -> bytes:
        """The clip of a confirmed event, as MP4; `reason` and errors as of `Box.clip`."""
        return (await self._call("clip", event=event, reason=reason))[2]

    async def thumbnail(self, event: str, *, reason: str) -> bytes:
        """The picture of an event with its regions drawn in, as JPEG; as `Box.thumbnail`."""
        return (await self._call("thumbnail", event=event, reason=reason))[2]

    async def snapshot(self, camera: str, *, reason: str) -> bytes:
        """The newest picture of a camera, as JPEG; as `Box.snapshot`."""
        return (await self._call("snapshot", camera=camera, reason=reason))[2]

    async def heatmap(self, camera: str, *, reason: str) -> bytes:
        """Where things moved in a camera's picture, as PNG; as `Box.heatmap`."""
        return (await self._call("heatmap", camera=camera, reason=reason))[2]

    async def record_export(self, what: str, of: str, *, reason: str) -> None:
        """Has an export written to the audit log that did not come through the box; as `Box.record_export`."""
        await self._call("record-export", what=what, of=of, reason=reason)

    async def retry(self, camera: str) -> None:
        """Tries a camera again at once, whatever its back-off."""
        await self._call("retry", camera=camera)

    async def tap(self, terminal: str, card: str) -> dict[str, Any]:
        """A card at a terminal, as if it were held to its reader: a meal is recorded before this returns."""
        return (await self._call("tap", terminal=terminal, card=card))[0][0]

    async def cases(self, *, open_only: bool = False, most: int = 200) -> list[dict[str, Any]]:
        """The newest cases; arguments as `Box.cases`."""
        return (await self._call("cases", open=open_only, most=most))[0]

    async def case(self, name: str) -> list[dict[str, Any]]:
        """One case, its log, and where it went; as `Box.case`."""
        return (await self._call("case", case=name))[0]

    async def case_file(self, name: str, part: str = "still") -> bytes:
        """The `still` or `clip` of a case; as `Box.case_file`."""
        return (await self._call("case-file", case=name, part=part))[2]

    async def answer(self, case: str, answer: str, *, by: str, note: str | None = None) -> dict[str, Any]:
        """Answers a case; as `Box.answer`."""
        told = {} if note is None else {"note": note}
        return (await self._call("answer", case=case, answer=answer, by=by, **told))[0][0]

    async def raise_finding(
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
        """Hands in a finding; as `Box.raise_finding`."""
        finding = {"kind": kind, "camera": camera, "rule": rule, "version": version, **more}
        finding["start_s"] = time.time() if start_s is None else start_s
        told = {} if still is None else {"bytes": len(still)}
        return (await self._call("raise-finding", finding=finding, payload_=still, **told))[0][0]

    async def test_alert(self, zone: str) -> dict[str, Any]:
        """Begins a marked test alert of a zone; as `Box.test_alert`."""
        return (await self._call("test-alert", zone=zone))[0][0]

    async def silence(self, place: str, *, for_s: float, by: str, reason: str | None = None) -> dict[str, Any]:
        """Silences a zone or camera for a while; as `Box.silence`."""
        told: dict[str, Any] = {"for": max(1, round(for_s))} | ({} if reason is None else {"reason": reason})
        return (await self._call("silence", place=place, by=by, **told))[0][0]

    async def silences(self, *, over: bool = False) -> list[dict[str, Any]]:
        """The silences that are on; as `Box.silences`."""
        return (await self._call("silences", over=over))[0]

    async def unsilence(self, silence: int, *, by: str) -> dict[str, Any]:
        """Ends a silence; as `Box.unsilence`."""
        return (await self._call("unsilence", silence=silence, by=by))[0][0]

    async def enter(
        self, terminal: str, pupil: int, *, operator: str, reason: str, words: str | None = None,
        day: str | None = None, slot: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Enters a meal by hand; arguments and row as `Box.enter`."""
        more = {"words": words, "day": day, "slot": slot}
        asked: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
        return (await self._call("enter", terminal=terminal, pupil=pupil, operator=operator, reason=reason, **asked))[
            0
        ][0]

    async def reverse(self, record: str, *, operator: str, reason: str, words: str | None = None) -> dict[str, Any]:
        """Takes a meal back; arguments and row as `Box.reverse`."""
        asked: dict[str, Any] = {} if words is None else {"words": words}
        return (await self._call("reverse", record=record, operator=operator, reason=reason, **asked))[0][0]

    async def confirm_clock(self, *, operator: str, at: int | None = None) -> dict[str, Any]:
        """Says what time it is; arguments and row as `Box.confirm_clock`."""
        asked: dict[str, Any] = {} if at is None else {"at": at}
        return (await self._call("confirm-clock", operator=operator, **asked))[0][0]

    async def events(
        self,
        *,
        since: int | None = None,
        follow: bool = False,
        kinds: Sequence[str] | None = None,
        reconnect: bool = False,
    ) -> AsyncIterator[dict[str, Any]]:
        """What happened and, with `follow`, what happens; arguments, rows and errors as `Box.events`."""
        asked: dict[str, Any] = {"follow": follow}
        if kinds is not None:
            asked["kinds"] = list(kinds)
        if follow and since is None:
            since = int((await self.hello())["cursor"])
        while True:
            if since is not None:
                asked["since"] = since
            try:
                async with self._ask("events", **asked) as stream:
                    while True:
                        row = await self._line(stream, 3 * BEAT_S if follow else self.deadline_s)
                        if "ok" in row:
                            return
                        since = max(since or 0, rows_only(row)["cursor"])
                        self.cursor = since
                        if row["kind"] != "beat":
                            yield row
            except (BoxNotRunningError, BoxTimeoutError):
                if not (follow and reconnect):
                    raise
                await asyncio.sleep(0.5)

    async def _call(self, request: str, **arguments: Any) -> tuple[list[dict[str, Any]], dict[str, Any], bytes]:
        """Rows, end line and payload of one request, within the deadline."""
        try:
            async with asyncio.timeout(self.deadline_s), self._ask(request, **arguments) as stream:
                rows = []
                while "ok" not in (line := await self._line(stream, self.deadline_s)):
                    rows.append(rows_only(line))
                size = line.get("bytes", 0)
                if not isinstance(size, int) or not 0 <= size <= PAYLOAD_LIMIT:
                    raise BoxProtocolError(f"the box announces `{size}` bytes")
                return rows, line, await stream.readexactly(size)
        except TimeoutError as error:
            if isinstance(error, EdusenseError):
                raise
            raise self._late() from None

    @contextlib.asynccontextmanager
    async def _ask(
        self, request: str, *, payload_: bytes | None = None, **arguments: Any
    ) -> AsyncIterator[asyncio.StreamReader]:
        writer = None
        try:
            with short_path(self.path) as name:
                reader, writer = await asyncio.open_unix_connection(name, limit=LINE_LIMIT)
            writer.write(encode({"request": request, **arguments}) + (payload_ or b""))
            await writer.drain()
            yield reader
        except asyncio.IncompleteReadError:
            raise not_running(self.path, None) from None
        except OSError as error:
            if isinstance(error, (EdusenseError, TimeoutError)):
                raise
            raise not_running(self.path, error) from error
        finally:
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _line(self, stream: asyncio.StreamReader, within_s: float) -> dict[str, Any]:
        try:
            line = await asyncio.wait_for(stream.readuntil(b"\n"), within_s)
        except TimeoutError:
            raise self._late() from None
        except asyncio.LimitOverrunError:
            raise BoxProtocolError(f"the box sent a line longer than {LINE_LIMIT} bytes") from None
        value = parse_line(line)
        if value.get("ok") is False:
            raise error_of(value)
        return value

    def _late(self) -> BoxTimeoutError:
        return BoxTimeoutError(
            f"the box at `{self.path}` did not answer in time", hint="`edusense status` shows whether it still lives"
        )
