"""The desk: takes findings, opens and answers cases, and writes down all of it before anybody sees it.

```text
finding ─► limit ─► group ─► case ─► log (hash-chained) ┐
answer ──────────────────────► case ─► log ─────────────┼─ one transaction ─► told
                                        outbox ─────────┘
```
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edusense.alerts import messages
from edusense.alerts.case import Case, case_id
from edusense.alerts.case_register import CaseRegister
from edusense.alerts.escalation import Escalation, escalates_after_s
from edusense.alerts.finding import SEVERITIES, Finding, raised
from edusense.alerts.limiter import Limiter
from edusense.alerts.outbox import MESSAGE, Attachment, Item, Outbox
from edusense.alerts.silences import Silence, Silences
from edusense.errors import (
    AlertStorageError,
    CaseUnknownError,
    EdusenseError,
    FindingError,
    FindingLimitedError,
    FindingSilencedError,
    UsageError,
)
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edusense.alerts.database import Database
    from edusense.alerts.destination import GivenAnswer
    from edusense.site import Site

__all__ = ["Desk"]

logger = logging.getLogger(__name__)

GROUP_S: Final = 600.0
"""A finding that comes within so many seconds after the last one of the same place and kind belongs to its case."""
AGAIN_S: Final = 60.0
"""Destinations hear at most this often that a case goes on."""


class Desk(CaseRegister):
    """All cases of one site.

    Args:
        database: where they are kept.
        site: the site file; `update` takes a newer one.
        told: called after each change, when it is on the disk, with the row of the log.
        clock: Unix seconds.
        monotonic: seconds that never jump.
        limiter: how many findings a source may hand in.
    """

    def __init__(
        self,
        database: Database,
        site: Site,
        *,
        told: Callable[[dict[str, Any]], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        limiter: Limiter | None = None,
    ) -> None:
        super().__init__(database)
        self.outbox = Outbox(database)
        self.told = told
        self._clock, self._monotonic = clock, monotonic
        self._limiter = Limiter(monotonic=monotonic) if limiter is None else limiter
        self._silences = Silences(database, clock)
        self._escalation = Escalation(database, clock, monotonic)
        self._last_seen: dict[str, float] = {}
        self._last_again: dict[str, float] = {}
        self.update(site)

    def update(self, site: Site) -> None:
        """Takes a site file that was read again."""
        self._site = site
        self._school = {"id": site.site.id, "number": site.site.number}
        self._cameras = {camera.id: camera for camera in site.cameras}
        self._zones = {zone.id: zone for zone in site.zones}
        self._rooms = {room.id: {"id": room.id, "kind": room.kind, "name": room.name} for room in site.rooms}

    # Findings.

    def take(self, finding: Finding, *, destinations: Sequence[str] | None = None, limited: bool = True) -> Case:
        """Takes a finding: it opens a case, or belongs to one that is open.

        Args:
            finding: what was seen.
            destinations: who is told; None: those of its zone, and all where it has none.
            limited: whether its source's limit counts it; not again where it was taken once and the disk was full.

        Returns:
            The case, which is on the disk.

        Raises:
            FindingError: it names what this site has not.
            FindingLimitedError: its source hands in too many.
            FindingSilencedError: its place is silenced; it is counted there.
            AlertStorageError: the disk did not take it.
        """
        room, wanted = self._placed(finding, destinations)
        refusal = self._limiter.refusal(finding.source, finding.camera) if limited else None
        if refusal is not None:
            if refusal.first:
                logger.error("alerts: source=%s: %s", finding.source, refusal.message)
                self.told({"entry": "limited", "source": finding.source, "reason": refusal.message})
            raise FindingLimitedError(refusal.message, hint="further ones are counted and left out for a while")
        silence = self._silences.of(finding)
        if silence is not None:
            self.database.durably(lambda: self._silences.count(silence))
            raise FindingSilencedError(
                f"{silence.place} is silenced by {silence.by}", hint="`edusense alerts silences`"
            )
        topic = _topic(finding)
        again_due = self._monotonic() - self._last_again.get(topic, float("-inf")) >= AGAIN_S
        case, said = self.database.durably(lambda: self._taken(finding, topic, room, wanted, again_due))
        self._last_seen[topic] = self._monotonic()
        if case.count == 1:
            self._escalation.set(case.case, self._escalates_after_s(case))
        if said:
            self._last_again[topic] = self._monotonic()
        self.told(self._row("again" if case.count > 1 else "opened", case))
        return case

    def _placed(self, finding: Finding, destinations: Sequence[str] | None) -> tuple[str | None, tuple[str, ...]]:
        """The room that a finding is in, and who is told."""
        zone = None
        if finding.zone is not None:
            zone = self._zones.get(finding.zone)
            if zone is None:
                raise FindingError(
                    f"there is no zone `{finding.zone}` in this site", hint=_near(finding.zone, self._zones)
                )
            if finding.camera != zone.camera:
                raise FindingError(
                    f"zone `{zone.id}` is in the picture of camera `{zone.camera}`, not of `{finding.camera}`"
                )
        room = None
        if finding.camera is not None:
            camera = self._cameras.get(finding.camera)
            if camera is None:
                raise FindingError(
                    f"there is no camera `{finding.camera}` in this site", hint=_near(finding.camera, self._cameras)
                )
            room = camera.room
        known = [entry.id for entry in self._site.destinations]
        if destinations is None:
            destinations = known if zone is None else zone.alert
        for name in destinations:
            if name not in known:
                raise FindingError(f"there is no destination `{name}` in this site", hint=_near(name, known))
        return room, tuple(dict.fromkeys(destinations))

    def _taken(
        self, finding: Finding, topic: str, room: str | None, destinations: tuple[str, ...], again_due: bool
    ) -> tuple[Case, bool]:
        """The case, and whether destinations hear of it."""
        before = self._goes_on(topic, finding.start_s)
        if before is None:
            return self._opened(finding, topic, room, destinations), True
        return self._again(before, finding, again_due)

    def _goes_on(self, topic: str, start_s: float) -> Case | None:
        """The open case that a finding belongs to."""
        rows = self.database.rows(
            "SELECT body, last_s FROM cases WHERE open AND topic = ? ORDER BY number DESC LIMIT 1", (topic,)
        )
        for row in rows:
            seen = self._last_seen.get(topic)
            # By the clock that never jumps where it is known: pictures' times jump with the camera's and the box's.
            gap_s = abs(start_s - row["last_s"]) if seen is None else self._monotonic() - seen
            if gap_s <= GROUP_S:
                return Case.of(json.loads(row["body"]))
        return None

    def _opened(self, finding: Finding, topic: str, room: str | None, destinations: tuple[str, ...]) -> Case:
        now_s = self._clock()
        (last,) = self.database.rows("SELECT ifnull(max(number), 0) AS number FROM cases")
        case = Case(
            case_id(finding.zone or finding.camera or finding.kind, now_s),
            last["number"] + 1,
            "new",
            finding.severity,
            finding.kind,
            finding.camera,
            room,
            finding.zone,
            finding.start_s,
            finding.start_s if finding.end_s is None else finding.end_s,
            finding.clock_error_s,
            now_s,
            confidence=finding.confidence,
            boxes=finding.boxes,
            rule=finding.rule,
            version=finding.version,
            source=finding.source,
            text=finding.text,
            event=finding.event,
            destinations=destinations,
            test=finding.test,
            sequence=1,
        )
        self._log("opened", case, now_s, finding=finding.to_json(), room=room, destinations=list(destinations))
        self._keep(case, topic)
        self._escalation.keep(case.case, self._escalates_after_s(case))
        message = messages.alert(
            case,
            school=self._school,
            room=None if room is None else self._rooms[room],
            timezone=self._site.site.timezone,
        )
        self.outbox.put_message(message, destinations, severity=SEVERITIES.index(case.severity), now_s=now_s)
        return case

    def _again(self, before: Case, finding: Finding, again_due: bool) -> tuple[Case, bool]:
        now_s = self._clock()
        graver = SEVERITIES.index(finding.severity) > SEVERITIES.index(before.severity)
        case = replace(
            before,
            count=before.count + 1,
            last_s=max(before.last_s, finding.start_s if finding.end_s is None else finding.end_s),
            confidence=max(before.confidence, finding.confidence),
            severity=finding.severity if graver else before.severity,
        )
        self._log("again", case, now_s, finding=finding.to_json(), count=case.count)
        if graver:
            self.outbox.weigh(case.case, SEVERITIES.index(case.severity))
        if graver or again_due:
            case = self._say(case, "graver" if graver else "again", now_s)
        self._keep(case)
        return case, graver or again_due

    def attach(self, attachment: Attachment) -> None:
        """Adds a picture or clip, which lies on the disk already, to a case and to what its destinations get.

        Raises:
            CaseUnknownError: there is no such case.
            AlertStorageError: the disk did not take it.
        """

        def work() -> Case:
            now_s = self._clock()
            before = self.case(attachment.case)
            told = attachment.to_json()
            case = replace(before, attachments={**before.attachments, attachment.name: told})
            self._log("attached", case, now_s, attachment=told)
            self._keep(case)
            self.outbox.put_attachment(
                attachment, case.destinations, severity=SEVERITIES.index(case.severity), now_s=now_s
            )
            return case

        self.told(self._row("attached", self.database.durably(work), part=attachment.name))

    # Answers.

    def answer(self, case: str, answer: str, *, by: str, via: str, note: str | None = None) -> Case:
        """Somebody of the school answers a case.

        Args:
            case: its id, or a beginning of it that is nobody else's, or its number.
            answer: one of `ANSWERS`.
            by: who.
            via: how: `page`, `command`, `socket`.
            note: in somebody's own words.

        Returns:
            The case, which is on the disk.

        Raises:
            UsageError: no such answer, or nobody's name.
            CaseUnknownError: there is no such case.
            CaseClosedError: it takes no answers any more.
            AlertStorageError: the disk did not take it.
        """
        by = _person(by)
        done = self.database.durably(lambda: self._answered(self.find(case), answer, by=by, via=via, note=note))
        self._escalation.set(done.case, None)
        self.told(self._row("answer", done, answer=answer, by=by, via=via))
        return done

    def hear(self, destination: str, answers: Iterable[GivenAnswer], cursor: str | None) -> None:
        """Takes what a destination answered, each answer once, and remembers up to where it was heard.

        An answer that cannot be taken is told back to the destination, with the reason.

        Args:
            destination: who answers.
            answers: what it said, in order.
            cursor: where the next ones begin; None leaves it.

        Raises:
            AlertStorageError: the disk did not take it.
        """
        rows = self.database.durably(lambda: self._heard(destination, answers, cursor))
        for row in rows:
            if row["entry"] == "answer":
                self._escalation.set(row["case"], None)
            self.told(row)

    def _heard(self, destination: str, answers: Iterable[GivenAnswer], cursor: str | None) -> list[dict[str, Any]]:
        rows = []
        for given in answers:
            fresh = self.database.run("INSERT OR IGNORE INTO answers VALUES (?, ?)", (destination, given.id))
            if fresh.rowcount == 0:
                continue
            told = {"answer": _clean(given.answer, 40), "by": _clean(given.by, 100), "via": destination}
            note = None if given.note is None else _clean(given.note, 500)
            try:
                case = self._answered(self.case(given.case), **told, note=note, id=given.id)
            except AlertStorageError:
                raise
            except EdusenseError as error:
                about = {"id": given.id, "case": _clean(given.case, 100), **told}
                rows.append({"entry": "answer-refused", **about, "reason": str(error)})
                self._refuse(destination, about, error)
            else:
                rows.append(self._row("answer", case, **told))
        if cursor is not None:
            self.database.run("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (destination, cursor))
        return rows

    def cursor(self, destination: str) -> str | None:
        """Up to where a destination's answers were heard."""
        for row in self.database.rows("SELECT cursor FROM cursors WHERE destination = ?", (destination,)):
            return str(row["cursor"])
        return None

    def _answered(self, before: Case, answer: str, **told: Any) -> Case:
        now_s = self._clock()
        case = before.answered(answer, by=told["by"], at_s=now_s)
        told = {key: value for key, value in told.items() if value is not None}
        self._log("answer", case, now_s, answer=answer, **told)
        case = self._say(case, "answer", now_s, answer=answer, **told)
        self._keep(case)
        self._escalation.keep(case.case, None)
        return case

    def _refuse(self, destination: str, answer: Mapping[str, Any], error: EdusenseError) -> None:
        now_s = self._clock()
        told = error.to_json()
        self._append("answer-refused", now_s, case=answer["case"], answer=dict(answer), error=told)
        stream = f"answers-of-{destination}"
        (last,) = self.database.rows(
            "SELECT ifnull(max(sequence), 0) AS sequence FROM messages WHERE stream = ?", (stream,)
        )
        message = messages.refused_answer(stream, last["sequence"] + 1, school=self._school, answer=answer, error=told)
        self.outbox.put_message(message, [destination], severity=0, now_s=now_s)

    # What time brings.

    def turn(self) -> None:
        """What is due by now: cases that nobody has answered, silences that are over. Called every second or so.

        Raises:
            AlertStorageError: the disk did not take it; it is tried again with the next call.
        """
        for name in self._escalation.due():
            case = self.database.durably(lambda name=name: self._escalated(name))  # type: ignore[misc]
            self._escalation.set(name, None if case is None else self._escalates_after_s(case))
            if case is not None:
                self.told(self._row("escalated", case, escalated=case.escalated))
        for silence in self._silences.over_by_now():
            with contextlib.suppress(CaseUnknownError):  # somebody has ended it at this moment
                self._silenced("over", lambda silence=silence: self._silences.end(silence.id))  # type: ignore[misc]

    def _escalated(self, name: str) -> Case | None:
        """A case that nobody answered becomes graver; None where somebody has answered after all."""
        before = self.case(name)
        if self._escalates_after_s(before) is None:
            self._escalation.keep(name, None)
            return None
        now_s = self._clock()
        zone = self._zones.get(before.zone or "")
        known = [entry.id for entry in self._site.destinations]
        more = [] if zone is None else [one for one in zone.escalate if one in known and one not in before.destinations]
        graver = raised(before.severity)
        case = replace(
            before, severity=graver, escalated=before.escalated + 1, destinations=(*before.destinations, *more)
        )
        self._log("escalated", case, now_s, severity=graver, told=list(case.destinations))
        self.outbox.weigh(name, SEVERITIES.index(graver))
        # Who is told now gets all that the others have: the alert itself, its picture, then that nobody answered.
        self.outbox.repeat(name, more, severity=SEVERITIES.index(graver), now_s=now_s)
        case = self._say(case, "escalated", now_s, escalated=case.escalated)
        self._keep(case)
        self._escalation.keep(name, self._escalates_after_s(case))
        return case

    def _escalates_after_s(self, case: Case) -> float | None:
        return escalates_after_s(case, self._zones.get(case.zone or ""))

    # Silences.

    def silence(self, place: str, *, until_s: float, by: str, reason: str | None = None) -> Silence:
        """Silences a zone, or a whole camera, until a time.

        Args:
            place: a zone's id, or a camera's.
            until_s: when it ends, Unix seconds; within a week.
            by: who says so.
            reason: why, in their words.

        Raises:
            UsageError: there is no such place, nobody's name, or an end that cannot be.
            AlertStorageError: the disk did not take it.
        """
        by = _person(by)
        zone = self._zones.get(place)
        camera = place if zone is None else zone.camera
        if camera not in self._cameras:
            raise UsageError(
                f"there is no zone or camera `{place[:80]}`", hint=_near(place, [*self._zones, *self._cameras])
            )
        name, why = None if zone is None else zone.id, None if reason is None else _clean(reason, 500)
        return self._silenced(
            "begun",
            lambda: self._silences.begin(zone=name, camera=camera, until_s=until_s, by=by, reason=why),
        )

    def unsilence(self, number: int, *, by: str) -> Silence:
        """Ends a silence before its time.

        Raises:
            CaseUnknownError: no such silence is on.
            UsageError: nobody's name.
            AlertStorageError: the disk did not take it.
        """
        by = _person(by)
        return self._silenced("over", lambda: self._silences.end(number), ended_by=by)

    def silences(self, *, over: bool | None = False) -> list[Silence]:
        """Silences, the newest first; None: also those that are over."""
        return self._silences.all(over=over)

    def _silenced(self, what: str, change: Callable[[], Silence], **more: str) -> Silence:
        def work() -> Silence:
            now_s = self._clock()
            silence = change()
            told = silence.to_json() | {"over": what == "over"} | more
            self._append(f"silence-{what}", now_s, silence=told)
            known = [entry.id for entry in self._site.destinations]
            zones = [
                zone for zone in self._site.zones if silence.zone in (zone.id, None) and zone.camera == silence.camera
            ]
            told_to = [name for name in known if any(name in zone.alert for zone in zones)]
            message = messages.silence(*self._silences.next_sequence(), school=self._school, what=what, silence=told)
            self.outbox.put_message(message, told_to, severity=0, now_s=now_s)
            return silence

        done = self.database.durably(work)
        self._silences.refresh()
        self.told({"entry": f"silence-{what}", **done.to_json(), "over": what == "over", **more})
        return done

    # What became of what was sent.

    def delivered(self, item: Item) -> None:
        """A destination has an item.

        Raises:
            AlertStorageError: the disk did not take it; it will be sent once more, and is known there by its key.
        """

        def work() -> dict[str, Any] | None:
            now_s = self._clock()
            if not self.outbox.settle(item, "delivered", now_s=now_s):
                return None
            part = _part(item)
            if item.rank == MESSAGE and (item.message is None or item.message["type"] != "alert"):
                return None
            case = self.case(item.stream)
            if item.rank == MESSAGE and case.state == "new":
                case = replace(case, state="sent")
                self._keep(case)
            self._log("sent", case, now_s, part=part, destination=item.destination)
            return self._row("sent", case, part=part, destination=item.destination)

        row = self.database.durably(work)
        if row is not None:
            self.told(row)

    def refused(self, item: Item, reason: str) -> None:
        """A destination will never take an item: it is set aside, and said."""
        self._given_up(item, "refused", reason)

    def expired(self, item: Item, reason: str) -> None:
        """An item is not worth sending any more, by a rule that `reason` names: it is set aside, and said."""
        self._given_up(item, "expired", reason)

    def _given_up(self, item: Item, state: str, reason: str) -> None:
        def work() -> dict[str, Any] | None:
            now_s = self._clock()
            if not self.outbox.settle(item, state, now_s=now_s, reason=reason):
                return None
            told = {"part": _part(item), "destination": item.destination, "reason": reason}
            self._append(state, now_s, case=item.stream, **told)
            return {"entry": state, "case": item.stream, **told}

        row = self.database.durably(work)
        if row is not None:
            logger.warning("alerts: case=%s destination=%s: %s: %s", item.stream, item.destination, state, reason)
            self.told(row)

    # Parts of the transactions.

    def _keep(self, case: Case, topic: str | None = None) -> None:
        body = json.dumps(case.to_json(), ensure_ascii=False)
        if topic is None:
            self.database.run(
                "UPDATE cases SET open = ?, last_s = ?, body = ? WHERE id = ?",
                (case.is_open, case.last_s, body, case.case),
            )
        else:
            self.database.run(
                "INSERT INTO cases (id, number, open, topic, last_s, body) VALUES (?, ?, ?, ?, ?, ?)",
                (case.case, case.number, case.is_open, topic, case.last_s, body),
            )

    def _say(self, case: Case, what: str, now_s: float, **told: Any) -> Case:
        case = replace(case, sequence=case.sequence + 1)
        message = messages.update(case, what, school=self._school, at_s=now_s, **told)
        self.outbox.put_message(message, case.destinations, severity=SEVERITIES.index(case.severity), now_s=now_s)
        return case

    def _log(self, what: str, case: Case, now_s: float, **told: Any) -> None:
        self._append(what, now_s, case=case.case, state=case.state, **told)

    def _append(self, what: str, now_s: float, **told: Any) -> None:
        self.database.append({"entry": what, "at_s": round(now_s, 3), **told})

    @staticmethod
    def _row(what: str, case: Case, **told: Any) -> dict[str, Any]:
        """The row of the box's event log."""
        return {
            "entry": what,
            "case": case.case,
            "number": case.number,
            "state": case.state,
            "severity": case.severity,
            "finding": case.finding,
            "camera": case.camera,
            "room": case.room,
            "zone": case.zone,
            "start_s": round(case.start_s, 3),
            "clock_error_s": round(case.clock_error_s, 3),
            "count": case.count,
            "test": case.test,
            **told,
        }


def _topic(finding: Finding) -> str:
    """What two findings have in common that belong to one case."""
    return "\x1f".join((finding.kind, finding.zone or "", finding.camera or "", "test" if finding.test else ""))


def _part(item: Item) -> str:
    return "message" if item.attachment is None else item.attachment.name


def _person(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100 or any(ord(character) < 32 for character in name):
        raise UsageError("an answer needs the name of who gives it, 1 to 100 characters", hint='--by "А. Серикова"')
    return name


def _clean(text: str, most: int) -> str:
    """A text from outside as it may stand in a log and on a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])


def _near(name: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    listed = list(known)
    return perhaps(name, listed) or f"there are: {', '.join(listed[:12]) or 'none'}"
