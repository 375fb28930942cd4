"""A real ledger, its uplink, and a virtual hub that does things wrong: in the end both hold the same."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from edusense.errors import HubRefusedError, HubUnavailableError, SiteError
from edusense.meals import Acknowledgements, Kind, Ledger, SigningKey
from edusense.meals.hub_client import HubClient
from edusense.meals.keys import KeyRing
from edusense.meals.uplink import Uplink
from edusense.sim.hub import VirtualHub
from edusense.site import Site

SCHOOL = 51001


class Box:
    """What of a box has to do with the hub."""

    def __init__(self, folder: Path, hub: VirtualHub, **more) -> None:
        self.folder = folder / "ledger"
        self.hub = hub
        self.now = 0.0
        self.pupils = 0
        self.client: HubClient | None = None
        self.connect(**more)

    def connect(self, **more) -> None:
        self.close()
        self.client = HubClient(self.hub.url, token=self.hub.token, **more)
        self.uplink = Uplink(self.folder, self.client, school=SCHOOL, monotonic=lambda: self.now)

    def eat(self, count: int, terminal: int = 1, *, pupil: int | None = None) -> None:
        rows = Ledger.blank(count)
        rows["terminal"], rows["day"], rows["slot"], rows["price"] = terminal, 20261005, b"lunch", 45_000
        rows["pupil"] = range(self.pupils + 1, self.pupils + 1 + count) if pupil is None else pupil
        self.pupils += count
        with Ledger.open(self.folder, school=SCHOOL) as ledger:
            assert not ledger.append(rows).any()

    def bring(self, tries: int = 400) -> int:
        """Sends until nothing waits; returns how often that came to nothing."""
        failures = 0
        while tries := tries - 1:
            try:
                self.uplink.refresh()
                if not self.uplink.send():
                    return failures
            except HubUnavailableError:
                failures += 1
                self.uplink.broke()
        raise AssertionError(f"{self.uplink.waiting} records still wait after {failures} failures")

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


@pytest.fixture
def box(tmp_path):
    with VirtualHub(tmp_path / "hub") as hub, contextlib.closing(Box(tmp_path, hub)) as box:
        yield box


def both_hold_the_same(box: Box) -> bool:
    """The hub's records are the ledger's, byte for byte, and are signed for."""
    ledger = Ledger.open(box.folder, read_only=True)
    streams = ledger.streams()
    for stream in streams:
        own = streams.records(stream.terminal, stream.epoch, stream.first, stream.last)
        line = box.hub.store.line(SCHOOL, stream.terminal, stream.epoch)
        assert line is not None
        assert box.hub.store.records(line, 1, line.acknowledged) == own.tobytes()
        kept = Acknowledgements(box.folder).of(stream.terminal, stream.epoch)
        assert kept is not None
        assert kept.sequence == stream.last
        assert kept.head == line.totals.head
    (day,) = box.hub.store.day_totals(SCHOOL)
    meals = int((ledger.records()["kind"] == Kind.MEAL).sum())
    assert day["meals"] == meals
    return not box.uplink.waiting and not box.uplink.troubles()


def test_everything_arrives_and_is_signed_for(box):
    box.eat(3)
    box.eat(2000, terminal=2)
    box.eat(2)
    # Each opening is on the record, of the ledger itself and of the terminal.
    assert box.uplink.refresh() == 2005 + 6
    box.uplink.compare()
    assert box.bring() == 0
    assert both_hold_the_same(box)
    assert box.uplink.acknowledged == 2011
    assert [case["kind"] for case in box.hub.store.cases()] == []


def test_what_was_signed_for_is_not_sent_again_after_a_restart(box):
    box.eat(40)
    box.bring()
    box.connect()
    assert box.uplink.refresh() == 0
    box.eat(2)
    assert box.uplink.refresh() == 4
    box.bring()
    assert both_hold_the_same(box)
    assert box.client.sent_bytes < 3000


FAULTS = ("commit-without-answer", "errors-after-commit", "errors", "twice", "answer-lost", "cut")


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_hub_does_everything_is_there_once(box, fault):
    box.eat(300)
    box.eat(300, terminal=2)
    box.hub.set_faults(fault)
    box.uplink.refresh()
    failures = 0
    for _ in range(6):
        try:
            box.uplink.send()
        except HubUnavailableError:
            failures += 1
            box.uplink.broke()
    if fault in ("commit-without-answer", "errors-after-commit", "errors"):
        assert failures == 6
        assert box.uplink.waiting == 604
    box.hub.set_faults()
    box.bring()
    assert both_hold_the_same(box)


def test_a_line_that_breaks_is_given_smaller_batches(box):
    box.eat(600)
    before = box.uplink.largest
    box.hub.set_faults("errors")
    box.uplink.refresh()
    for _ in range(5):
        with pytest.raises(HubUnavailableError):
            box.uplink.send()
        box.uplink.broke()
    assert box.uplink.largest == 64 < before
    box.hub.set_faults()
    box.bring()
    assert box.uplink.largest == before
    assert both_hold_the_same(box)


def test_retry_after_reaches_who_waits(box):
    box.eat(1)
    box.hub.set_faults("errors")
    box.uplink.refresh()
    asked = []
    for _ in range(3):
        with pytest.raises(HubUnavailableError) as caught:
            box.uplink.send()
        asked.append(caught.value.retry_after_s)
    assert asked.count(1.0) == 1


def test_a_hub_that_was_put_back_gets_what_it_lost(box):
    box.eat(100)
    box.bring()
    box.hub.backup()
    box.eat(100)
    box.eat(50, terminal=2)
    box.bring()
    box.hub.restore()
    box.eat(10)
    box.bring()
    assert both_hold_the_same(box)
    assert box.hub.store.cases() == []


def test_a_hub_that_was_put_back_and_is_only_asked(box):
    box.eat(100)
    box.bring()
    box.hub.backup()
    box.eat(100)
    box.bring()
    box.hub.restore()
    box.uplink.compare()
    assert box.uplink.waiting == 102
    box.bring()
    assert both_hold_the_same(box)


def alter_a_price(box):
    """The hub holds a record of terminal 1 otherwise than the ledger, in the second of three batches."""
    line = box.hub.store.lines(SCHOOL, 1)[0]
    changed = bytearray(box.hub.store.records(line, 1025, 2048))
    changed[128 * 500 + 52] ^= 1  # a price
    connection = box.hub.store._connection
    connection.execute("UPDATE batches SET records = ? WHERE line = ? AND first = 1025", (bytes(changed), line.id))
    connection.execute("UPDATE lines SET sum_tiyn = sum_tiyn + 1 WHERE id = ?", (line.id,))


def test_what_the_hub_holds_otherwise_is_found_and_named(box):
    box.eat(3000)
    box.bring()
    alter_a_price(box)
    box.uplink.compare()
    (told,) = box.uplink.troubles()
    assert "refuses 1/" in told
    assert "/1525 is here already, and says something else" in told
    (case,) = box.hub.store.cases()
    assert case["kind"] == "fork"
    assert case["record"].endswith("/1525")
    box.eat(4, terminal=2)
    box.bring()
    assert box.hub.store.lines(SCHOOL)[-1].terminal == 2, "other terminals go on"


def test_a_hub_that_only_counts_wrongly_is_told(box):
    box.eat(10)
    box.bring()
    box.hub.store._connection.execute("UPDATE lines SET meals = meals + 1 WHERE terminal = 1")
    box.uplink.compare()
    (told,) = box.uplink.troubles()
    assert "are not ours" in told


def test_a_disk_that_was_put_back_shows_on_both_sides(box, tmp_path):
    box.eat(10)
    shutil.copytree(box.folder, tmp_path / "image")
    box.eat(5)
    box.bring()
    shutil.rmtree(box.folder)
    shutil.copytree(tmp_path / "image", box.folder)
    box.connect()
    box.eat(3)
    box.uplink.refresh()
    box.uplink.compare()
    box.bring()
    # The ledger itself is a terminal, too: number 0.
    assert [(case["kind"], case["terminal"]) for case in box.hub.store.cases()] == [
        ("rolled-back", 0),
        ("rolled-back", 1),
    ]
    days = box.hub.store.day_totals(SCHOOL)
    assert [(day["meals"], day["paid"], day["held"]) for day in days] == [(18, 15, 3)]


def test_a_ledger_that_is_older_than_the_hub_says_so(box, tmp_path):
    box.eat(10)
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        rows = Ledger.blank(2)
        rows["terminal"], rows["day"], rows["slot"], rows["pupil"] = 3, 20261005, b"lunch", [1, 2]
        rows["slot"] = b"supper"
        ledger.append(rows)
        shutil.copytree(box.folder, tmp_path / "image")
        rows["pupil"] = [3, 4]
        ledger.append(rows)
    box.bring()
    shutil.rmtree(box.folder)
    shutil.copytree(tmp_path / "image", box.folder)
    box.connect()
    box.uplink.refresh()
    box.uplink.compare()
    (told,) = box.uplink.troubles()
    assert "this ledger is older than it was" in told


def test_two_terminals_and_one_child(box, tmp_path):
    box.eat(1, pupil=1017)
    box.bring()
    other = Box(tmp_path / "other", box.hub)
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "meals.key", tmp_path / "other" / "meals.key")
    other.eat(1, terminal=7, pupil=1017)
    other.bring()
    (case,) = [case for case in box.hub.store.cases() if case["kind"] == "served-twice"]
    assert len(case["records"]) == 2
    assert [meal["paid"] for meal in box.hub.store.meals(SCHOOL)] == [True, False]
    other.close()


def test_a_new_key_is_followed(box, tmp_path):
    box.eat(5)
    box.bring()
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        KeyRing.load(tmp_path).rotate(ledger, tmp_path)
    box.eat(5)
    box.bring()
    assert both_hold_the_same(box)
    assert len(box.hub.store.keys(SCHOOL)) == 2


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
def test_new_keys_are_followed_that_the_hub_was_never_told_of(box, tmp_path, heard, at_once):
    box.eat(5)
    if heard:
        box.bring()
        box.hub.backup()
    known = KeyRing.load_or_make(tmp_path).current
    if not heard:
        box.hub.intake.enrol(SCHOOL, known.public)
        box.hub.backup()
    # While there is no line: meals before, between and after three changes, in one opening and in several.
    box.eat(5, terminal=2)
    for _ in range(3):
        with Ledger.open(box.folder, school=SCHOOL) as ledger:
            for _ in range(1 + at_once):
                KeyRing.load(tmp_path).rotate(ledger, tmp_path)
        box.eat(3)
    box.connect()
    box.bring()
    assert both_hold_the_same(box)
    ring = KeyRing.load(tmp_path)
    assert len(ring.before) == 3 * (1 + at_once)
    keys = box.hub.store.keys(SCHOOL)
    assert {known.public, ring.current.public} <= set(keys)
    assert box.hub.store.cases() == []
    # A hub that was put back knows the first key alone, and is led through all changes once more.
    box.hub.restore()
    assert ring.current.public not in box.hub.store.keys(SCHOOL)
    box.connect()
    box.uplink.refresh()
    box.uplink.compare()
    box.bring()
    assert both_hold_the_same(box)
    # The same records are the same bytes, whenever they are signed.
    streams = Ledger.open(box.folder, read_only=True).streams()
    stream = next(iter(streams))
    records = streams.records(stream.terminal, stream.epoch, stream.first, stream.last)
    assert ring.signer(streams, stream.terminal, stream.epoch, stream.first).public == known.public
    assert len(records) == stream.last


def test_the_key_before_from_an_older_version_is_found(box, tmp_path):
    box.eat(5)
    box.bring()
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        made = KeyRing.load(tmp_path).rotate(ledger, tmp_path)
        (kept,) = tmp_path.glob("meals.key.before-*")
        kept.rename(tmp_path / "meals.key.previous")
        old = KeyRing.load(tmp_path)
        assert old.previous is not None
        assert old.previous.public == made.previous.public
        again = old.rotate(ledger, tmp_path)
    assert len(again.before) == 2
    assert not (tmp_path / "meals.key.previous").exists()
    box.eat(5)
    box.bring()
    assert both_hold_the_same(box)


def test_a_key_that_the_hub_does_not_know_is_refused(box, tmp_path):
    box.eat(5)
    box.hub.intake.enrol(SCHOOL, SigningKey.make().public)
    box.uplink.refresh()
    with pytest.raises(HubRefusedError) as caught:
        box.uplink.send()
    assert "enrolled" in (caught.value.hint or "")
    assert not list(box.folder.glob("*.edack"))


def test_another_hub_is_not_believed(box):
    box.eat(5)
    box.bring()
    box.eat(5)
    box.uplink.refresh()
    box.hub.set_faults("other-key")
    with pytest.raises(HubRefusedError, match="known is"):
        box.uplink.send()
    assert box.uplink.waiting == 7
    box.hub.set_faults()
    box.bring()
    assert both_hold_the_same(box)


@pytest.mark.parametrize("fault", ["portal", "huge-answer"])
def test_what_is_no_hub_is_not_believed(box, fault):
    box.eat(5)
    box.hub.set_faults(fault)
    box.uplink.refresh()
    with pytest.raises((HubRefusedError, HubUnavailableError)):
        box.uplink.compare()
    with pytest.raises((HubRefusedError, HubUnavailableError)):
        box.uplink.send()
    assert box.uplink.waiting == 7


def test_over_tls_with_a_token(tmp_path):
    from edusense.sim.ops_centre.certificates import make_certificate

    ca, certificate, private_key = make_certificate(tmp_path, "127.0.0.1")
    more = {"certificate": certificate, "private_key": private_key, "token": "a secret"}
    with VirtualHub(tmp_path / "hub", **more) as hub:
        box = Box(tmp_path, hub, ca=ca)
        box.eat(3)
        box.bring()
        assert both_hold_the_same(box)
        box.connect()
        box.eat(1)
        box.uplink.refresh()
        with pytest.raises(HubRefusedError, match="certificate"):
            box.uplink.send()
        hub.token = "wrong"
        box.connect(ca=ca)
        box.uplink.refresh()
        with pytest.raises(HubRefusedError, match="401"):
            box.uplink.send()
        box.close()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('url = "http://hub.example.kz"', "not encrypted, and not on this machine"),
        ('url = "http://127.0.0.1:8490"\nkey = "6a1f"', "no public key"),
        ('url = "http://127.0.0.1:8490"\ntoken = "secret"', "hub.token`: a secret must not stand"),
    ],
)
def test_what_cannot_stand_under_hub(table, message):
    text = f'[site]\nid = "school-51"\nnumber = 51001\n[hub]\n{table}\n'
    with pytest.raises(SiteError, match=message) as caught:
        Site.loads(text)
    assert caught.value.line in (5, 6)


def test_few_bytes_a_meal(box):
    rows = Ledger.blank(2)
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        for pupil in range(1, 129):
            rows["terminal"], rows["day"], rows["slot"], rows["price"] = 1, 20261005, b"lunch", 45_000
            rows["pupil"], rows["time"] = pupil, 1_790_000_000_000_000 + pupil * 7_123_457
            rows["kind"] = [Kind.MEAL, Kind.SHOWN]
            meal = ledger.receipts(rows[:1])
            assert not meal.status.any()
            mark = rows[1:].copy()
            mark["ref_epoch"], mark["ref_sequence"] = ledger.epoch, 2 * pupil
            mark["price"] = 0
            ledger.receipts(mark, lazily=True)
    box.bring()
    assert both_hold_the_same(box)
    assert box.client.sent_bytes / 128 < 80


def close(box: Box, decision: str, kind: str) -> None:
    """Somebody at the city closes all cases of a kind."""
    cases = [case for case in box.client.cases(SCHOOL) if case["kind"] == kind and case["decision"] is None]
    assert cases
    for case in cases:
        told = box.client.close_case(case["case"], decision, by="Серикова Дана", why="asked the school")
        assert (told["decision"], told["by"], told["why"]) == (decision, "Серикова Дана", "asked the school")
        assert box.client.close_case(case["case"], decision, by="Серикова Дана") == told, "closed twice is closed"
        other = "count" if decision == "leave-out" else "leave-out"
        with pytest.raises(HubRefusedError, match="was closed by"):
            box.client.close_case(case["case"], other, by="Серикова Дана")


def fork(box: Box) -> None:
    """The hub holds a record of terminal 1 otherwise than the ledger, in the second of three batches."""
    box.eat(3000)
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        rows = ledger.records()
        meal = rows[(rows["terminal"] == 1) & (rows["pupil"] == 3)].copy()
        meal["kind"], meal["ref_epoch"], meal["ref_sequence"] = Kind.REVERSAL, meal["epoch"], meal["sequence"]
        meal["flags"] = 0
        assert not ledger.append(meal).any()
    box.bring()
    alter_a_price(box)
    box.uplink.compare()
    assert box.uplink.troubles()


def test_a_fork_that_gives_way_is_sent_again(box):
    fork(box)
    close(box, "count", "fork")
    (line, later) = box.hub.store.lines(SCHOOL, 1)
    assert line.acknowledged == 1524
    assert later.acknowledged == 2, "only the epoch that forked gives way"
    (case,) = box.client.cases(SCHOOL)
    assert len(case["evidence"]) == 2, "both batches that gave way stay as evidence"
    assert box.client.evidence(case["case"], case["evidence"][0])[:3] == b"EDB"
    assert box.bring() == 0
    assert box.uplink.troubles(), "it is asked for from time to time, not all the time"
    box.now += 601
    box.bring()
    assert both_hold_the_same(box)
    assert [day["meals"] - day["reversed"] for day in box.hub.store.day_totals(SCHOOL)] == [2999]


def test_a_fork_that_is_left_out_is_not_sent_any_more(box):
    fork(box)
    connection = box.hub.store._connection
    # The hub has less of it than the school: what follows follows a record that the hub will never get.
    connection.execute("DELETE FROM lines WHERE terminal = 1 AND id > (SELECT MIN(id) FROM lines WHERE terminal = 1)")
    close(box, "leave-out", "fork")
    box.now += 601
    box.bring()
    assert not box.uplink.troubles()
    (told,) = box.uplink.closed()
    assert "was closed by Серикова Дана: leave-out" in told
    assert box.uplink.waiting == 0
    box.eat(5)
    box.bring()
    lines = box.hub.store.lines(SCHOOL, 1)
    assert [line.standing for line in lines] == [True] * 3
    assert (lines[0].acknowledged, lines[2].acknowledged) == (3001, 6)
    # Who begins again hears it again.
    box.connect()
    box.uplink.refresh()
    box.uplink.compare()
    box.bring()
    assert not box.uplink.troubles()
    assert [case["kind"] for case in box.client.cases(SCHOOL)] == ["fork"]


@pytest.mark.parametrize("decision", ["count", "leave-out"])
def test_a_disk_that_was_put_back_is_decided_about(box, tmp_path, decision):
    box.eat(10)
    with Ledger.open(box.folder, school=SCHOOL) as ledger:
        rows = Ledger.blank(2)
        rows["terminal"], rows["day"], rows["slot"], rows["pupil"] = 3, 20261005, b"supper", [1, 2]
        ledger.append(rows)
        shutil.copytree(box.folder, tmp_path / "image")
        rows["pupil"] = [3, 4]
        ledger.append(rows)
    box.bring()
    shutil.rmtree(box.folder)
    shutil.copytree(tmp_path / "image", box.folder)
    box.connect()
    box.eat(3)
    box.eat(3, terminal=3)
    box.uplink.refresh()
    box.uplink.compare()
    box.bring()
    assert any("older than it was" in told for told in box.uplink.troubles())
    close(box, decision, "rolled-back")
    box.now += 601
    box.bring()
    assert not box.uplink.troubles()
    assert box.uplink.closed()
    days = box.hub.store.day_totals(SCHOOL)
    held = 0 if decision == "count" else 3
    assert [(day["meals"], day["held"], day["paid"]) for day in days] == [(20, held, 20 - held)]
