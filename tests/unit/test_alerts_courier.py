"""The courier: what is delivered in which order, and what happens when the destination fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from edusense import Site
from edusense.alerts import Answers, Attachment, Desk, Destination, Finding, GivenAnswer, Settings
from edusense.alerts import courier as courier_module
from edusense.alerts.courier import Courier
from edusense.alerts.database import Database
from edusense.errors import AlertStorageError, DestinationRefusedError, DestinationUnavailableError, MessageRefusedError

SITE = """
[site]
id = "school-51"
number = 51001
[[destinations]]
id = "centre"
driver = "https-json"
url = "https://ops.example.kz/alerts"
[[destinations]]
id = "dead"
driver = "https-json"
url = "https://dead.example.kz/alerts"
"""


class Fake(Destination):
    """Remembers what it got, and fails as it is told."""

    ATTACHMENTS = ("still", "clip")
    ANSWERS = True
    got: list[str]
    fail: Callable[[dict], None]

    def __init__(self, got: list, fail: Callable[[dict], None], answers: list) -> None:
        super().__init__(Settings("centre", {"id": "school-51", "number": 51001}))
        self.got, self.fail, self.given = got, fail, answers

    def send(self, message, still=None):
        self.fail(message)
        self.got.append(message["key"] if still is None else f"{message['key']} with {still.name}")

    def answers(self, cursor, wait_s):
        self.fail({"type": "answers"})
        if not self.given:
            time.sleep(min(wait_s, 0.05))
            return Answers()
        found, self.given[:] = tuple(self.given), []
        return Answers(found, "1")


class Rig:
    """A desk, a courier on a fake destination, and its threads."""

    def __init__(self, folder) -> None:
        self.desk = Desk(Database(folder / "alerts"), Site.loads(SITE))
        self.got: list[str] = []
        self.answers: list[GivenAnswer] = []
        self.said: list[dict] = []
        self.fail: Callable[[dict], None] = lambda message: None
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []
        self.courier = Courier(
            "centre",
            self.desk,
            lambda rank: Fake(self.got, lambda message: self.fail(message), self.answers),
            changed=self.said.append,
        )

    def start(self, lanes: int = 2, listen: bool = False) -> None:
        work = [self.courier.deliver] * lanes + ([self.courier.listen] if listen else [])
        self.threads = [threading.Thread(target=run, args=(self.stopping, lambda: None)) for run in work]
        for thread in self.threads:
            thread.start()

    def raise_one(self, kind: str, severity: str = "severe", **more) -> str:
        finding = Finding(kind, None, time.time(), "rule", "1", severity=severity, source=kind, **more)
        return self.desk.take(finding, destinations=["centre", "dead"]).case

    def until(self, what: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, (self.got, self.courier.health)
            time.sleep(0.01)

    def close(self) -> None:
        self.stopping.set()
        self.courier.interrupt()
        for thread in self.threads:
            thread.join(5)
        self.desk.database.close()


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.setattr(courier_module, "FIRST_S", 0.05)
    monkeypatch.setattr(courier_module, "REFUSED_S", 0.05)
    monkeypatch.setattr(courier_module, "REFUSED_LIMIT_S", 0.1)
    monkeypatch.setattr(courier_module, "LIMIT_S", 0.1)
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_the_worst_goes_first_after_an_outage_and_each_case_in_order(rig):
    cases = [
        rig.raise_one(f"kind-{number}", severity) for number, severity in enumerate(["minor", "moderate", "extreme"])
    ]
    for case in cases:
        rig.desk.answer(case, "seen", by="guard", via="page")
        rig.desk.answer(case, "taken", by="guard", via="page")
    rig.start(lanes=1)
    rig.until(lambda: len(rig.got) == 9)
    assert rig.got == [f"{case}/{number}" for case in reversed(cases) for number in (1, 2, 3)]


def test_several_lanes_keep_the_order_within_each_case(rig):
    cases = [rig.raise_one(f"kind-{number}") for number in range(10)]
    for answer in ("seen", "taken", "closed"):
        for case in cases:
            rig.desk.answer(case, answer, by="guard", via="page")
    rig.fail = lambda message: time.sleep(0.002)
    rig.start(lanes=4)
    rig.until(lambda: len(rig.got) == 40)
    for case in cases:
        assert [key for key in rig.got if key.startswith(case)] == [f"{case}/{number}" for number in range(1, 5)]


def test_what_fails_is_tried_again_and_its_trouble_told_once(rig, caplog):
    failures = iter([DestinationUnavailableError("no route to host")] * 5)

    def fail(message):
        if (error := next(failures, None)) is not None:
            raise error

    rig.fail = fail
    case = rig.raise_one("fire")
    rig.start()
    rig.until(lambda: rig.got == [f"{case}/1"])
    rig.until(lambda: rig.courier.health.state == "working")
    assert [(row["state"], row["reason"]) for row in rig.said] == [
        ("unavailable", "no route to host"),
        ("working", None),
    ]
    assert len([record for record in caplog.records if "no route" in record.message]) == 1
    rig.until(lambda: not rig.desk.outbox.waiting("centre")["messages"])
    (hop,) = [hop for hop in rig.desk.outbox.hops(case) if hop["destination"] == "centre"]
    assert hop["state"] == "delivered"
    assert hop["attempts"] >= 2


def test_of_several_lanes_one_tries_a_dead_destination(rig):
    tried: list[float] = []

    def fail(message):
        tried.append(time.monotonic())
        raise DestinationUnavailableError("dead")

    rig.fail = fail
    for number in range(20):
        rig.raise_one(f"kind-{number}")
    rig.start(lanes=4)
    rig.until(lambda: len(tried) > 12)
    # The first four may set out together; after that one at a time, each after a pause.
    later = tried[4:]
    assert all(b - a > 0.02 for a, b in pairwise(later))


def test_a_message_that_is_refused_is_set_aside_and_the_next_one_goes(rig):
    case = rig.raise_one("fire")
    rig.desk.answer(case, "seen", by="guard", via="page")

    def fail(message):
        if message.get("sequence") == 1:
            raise MessageRefusedError("422: no such kind")

    rig.fail = fail
    rig.start()
    rig.until(lambda: rig.got == [f"{case}/2"] and not rig.desk.outbox.waiting("centre")["messages"])
    states = [
        (hop["part"], hop["state"], hop["reason"])
        for hop in rig.desk.outbox.hops(case)
        if hop["destination"] == "centre"
    ]
    assert states == [("1", "refused", "422: no such kind"), ("2", "delivered", None)]
    assert [entry["entry"] for entry in rig.desk.history(case)].count("refused") == 1


def test_a_driver_that_fails_on_one_message_holds_up_the_others_not_for_ever(rig, monkeypatch, caplog):
    monkeypatch.setattr(courier_module, "MOST_FAILURES", 3)
    bad = rig.raise_one("fire", "extreme")

    def fail(message):
        if message.get("case") == bad:
            raise ZeroDivisionError("in the driver")

    rig.fail = fail
    good = rig.raise_one("fight", "minor")
    rig.start(lanes=1)
    rig.until(lambda: rig.got == [f"{good}/1"])
    assert any("its driver failed" in hop["reason"] for hop in rig.desk.outbox.hops(bad) if hop["reason"])


def test_a_refusal_of_everything_keeps_everything(rig):
    def fail(message):
        raise DestinationRefusedError("401", hint="is the secret right?")

    rig.fail = fail
    case = rig.raise_one("fire")
    rig.start()
    rig.until(lambda: rig.courier.health.failures > 2)
    assert rig.courier.health.to_json()["state"] == "refused"
    assert rig.courier.health.hint == "is the secret right?"
    rig.fail = lambda message: None
    rig.until(lambda: rig.got == [f"{case}/1"])


def test_retry_after_is_kept(rig):
    told = iter([DestinationUnavailableError("503", retry_after_s=1.0)])
    tried: list[float] = []

    def fail(message):
        tried.append(time.monotonic())
        if (error := next(told, None)) is not None:
            raise error

    rig.fail = fail
    rig.raise_one("fire")
    rig.start(lanes=1)
    rig.until(lambda: rig.got)
    assert tried[1] - tried[0] > 0.99


def test_answers_are_taken_and_a_dead_destination_delays_no_other(rig):
    case = rig.raise_one("fire")
    rig.start(listen=True)
    rig.until(lambda: rig.got)
    rig.answers.append(GivenAnswer("a1", case, "taken", "ЦОУ"))
    rig.until(lambda: rig.desk.case(case).state == "taken")
    rig.courier.wake()
    rig.until(lambda: f"{case}/2" in rig.got)
    assert rig.desk.outbox.waiting("dead")["messages"] == 2, "nobody serves that one"


def test_a_driver_that_fails_on_answers_does_not_end_them(rig, caplog):
    case = rig.raise_one("fire")
    failed: list[str] = []

    def fail(message):
        if message["type"] == "answers" and len(failed) < 2:
            failed.append("once more")
            raise OverflowError("int too large to convert to float")

    rig.fail = fail
    rig.answers.append(GivenAnswer("a1", case, "taken", "ЦОУ"))
    rig.start(lanes=1, listen=True)
    rig.until(lambda: rig.desk.case(case).state == "taken")
    assert "its answers cannot be heard" in caplog.text


def test_what_is_raised_while_a_lane_rests_is_delivered_at_once(rig):
    rig.start()
    time.sleep(0.1)
    case = rig.raise_one("fire")
    rig.courier.wake()
    rig.until(lambda: rig.got == [f"{case}/1"], 5)


class Letters(Fake):
    """As a letter, which carries its still or never has it."""

    ATTACHMENTS = ()
    STILL_WITHIN_S = 2.0


def still_of(rig: Rig, case: str, folder) -> Attachment:
    path = folder / "alerts" / f"{case}.jpg"
    path.write_bytes(b"still")
    return Attachment(case, "still", path, "image/jpeg", 5, "00" * 32)


@pytest.fixture
def letters(rig):
    rig.courier = Courier(
        "centre", rig.desk, lambda rank: Letters(rig.got, lambda message: rig.fail(message), rig.answers)
    )
    return rig


def test_an_alert_that_must_carry_its_still_waits_for_it(letters, tmp_path):
    case = letters.raise_one("fire")
    letters.start(lanes=1)
    time.sleep(0.3)
    assert letters.got == []
    letters.desk.attach(still_of(letters, case, tmp_path))
    letters.courier.wake()
    letters.until(lambda: letters.got)
    assert letters.got == [f"{case}/1 with still"]


def test_it_waits_no_longer_than_it_may_and_an_old_one_not_at_all(letters, tmp_path):
    Letters.STILL_WITHIN_S = 0.3
    try:
        case = letters.raise_one("fire")
        letters.start(lanes=1)
        letters.until(lambda: letters.got)
        assert letters.got == [f"{case}/1"]
    finally:
        Letters.STILL_WITHIN_S = 2.0


def test_later_messages_of_a_case_wait_for_no_still(letters, tmp_path):
    case = letters.raise_one("fire")
    letters.desk.attach(still_of(letters, case, tmp_path))
    letters.desk.answer(case, "seen", by="guard", via="page")
    letters.start(lanes=1)
    letters.until(lambda: len(letters.got) == 2)
    assert letters.got == [f"{case}/1 with still", f"{case}/2"]


def full_for(rig, monkeypatch, name: str, times: int) -> list[str]:
    """The disk does not take what the desk writes by this method, so often."""
    method, said = getattr(rig.desk, name), []

    def wrong(*told):
        if len(said) < times:
            said.append(name)
            raise AlertStorageError("the disk is full")
        return method(*told)

    monkeypatch.setattr(rig.desk, name, wrong)
    return said


def test_answers_that_a_full_disk_did_not_take_are_not_the_destinations_fault(rig, monkeypatch):
    case = rig.raise_one("fire")
    said = full_for(rig, monkeypatch, "hear", 3)
    heard = rig.desk.cursor
    given = GivenAnswer("a1", case, "taken", "ЦОУ")
    # A centre gives what comes after the cursor, as often as it is asked.
    monkeypatch.setattr(
        Fake, "answers", lambda self, cursor, wait_s: Answers((given,), "1") if cursor is None else Answers()
    )
    rig.start(lanes=1, listen=True)
    rig.until(lambda: heard("centre") == "1")
    assert len(said) == 3
    assert rig.desk.case(case).state == "taken"
    assert [row["state"] for row in rig.said if row["state"] != "working"] == []


def test_a_refusal_that_a_full_disk_did_not_take_does_not_end_the_lane(rig, monkeypatch):
    said = full_for(rig, monkeypatch, "refused", 2)
    bad = rig.raise_one("fire")

    def fail(message):
        if message.get("case") == bad:
            raise MessageRefusedError("422")

    rig.fail = fail
    rig.start(lanes=1)
    rig.until(lambda: rig.desk.outbox.hops(bad)[0]["state"] == "refused")
    good = rig.raise_one("smoke")
    rig.courier.wake()
    rig.until(lambda: rig.got == [f"{good}/1"])
    assert len(said) == 2


class WithoutHeartbeats(Fake):
    """A centre that takes alerts and knows no heartbeats."""

    def heartbeat(self, message):
        self.got.append("heartbeat")
        raise DestinationRefusedError("404")


def test_who_wants_no_heartbeats_gets_alerts_all_the_same(rig, caplog):
    rig.courier = Courier(
        "centre",
        rig.desk,
        lambda rank: WithoutHeartbeats(rig.got, lambda message: rig.fail(message), rig.answers),
        heartbeat=lambda name: {"key": "heartbeat/1"},
        heartbeat_s=0.05,
        changed=rig.said.append,
    )
    rig.start(lanes=1)
    rig.threads.append(threading.Thread(target=rig.courier.pulse, args=(rig.stopping, lambda: None)))
    rig.threads[-1].start()
    rig.until(lambda: rig.got.count("heartbeat") > 2)
    case = rig.raise_one("fire")
    rig.courier.wake()
    rig.until(lambda: f"{case}/1" in rig.got)
    assert all(row["state"] == "working" for row in rig.said)
    assert caplog.text.count("its heartbeat is refused") == 1
