"""What a kiosk is told: its verdicts as they are given, and every few seconds how its terminal is doing."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.meals.words import LANGUAGES, Sentence, title

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edusense.box.pages.source import PagesSource
    from edusense.box.screens import Shown
    from edusense.meals import Verdict

__all__ = ["SHOW_MS", "Feed", "Photos"]

SHOW_MS: Final = {True: 4000, False: 6000}
"""How long a verdict is on the screen, green and red: a reason takes longer to read than a name."""

STATE_S: Final = 2.0
"""How often a kiosk hears of its terminal; when it has heard nothing for three of these it says so on the screen."""


class Photos:
    """Photos under names that nobody can guess, for as long as their child is on the screen.

    Args:
        keep_s: how long a name leads to the photo, in seconds.
    """

    def __init__(self, keep_s: float = 60.0) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._pupils: dict[str, tuple[int, float]] = {}

    def name(self, pupil: int) -> str:
        """A name for a pupil's photo."""
        now = time.monotonic()
        made = secrets.token_urlsafe(16)
        with self._lock:
            self._pupils = {name: found for name, found in self._pupils.items() if found[1] > now}
            self._pupils[made] = (pupil, now + self._keep_s)
        return made

    def pupil(self, name: str) -> int | None:
        """Whose photo a name leads to; None for a name that nobody was given, or not lately."""
        with self._lock:
            found = self._pupils.get(name)
        return None if found is None or found[1] <= time.monotonic() else found[0]


class Feed:
    """The stream of one kiosk, as server-sent events (HTML Living Standard, section 9.2).

    Args:
        source: the box, as far as pages see it.
        terminal: the terminal's id.
        photos: where photos get their names.
    """

    def __init__(self, source: PagesSource, terminal: str, photos: Photos) -> None:
        self._source, self._terminal, self._photos = source, terminal, photos

    async def events(self) -> AsyncIterator[bytes]:
        """Events for as long as the page listens: at first what it would show, had it been there all the time."""
        loop = asyncio.get_running_loop()
        fresh: asyncio.Queue[Shown] = asyncio.Queue(32)

        def heard(shown: Shown) -> None:
            if shown.terminal == self._terminal:
                with contextlib.suppress(RuntimeError):  # the loop ends while a terminal gives its last verdict
                    loop.call_soon_threadsafe(put, shown)

        def put(shown: Shown) -> None:
            if fresh.full():  # a page that does not listen; it will be told what is on now
                fresh.get_nowait()
            fresh.put_nowait(shown)

        stop = self._source.screens.listen(heard)
        try:
            yield b"retry: 1000\n\n"
            last = self._source.screens.last(self._terminal)
            if last is not None and (event := self._verdict(last)) is not None:
                yield event
            while True:
                yield _event("state", await loop.run_in_executor(None, self._source.state, self._terminal))
                until = loop.time() + STATE_S
                while (left := until - loop.time()) > 0:
                    with contextlib.suppress(TimeoutError):
                        shown = await asyncio.wait_for(fresh.get(), left)
                        if (event := self._verdict(shown)) is not None:
                            yield event
        finally:
            stop()

    def _verdict(self, shown: Shown) -> bytes | None:
        """A verdict as an event; None where its time on the screen is over."""
        show_ms = SHOW_MS[shown.verdict.granted]
        left_ms = show_ms - round((time.monotonic() - shown.at) * 1000)
        if left_ms <= 0:
            return None
        told = _told(shown.verdict) | {"number": shown.number, "show_ms": show_ms, "left_ms": left_ms, "photo": None}
        pupil = shown.verdict.pupil
        if pupil is not None and self._source.has_photo(pupil):
            told["photo"] = f"/photo/{self._photos.name(pupil)}"
        return _event("verdict", told, shown.number)


def _told(verdict: Verdict) -> dict[str, Any]:
    what = verdict.kind if verdict.granted else str(verdict.reason)
    sentence = verdict.sentence
    told: dict[str, Any] = {
        "granted": verdict.granted,
        "kind": verdict.kind,
        "reason": verdict.reason,
        "title": {language: title(what, language) for language in LANGUAGES},
        "text": None if sentence is None else sentence.to_json(),
        "name": verdict.name,
        "class": verdict.form,
        "allergy": None,
        "clock_unsure": verdict.clock_unsure,
    }
    if verdict.granted and verdict.allergens:
        told["allergy"] = Sentence("allergens", {"what": ", ".join(verdict.allergens)}).to_json()
    return told


def _event(kind: str, told: dict[str, Any], number: int | None = None) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(told, ensure_ascii=False, default=_json)}\n\n".encode()


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
