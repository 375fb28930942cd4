"""A terminal alone on its reader, and taps by hand beside a running box: real processes, a real port, a real ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from edusense.devices import Card
from edusense.meals import Kind, Ledger

EDUSENSE = [sys.executable, "-m", "edusense"]


def meals(school: Any, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*EDUSENSE, "meals", *arguments, "--site", str(school.site), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_terminal_alone_on_its_reader(tiny_school):
    school = tiny_school
    process = subprocess.Popen(
        [*EDUSENSE, "meals", "terminal", "left", "--site", str(school.site), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    school.processes.append(process)
    assert process.stdout is not None
    answers = []
    for number in (0, 1, 3):
        school.tap(number)
        answers.append(json.loads(process.stdout.readline()))
    assert [(answer["granted"], answer["reason"]) for answer in answers] == [
        (True, None),
        (True, None),
        (False, "no-consent"),
    ]
    assert answers[0]["card"] == Card.parse(school.cards[0]).id
    told = meals(school, "status")[0]["holder"]
    assert f"process {process.pid}" in told
    assert "edusense meals terminal" in told
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    (verified,) = meals(school, "verify")
    assert (verified["ok"], verified["closed"], verified["torn_tail"]) == (True, True, None)
    records = Ledger.open(Path(school.folder) / "data/ledger", read_only=True).records()
    assert (records["kind"] == Kind.SHOWN).sum() == 2


def test_a_tap_by_hand_goes_through_the_running_box(running_school):
    school = running_school
    (green,) = meals(school, "tap", school.cards[0], "--terminal", "left")
    assert green["granted"]
    (red,) = meals(school, "tap", school.cards[0], "--terminal", "left", status=5)
    assert (red["reason"], red["record"]) == ("already-served", green["record"])
    assert green["record"] in {row["record"] for row in school.events("tap")}
    head, *_ = meals(school, "status")
    assert "edusense run" in head["holder"]
    assert meals(school, "verify")[0]["ok"]


def test_the_last_light_is_on_the_record_without_another_meal(running_school):
    school = running_school
    school.tap(0)
    school.until(lambda: school.events("tap"))

    def marked() -> bool:
        (left,) = [row for row in meals(school, "status") if row.get("terminal") == 1]
        return bool(left["meals"] == left["shown"] == 1)

    school.until(marked)


def test_by_hand_through_the_running_box(running_school):
    school = running_school
    who = ("--by", "Ким Вера")
    (green,) = meals(school, "enter", "1002", "--terminal", "left", *who, "--reason", "card-forgotten")
    assert (green["granted"], green["what"], green["operator"]) == (True, "meal", 1)
    (back,) = meals(school, "reverse", green["record"], *who, "--reason", "wrong-child")
    assert back["meal"] == green["record"]
    assert [row["what"] for row in school.events("by-hand")] == ["meal", "reversal"]
    assert "Ким" not in json.dumps(school.events("by-hand"), ensure_ascii=False)
    assert meals(school, "tap", school.cards[1], "--terminal", "left")[0]["granted"], "the slot is free again"


def test_a_terminal_reads_two_readers_at_once(tiny_school):
    from edusense.sim.reader_rdm6300 import VirtualRdm6300

    school = tiny_school
    second = VirtualRdm6300(school.folder / "second")
    more = f'[[readers]]\nid = "second"\ndriver = "rdm6300"\nport = "{second.path}"\n\n[[terminals]]'
    school.write_site(
        lambda text: text.replace("[[terminals]]", more, 1).replace(
            'reader = "left"', 'reader = "left"\nreaders = ["second"]'
        )
    )
    try:
        school.start()
        school.until(lambda: school.row("terminal", "left")["readers"] == {"left": "connected", "second": "connected"})
        school.tap(0)
        second.tap(Card.parse(school.cards[1]))
        taps = school.until(lambda: len(school.events("tap")) == 2 and school.events("tap"))
        assert {tap["pupil"] for tap in taps} == {1001, 1002}
        assert all(tap["granted"] for tap in taps)
        second.tap(Card.parse(school.cards[0]))
        assert (
            school.until(lambda: len(school.events("tap")) == 3 and school.events("tap"))[2]["reason"]
            == "already-served"
        )
        assert school.stop() == 0
    finally:
        second.close()
