"""One terminal: its readers → tap → verdict, durable before it is green → lamp, sound, screen, event.

The first reader is read in the terminal's own thread, each further one in a thread of its own.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from edusense.box.parts import Part
from edusense.devices import Card, ReaderChange, open_reader, reconnecting
from edusense.errors import DeviceError, EdusenseError, SessionClosedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.box.canteen import Canteen
    from edusense.box.lights import Lights
    from edusense.box.log import EventLog
    from edusense.box.screens import Screens
    from edusense.devices import Reader as OpenReader
    from edusense.devices import ReconnectingReader, Trace
    from edusense.meals import Terminal, Verdict
    from edusense.meals.entrance import Entrance
    from edusense.site import Reader, Site

__all__ = ["ReaderPart", "TerminalPart"]

logger = logging.getLogger(__name__)

READ_S = 0.5
"""How long one look at the reader waits, in seconds: the rhythm in which a terminal proves that it lives."""


class TerminalPart(Part):
    """A terminal of the site file, with its readers where it has some.

    Args:
        terminal: its entry in the site file.
        site: the site file.
        canteen: ledger, roster and clock, shared by all terminals.
        log: the event log.
        screens: the pages that show verdicts; None where there are none.
    """

    def __init__(
        self, terminal: Any, site: Site, canteen: Canteen, log: EventLog, screens: Screens | None = None
    ) -> None:
        super().__init__(f"terminal {terminal.id}", log)
        self.terminal = terminal
        self.granted = 0
        self.refused: Counter[str] = Counter()
        self.last_tap_s: float | None = None
        self._site = site
        self._canteen = canteen
        self._screens = screens
        self._readers = [site.reader(name) for name in terminal.all_readers]
        self._reader_states: dict[str, tuple[str, str | None]] = {one.id: ("waiting", None) for one in self._readers}
        self.more_readers = [ReaderPart(self, reader, log) for reader in self._readers[1:]]
        """The threads of its further readers, to be begun and ended with it."""
        self._sessions: dict[str, ReconnectingReader] = {}
        self._lights: Lights | None = None
        # A tap may also come through the socket, or from another reader, in a thread of its own.
        self._tapping = threading.Lock()
        self._made: tuple[Any, Any, Any] | None = None

    def run(self) -> None:
        """Reads cards until it is stopped; a reader that goes away is opened again."""
        if self.terminal.light is not None and self._lights is None:
            from edusense.box.lights import Lights

            self._lights = Lights(self.terminal.light, self.terminal.id)
        try:
            if self._readers:
                self.read_from(self._readers[0], self)
                return
            while not self.stopping.wait(READ_S):
                self._canteen.look()
                self.beat()
        finally:
            if self._lights is not None and self.stopping.is_set():
                self._lights.close()

    def read_from(self, entry: Reader, part: Part) -> None:
        """Reads cards of one reader until its part is stopped.

        Args:
            entry: the reader's table in the site file.
            part: whose thread this is.
        """
        with reconnecting(entry.address, opener=lambda address: self._watched(entry, address)) as reader:
            self._sessions[entry.id] = reader
            self._canteen.look()
            while not part.stopping.is_set():
                try:
                    found = reader.read(READ_S)
                except SessionClosedError:
                    return
                if found is None:
                    self._canteen.look()
                part.beat()
                match found:
                    case Card():
                        self.tap(found, show=reader.signal)
                    case ReaderChange():
                        self._changed(entry, found)

    def tap(self, card: Card, by: str | None = None, *, show: Callable[[bool], bool] | None = None) -> dict[str, Any]:
        """Answers a card: the row of the event is returned, and stands in the log.

        Args:
            card: the card.
            by: who held it there, when it was not the reader.
            show: tells the reader the verdict, whether it has a light and a sound or not.
        """
        begun = time.monotonic()
        with self._tapping:
            verdict = self._verdict(card)
            told = {"card": str(card), **self._answered(verdict, show)}
            if by is not None:
                told["by"] = by
            took_ms = round((time.monotonic() - begun) * 1000, 2)
            return self.log.append("tap", terminal=self.terminal.id, **told, took_ms=took_ms)

    def enter(self, pupil: int, operator: str, reason: str, **more: Any) -> dict[str, Any]:
        """Enters a meal by hand: the row of the event is returned, and stands in the log.

        Args:
            pupil: number of the pupil.
            operator: who does it, by name.
            reason: why.
            **more: `words`, `day` (ISO 8601), `slot` as `ByHand.enter` has them.

        Raises:
            EdusenseError: there is no reason in it, no such meal, or nothing can be recorded.
        """
        with self._tapping:
            terminal = self._open()
            who = self._canteen.store().operators.named(operator, at=time.time())
            if self.terminal.kind != "meals":
                raise UsageError(
                    f"terminal `{self.terminal.id}` gives no meals", hint="enter it at one of kind `meals`"
                )
            if "day" in more:
                more = more | {"day": _day(more["day"])}
            verdict = self._canteen.by_hand().enter(terminal, pupil, operator=who, reason=reason, **more)
            told = self._answered(verdict) | {"what": "meal", "operator": who.number}
            return self.log.append("by-hand", terminal=self.terminal.id, **told)

    def state_row(self) -> dict[str, Any]:
        """The terminal's row for `status`."""
        state, reason = self.state, self.reason
        first = self._readers[0].id if self._readers else None
        if state == "running":
            state, reason = "ready", None
            for reader_state, why in self._reader_states.values():
                if reader_state == "waiting":
                    state, reason = "reader-waiting", why
            if self._lights is not None and self._lights.trouble is not None:
                state, reason = "lights-dark", self._lights.trouble
            if (trouble := self._canteen.trouble) is not None:
                state, reason = "cannot-record", str(trouble)
        return {
            "kind": "terminal",
            "id": self.terminal.id,
            "number": self.terminal.number,
            "serves": self.terminal.kind,
            "room": self.terminal.room,
            "state": state,
            "reason": reason,
            "reader": first,
            "reader_state": "none" if first is None else self._reader_states[first][0],
            "readers": {name: reader_state for name, (reader_state, _) in self._reader_states.items()},
            "granted": self.granted,
            "refused": dict(self.refused),
            "last_tap_s": self.last_tap_s,
            "reader_stats": self._counters(),
        }

    def _counters(self) -> dict[str, Any] | None:
        """What its readers have sent since the box runs: a worn cable shows here before a card is lost."""
        if not self._sessions:
            return None
        sessions = list(self._sessions.values())
        totals = [session.total() for session in sessions]
        return {
            "cards": sum(total.cards for total in totals),
            "repeats": sum(total.repeats for total in totals),
            "bad_frames": sum(total.bad_frames for total in totals),
            "noise_bytes": sum(total.noise_bytes for total in totals),
            "last_fault": next((total.last_fault for total in totals if total.last_fault), None),
            "suspicion": next((total.suspicion for total in totals if total.suspicion), None),
            "reconnects": sum(session.reconnects for session in sessions),
        }

    def _show(self, show: Callable[[bool], bool], granted: bool) -> dict[str, Any]:
        """Shows a verdict on the reader; how many milliseconds that took, or nothing for a reader without a light."""
        begun = time.monotonic()
        try:
            if not show(granted):
                return {}
        except DeviceError as error:
            # That the reader is gone is told by its reading thread; the verdict stands on the screen and in the log.
            logger.warning("terminal=%s: the reader did not show the verdict: %s", self.terminal.id, error)
            return {"shown": False}
        return {"shown": True, "shown_ms": round((time.monotonic() - begun) * 1000, 2)}

    def _watched(self, entry: Reader, address: str) -> OpenReader:
        """Opens a reader, and listens to what it thinks that somebody should know."""

        def told(trace: Trace) -> None:
            if trace.weight == "urgent":
                logger.warning("terminal=%s reader=%s: %s", self.terminal.id, entry.address, trace.text)
                self.log.append(
                    "reader", terminal=self.terminal.id, reader=entry.id, state="suspect", reason=trace.text
                )

        reader = open_reader(address)
        reader.trace = told
        return reader

    def _answered(self, verdict: Verdict, show: Callable[[bool], bool] | None = None) -> dict[str, Any]:
        """Shows a verdict, counts it, and says of it what may stand in the log.

        Names stay in the roster: the log goes to whoever may use the socket, and a number is enough there.
        """
        if self._lights is not None:
            self._lights.show(verdict.granted)
        if self._screens is not None:
            self._screens.show(self.terminal.id, verdict)
        # Before anything else: a child looks at the reader.
        shown = {} if show is None else self._show(show, verdict.granted)
        if verdict.granted:
            self.granted += 1
            # The light is green from here on. The mark after the record says that it was: it is what tells, after a
            # power cut, a meal that was served from one of which only the record was written.
            with contextlib.suppress(EdusenseError):
                self._open().shown(verdict)
        else:
            assert verdict.reason is not None
            self.refused[verdict.reason] += 1
        self.last_tap_s = time.time()
        return {
            "granted": verdict.granted,
            "reason": verdict.reason,
            "pupil": verdict.pupil,
            "record": None if verdict.record is None else str(verdict.record),
            "message": verdict.message,
            "recorded": verdict.kind,
            "clock_unsure": verdict.clock_unsure,
            **shown,
        }

    def _verdict(self, card: Card) -> Verdict:
        """What the ledger says to a card; whatever goes wrong is a red `cannot-record`, never a green."""
        from edusense.meals.terminal import red
        from edusense.meals.words import Sentence

        try:
            verdict: Verdict = self._open().tap(card)
        except Exception as error:
            # A child stands at the terminal and gets an answer, whatever happened.
            trace = None if isinstance(error, EdusenseError) else error
            logger.error("terminal=%s card=%s: cannot record: %s", self.terminal.id, card, error, exc_info=trace)
            return red("cannot-record", time.time(), Sentence("cannot-record", {"error": error}))
        if verdict.reason == "cannot-record":
            logger.error("terminal=%s card=%s: %s", self.terminal.id, card, verdict.message)
            self._canteen.doubt()
        return verdict

    def _open(self) -> Any:
        """The terminal over the ledger and the roster as they are now."""
        ledger, roster = self._canteen.ledger(), self._canteen.roster()
        if self._made is None or self._made[0] is not ledger or self._made[1] is not roster:
            from edusense.meals.of_site import make_terminal

            made: Terminal | Entrance = make_terminal(
                self._site,
                self.terminal,
                ledger=ledger,
                roster=roster,
                clock=self._canteen.clock,
                presence=self._canteen.presence(),
            )
            self._made = (ledger, roster, made)
        return self._made[2]

    def _changed(self, entry: Reader, change: ReaderChange) -> None:
        first_failure = change.state == "waiting" and change.attempt <= 1
        before = self._reader_states[entry.id][1]
        if change.state == "connected" or first_failure or change.reason != before:
            level = logging.INFO if change.state == "connected" else logging.WARNING
            logger.log(
                level, "terminal=%s reader=%s: %s%s", self.terminal.id, change.address, change.state, _because(change)
            )
            self.log.append(
                "reader",
                terminal=self.terminal.id,
                reader=entry.id,
                state=change.state,
                reason=change.reason,
                code=change.code,
                hint=change.hint,
            )
        self._reader_states[entry.id] = (change.state, change.reason)


class ReaderPart(Part):
    """A further reader of a terminal.

    Args:
        terminal: whose it is.
        reader: its table in the site file.
        log: the event log.
    """

    def __init__(self, terminal: TerminalPart, reader: Reader, log: EventLog) -> None:
        super().__init__(f"reader {reader.id}", log)
        self._terminal, self._reader = terminal, reader

    def run(self) -> None:
        """Reads cards until it is stopped."""
        self._terminal.read_from(self._reader, self)


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text[:40]}` is no day", hint="write 2026-10-05") from None


def _because(change: ReaderChange) -> str:
    return "" if change.reason is None else f": {change.reason}"
