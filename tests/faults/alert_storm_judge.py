"""What must hold when an alert storm is over: held against the files that the box and the centre left behind."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edusense.alerts.database import Database
from edusense.errors import AlertError

__all__ = ["Promised", "Verdict", "judged"]


@dataclass
class Promised:
    """What a box has said that it has.

    Attributes:
        cases: the case of each alert, by its marker.
        parts: hash of each still and clip, by marker and name.
        answers: answers of the school, by marker, in order.
        raised: every marker that was ever handed in.
        grave_first: markers in the order in which the centre must hear of them, having been cut off.
    """

    cases: dict[str, str] = field(default_factory=dict)
    parts: dict[tuple[str, str], str] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    raised: set[str] = field(default_factory=set)
    grave_first: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """What came of a storm.

    Attributes:
        lost: alerts, later messages, stills, clips and answers that were promised and are not there.
        doubled: those that are there more than once.
        disordered: cases whose messages came in another order than that of their numbers.
        wrong: what else does not hold.
        known: messages that came more than once and were known by their key.
        answers: of the centre, taken or refused by the box.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    messages: int = 0
    known: int = 0
    parts: int = 0
    answers: int = 0
    refused: int = 0

    @property
    def broken(self) -> str | None:
        """The first promise that was not kept."""
        for name in ("lost", "doubled", "disordered", "wrong"):
            for what in getattr(self, name):
                return f"{name}: {what}"
        return None


def judged(box_folder: Path, centre_folder: Path, promised: Promised) -> Verdict:
    """Holds both sides against what was promised and against each other; neither process runs any more."""
    verdict = Verdict()
    centre = sqlite3.connect(centre_folder / "centre.sqlite")
    centre.row_factory = sqlite3.Row
    box = Database(box_folder)
    try:
        try:
            box.verify()
        except AlertError as error:
            verdict.wrong.append(f"the case log: {error}")
        came = centre.execute("SELECT rowid, * FROM messages ORDER BY rowid").fetchall()
        verdict.messages, verdict.known = len(came), sum(row["times"] > 1 for row in came)
        _judge_alerts(verdict, box, came, promised)
        _judge_messages(verdict, box, came)
        _judge_order(verdict, came, promised)
        _judge_parts(verdict, box, centre, centre_folder, promised)
        _judge_answers(verdict, box, centre, promised)
        _judge_states(verdict, box, came)
        for table in ("cases", "messages", "outbox"):
            for row in box.rows(f"PRAGMA integrity_check({table})"):
                if row[0] != "ok":
                    verdict.wrong.append(f"the box's table {table}: {row[0]}")
    finally:
        box.close()
        centre.close()
    return verdict


def _judge_alerts(verdict: Verdict, box: Database, came: list[sqlite3.Row], promised: Promised) -> None:
    """Every alert that was promised is at the centre, in one case; nothing is there that nobody raised."""
    there: dict[str, list[str]] = defaultdict(list)
    for row in came:
        if row["type"] == "alert":
            there[json.loads(row["body"])["finding"]].append(row["stream"])
    for marker, case in promised.cases.items():
        streams = there.get(marker, [])
        if not streams:
            verdict.lost.append(f"alert {marker}, case {case}")
        elif case not in streams:
            verdict.wrong.append(f"alert {marker} was promised as {case} and came as {streams[0]}")
    for marker, streams in there.items():
        if len(streams) > 1:
            verdict.doubled.append(f"alert {marker}: {', '.join(streams)}")
        if marker not in promised.raised:
            verdict.wrong.append(f"alert {marker} was never raised")
    opened = Counter(json.loads(row["body"])["finding"] for row in box.rows("SELECT body FROM cases"))
    verdict.doubled += [f"alert {marker} has {count} cases in the box" for marker, count in opened.items() if count > 1]


def _judge_messages(verdict: Verdict, box: Database, came: list[sqlite3.Row]) -> None:
    """The centre has each message of the box once, as it was written, and no other."""
    own = {(row["stream"], row["sequence"]): row["body"] for row in box.rows("SELECT * FROM messages")}
    there: dict[tuple[str, int], str] = {}
    for row in came:
        key = (row["stream"], row["sequence"])
        if key in there:
            verdict.doubled.append(f"message {row['key']}")
        there[key] = row["body"]
        if key not in own:
            verdict.wrong.append(f"message {row['key']} at the centre is none of the box's")
        elif json.loads(own[key]) != json.loads(row["body"]):
            verdict.wrong.append(f"message {row['key']} is another at the centre")
    verdict.lost += [f"message {stream}/{sequence}" for stream, sequence in own if (stream, sequence) not in there]
    numbers: dict[str, list[int]] = defaultdict(list)
    for stream, sequence in sorted(own):
        numbers[stream].append(sequence)
    verdict.wrong += [
        f"the messages of {stream} are numbered {found}"
        for stream, found in numbers.items()
        if found != list(range(1, len(found) + 1))
    ]
    for row in box.rows("SELECT * FROM outbox WHERE state <> 'delivered'"):
        what = f"{row['stream']}/{row['name'] or row['sequence']} is {row['state']} in the outbox"
        verdict.wrong.append(f"{what}: {row['reason']}" if row["reason"] else what)
    for row in box.rows("SELECT id, json_extract(body, '$.sequence') AS sequence FROM cases"):
        if row["sequence"] != len(numbers[row["id"]]):
            verdict.wrong.append(f"case {row['id']} says {row['sequence']} messages of {len(numbers[row['id']])}")


def _judge_order(verdict: Verdict, came: list[sqlite3.Row], promised: Promised) -> None:
    """Within a case the centre heard of things as they happened; of cases that had to wait, the gravest first."""
    newest: dict[str, int] = {}
    wrong: dict[str, str] = {}
    for row in came:
        if row["sequence"] <= newest.get(row["stream"], 0):
            wrong.setdefault(row["stream"], f"{row['key']} came after {row['stream']}/{newest[row['stream']]}")
        newest[row["stream"]] = max(row["sequence"], newest.get(row["stream"], 0))
    verdict.disordered += wrong.values()
    waited = set(promised.grave_first)
    heard = [json.loads(row["body"])["finding"] for row in came if row["type"] == "alert"]
    heard = [marker for marker in heard if marker in waited]
    if heard != promised.grave_first:
        verdict.wrong.append(f"after an outage {', '.join(heard)} came instead of {', '.join(promised.grave_first)}")


def _judge_parts(verdict: Verdict, box: Database, centre: sqlite3.Connection, folder: Path, promised: Promised) -> None:
    """Stills and clips are whole, and what they were."""
    own = {(row["stream"], row["name"]): row["sha256"] for row in box.rows("SELECT * FROM attachments")}
    for (marker, name), sha256 in promised.parts.items():
        if own.get((promised.cases[marker], name)) != sha256:
            verdict.lost.append(f"{name} of {marker} in the box")
    whole = {(row["stream"], row["name"]) for row in centre.execute("SELECT * FROM files WHERE completed_s NOT NULL")}
    for (case, name), sha256 in own.items():
        verdict.parts += 1
        path = folder / "files" / f"{case}.{name}"
        if (case, name) not in whole:
            verdict.lost.append(f"{name} of {case}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            verdict.wrong.append(f"{name} of {case} is another file at the centre")
    verdict.wrong += [f"{name} of {case} is none of the box's" for case, name in whole if (case, name) not in own]


def _judge_answers(verdict: Verdict, box: Database, centre: sqlite3.Connection, promised: Promised) -> None:
    """Each answer of the centre was taken once, or refused once with a reason; the school's are in the log."""
    taken: Counter[str] = Counter()
    said: dict[str, list[str]] = defaultdict(list)
    for row in box.rows("SELECT body FROM log ORDER BY position"):
        entry: dict[str, Any] = json.loads(row["body"])
        if entry["entry"] == "answer" and "id" in entry:
            taken[entry["id"]] += 1
        elif entry["entry"] == "answer":
            said[entry["case"]].append(entry["answer"])
        elif entry["entry"] == "answer-refused":
            taken[entry["answer"]["id"]] += 1
            verdict.refused += 1
            if not entry["error"].get("message"):
                verdict.wrong.append(f"answer {entry['answer']['id']} was refused without a reason")
    for row in centre.execute("SELECT * FROM answers ORDER BY number"):
        verdict.answers += 1
        count = taken.pop(row["id"], 0)
        if count == 0:
            verdict.lost.append(f"answer {row['number']} of the centre, `{row['answer']}` to {row['stream']}")
        elif count > 1:
            verdict.doubled.append(f"answer {row['number']} of the centre, {count} times")
    verdict.wrong += [f"answer {name} was never given" for name in taken]
    for marker, answers in promised.answers.items():
        # Somebody whose answer was not confirmed gives it again: more may stand there than was promised.
        left = iter(said[promised.cases[marker]])
        if not all(answer in left for answer in answers):
            verdict.lost.append(f"answers {', '.join(answers)} of the school to {marker}")


def _judge_states(verdict: Verdict, box: Database, came: list[sqlite3.Row]) -> None:
    """What the centre shows of a case is what the box knows of it."""
    shown: dict[str, dict[str, Any]] = {}
    for row in sorted(came, key=lambda row: row["sequence"]):
        if row["type"] in ("alert", "update"):
            shown[row["stream"]] = json.loads(row["body"])
    for row in box.rows("SELECT id, body FROM cases"):
        case, there = json.loads(row["body"]), shown.get(row["id"])
        if there is None:
            continue  # lost, which is said already
        # That a case was sent is no news to whom it was sent.
        states = ["new" if one["state"] == "sent" else one["state"] for one in (case, there)]
        if states[0] != states[1] or there["severity"] != case["severity"]:
            verdict.wrong.append(
                f"case {row['id']} is {case['state']} and {case['severity']}, "
                f"at the centre {there['state']} and {there['severity']}"
            )
