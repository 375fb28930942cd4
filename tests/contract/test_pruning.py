"""A ledger that is sealed, sent to a real hub, and pruned: what works on ledgers goes on working on what is left."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edusense.cli.schemas import validate
from edusense.errors import BatchError, LedgerError, LedgerLockedError, UsageError
from edusense.meals import Acknowledgements, Kind, Ledger, RecordKey, Roster, SigningKey, Slot, Status, Terminal
from edusense.meals.day_count import DayCount
from edusense.meals.hub_client import HubClient
from edusense.meals.keys import KeyRing
from edusense.meals.lookup import find_record, last_time
from edusense.meals.recover import recover
from edusense.meals.sealing import plan_pruning, prune, seal
from edusense.meals.uplink import Uplink
from edusense.sim.hub import VirtualHub

ROOT = Path(__file__).resolve().parents[2]
SCHOOL = 51_001
OLD, NEW = 20_260_401, 20_261_005
KEEP = datetime.date(2026, 9, 1)
SEGMENT = 64


def plain_verifier():
    spec = importlib.util.spec_from_file_location("plain_verifier", ROOT / "docs/examples/plain_verifier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = plain_verifier()


def eat(folder: Path, day: int, pupils: range) -> None:
    """One opening: two terminals by turns; every tenth meal is taken back."""
    with Ledger.open(folder, school=SCHOOL, segment_records=SEGMENT) as ledger:
        rows = Ledger.blank(len(pupils))
        rows["day"], rows["slot"], rows["price"], rows["pupil"] = day, b"lunch", 45_000, pupils
        rows["time"] = 1_700_000_000_000_000 + np.array(pupils, np.int64)
        rows["terminal"] = [1 + number % 2 for number in pupils]
        receipts = ledger.receipts(rows)
        assert not receipts.status.any()
        for position in receipts.position[::10]:
            meal = ledger.records(int(position), int(position) + 1)
            back = meal.copy()
            back["kind"], back["ref_epoch"], back["ref_sequence"] = Kind.REVERSAL, meal["epoch"], meal["sequence"]
            back["flags"] = 0
            assert ledger.append(back)[0] == Status.RECORDED


class School:
    def __init__(self, folder: Path, hub: VirtualHub) -> None:
        self.folder, self.hub = folder / "ledger", hub
        self.client = HubClient(hub.url)
        self.uplink = Uplink(self.folder, self.client, school=SCHOOL)
        self.keys = KeyRing.load_or_make(folder)

    def send(self) -> None:
        self.uplink.refresh()
        while self.uplink.send():
            pass

    @property
    def hub_key(self) -> bytes:
        return bytes.fromhex(self.hub.key)

    def prune(self):
        plan = plan_pruning(self.folder, self.hub_key, keep_from=KEEP)
        return prune(self.folder, self.hub_key, self.keys.current, plan, keep_from=KEEP)

    def ledger(self) -> Ledger:
        return Ledger.open(self.folder, read_only=True)


@pytest.fixture
def school(tmp_path: Path):
    with VirtualHub(tmp_path / "hub") as hub:
        school = School(tmp_path, hub)
        eat(school.folder, OLD, range(1, 101))
        eat(school.folder, OLD + 1, range(1, 101))
        eat(school.folder, NEW, range(1, 101))
        with contextlib.closing(school.client):
            yield school


def test_sealed_sent_pruned_and_everything_goes_on(school):
    whole = school.ledger().records()
    made = seal(school.folder, school.keys.current)
    assert len(made) == len(whole) // SEGMENT
    assert PLAIN.ledger(school.folder)
    assert not plan_pruning(school.folder, school.hub_key, keep_from=KEEP).going
    school.send()
    done = school.prune()
    ledger = school.ledger()
    assert ledger.first == done.until == 192
    assert len(ledger) == len(whole)
    assert ledger.records().tobytes() == whole[192:].tobytes()
    assert ledger.readable()[0].tobytes() == whole[192:].tobytes()
    assert ledger.records(0, 200).tobytes() == whole[192:200].tobytes()
    assert len(ledger.records(0, 100)) == 0
    found = ledger.verify()
    assert found.ok
    assert [one.root for one in found.seals] == [one.root for one in made]
    assert [one.pruned for one in found.seals] == [one.first < 192 for one in made]
    assert len(PLAIN.ledger(school.folder)) == len(whole) - 192
    for path in school.folder.glob("*.seal"):
        assert PLAIN.seal(path.read_bytes(), school.keys.current.public)["school"] == SCHOOL
    # Who looks for something.
    assert find_record(ledger, RecordKey.of(whole[100])) is None
    assert RecordKey.of(find_record(ledger, RecordKey.of(whole[200]))) == RecordKey.of(whole[200])
    assert last_time(ledger) == last_time(ledger)
    assert DayCount(ledger, NEW).meals(NEW, "lunch") == 90
    # Who eats.
    eat(school.folder, NEW + 1, range(1, 20))
    with Ledger.open(school.folder) as open_ledger:
        rows = Ledger.blank(3)
        rows["day"], rows["slot"], rows["terminal"], rows["pupil"] = [OLD, OLD + 1, NEW], b"lunch", 1, 2
        assert open_ledger.append(rows).tolist() == [Status.DAY_PRUNED, Status.DAY_PRUNED, Status.ALREADY_SERVED]
    assert school.ledger().verify().ok
    # Who sends: what is new arrives, and what the hub has stays as it is.
    school.client.sent_bytes = 0
    again = Uplink(school.folder, school.client, school=SCHOOL)
    again.refresh()
    again.compare()
    while again.send():
        pass
    assert not again.troubles()
    assert not again.waiting
    assert school.client.sent_bytes < 6000
    assert school.hub.store.cases() == []
    assert sum(day["paid"] for day in school.hub.store.day_totals(SCHOOL)) == 3 * 90 + 17


def test_a_meal_from_a_paper_list_of_a_pruned_day_is_refused(school, tmp_path):
    school.send()
    school.prune()
    path = tmp_path / "roster.csv"
    line = "1017,Ли Тимур,2В,orphan,em4100:010063E9B0,2020-09-01,2020-09-01,"
    path.write_text(f"pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n{line}\n", "utf-8")
    slot = Slot("lunch", datetime.time(0), datetime.time(23, 59), 45_000)
    noon = datetime.datetime(2026, 10, 5, 12, tzinfo=datetime.UTC).timestamp()
    with Ledger.open(school.folder) as ledger:
        terminal = Terminal(
            id="left",
            number=1,
            ledger=ledger,
            roster=Roster.load(path),
            slots=[slot],
            timezone="UTC",
            clock=lambda: noon,
        )
        given = {"note": 1, "slot": "lunch"}
        refused = terminal.enter(1017, day=datetime.date(2026, 4, 2), **given)
        assert (refused.granted, refused.reason) == (False, "cannot-record")
        assert "was pruned" in (refused.message or "")
        assert terminal.enter(1017, day=datetime.date(2026, 10, 2), **given).granted


def test_a_hub_that_was_put_back_asks_for_what_is_gone_and_the_others_go_on(school):
    first = school.ledger().streams()
    eldest = next(iter(first))
    school.uplink.refresh()
    school.hub.backup()
    school.send()
    school.prune()
    school.hub.restore()
    eat(school.folder, NEW + 1, range(1, 20))
    again = Uplink(school.folder, school.client, school=SCHOOL)
    again.refresh()
    again.compare()
    while again.send():
        pass
    assert any("which was pruned" in told for told in again.troubles()), again.troubles()
    assert school.hub.store.line(SCHOOL, eldest.terminal, eldest.epoch) is None


def test_damage_of_a_pruned_ledger_is_mended_from_the_hub(school, tmp_path):
    school.send()
    school.prune()
    whole = school.ledger().records().tobytes()
    for place in (192, 255, 300):
        path = school.folder / f"{place // SEGMENT * SEGMENT:020}.seg"
        raw = bytearray(path.read_bytes())
        raw[place % SEGMENT * 128 + 41] ^= 0x55
        path.write_bytes(raw)
    asked = []
    records = school.client.records
    school.client.records = lambda *what: asked.append(what[4] - what[3]) or records(*what)
    found = recover(school.folder, tmp_path / "mended", school.client, school=SCHOOL)
    assert [(one.position, one.record is not None) for one in found.places] == [
        (192, True),
        (255, True),
        (300, True),
    ]
    assert found.verified.ok
    assert Ledger.open(tmp_path / "mended", read_only=True).records().tobytes() == whole
    assert sum(asked) < 10, "what was pruned was asked for"


def test_what_must_not_be_pruned(school, tmp_path):
    school.send()
    with pytest.raises(BatchError, match="hub's key"):
        plan_pruning(school.folder, SigningKey.make().public, keep_from=KEEP)
    plan = plan_pruning(school.folder, school.hub_key, keep_from=KEEP)
    assert [one.stays is None for one in plan.segments] == [True, True, True, False, False, False]
    assert "2026-10-05" in plan.segments[3].stays
    with Ledger.open(school.folder), pytest.raises(LedgerLockedError):
        prune(school.folder, school.hub_key, school.keys.current, plan, keep_from=KEEP)
    # The hub holds a fork of an old epoch.
    other = tmp_path / "other"
    shutil.copytree(school.folder, other)
    stream = next(iter(school.ledger().streams()))
    said = Acknowledgements(other).of(stream.terminal, stream.epoch)
    fields = ("school", "terminal", "epoch", "sequence", "meals", "reversals", "sum", "time")
    hub_key = school.hub.intake.key
    forged = hub_key.acknowledge(**{name: getattr(said, name) for name in fields}, head=bytes(32))
    (other / said.name).write_bytes(forged)
    with pytest.raises(LedgerError, match="another record"):
        plan_pruning(other, school.hub_key, keep_from=KEEP)
    with pytest.raises(LedgerError, match="not a ledger"):
        seal(tmp_path / "nothing", school.keys.current)
    assert not (tmp_path / "nothing").exists()
    done = school.prune()
    with pytest.raises(UsageError, match="there is no record"):
        school.ledger().streams().records(stream.terminal, stream.epoch, 1, 2)
    assert done.last_day == "2026-04-02"


def edusense(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edusense", "meals", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=80, check=False, cwd=folder)


def test_the_commands(school, tmp_path):
    school.send()
    (tmp_path / "school.toml").write_text('[site]\nid = "school-51"\nnumber = 51001\ndata = "."\n')
    done = edusense(tmp_path, "seal", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 5
    for row in rows:
        validate("meals seal", row)
    assert "every full segment has its seal" in edusense(tmp_path, "seal").stderr
    # The hub that the box met first is believed; nobody is here to say yes.
    done = edusense(tmp_path, "prune", "--keep-from", "2026-09-01")
    assert done.returncode == 2
    assert "nobody is here to say yes" in done.stderr
    assert done.stdout.count(": goes\n") == 3
    assert "it has records of 2026-10-05" in done.stdout
    assert school.ledger().first == 0
    done = edusense(tmp_path, "prune", "--keep-from", "2026-09-01", "--hub-key", "00" * 32, "--yes")
    assert done.returncode != 0
    assert "not signed with the hub's key" in done.stderr
    done = edusense(tmp_path, "prune", "--keep-from", "2026-09-01", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        validate("meals prune", row)
    assert [row["outcome"] for row in rows] == ["goes"] * 3 + ["stays"] * 3
    assert "the ledger begins with record 192" in done.stderr
    done = edusense(tmp_path, "verify")
    assert done.returncode == 0
    assert "192 older records pruned, in 3 segments; their roots:" in done.stdout
    assert "00000000000000000064.seg: 64 records, 2026-04-01 to 2026-04-02, root " in done.stdout
    row = json.loads(edusense(tmp_path, "verify", "--json").stdout)
    validate("meals verify", row)
    assert (row["first"], len(row["seals"])) == (192, 5)
    done = edusense(tmp_path, "status", "--json")
    row = json.loads(done.stdout.splitlines()[0])
    validate("meals status", row)
    assert (row["pruned"], row["records"]) == (192, len(school.ledger()))
    # Reversals whose meals are gone are there, and disturb nobody.
    done = edusense(tmp_path, "export", "--json")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["day"] for line in done.stdout.splitlines()} == {"2026-04-02", "2026-10-05"}
    done = edusense(tmp_path, "export", "--month", "2026-10")
    assert len(done.stdout.splitlines()) == 101
    assert done.returncode == 0
    done = edusense(tmp_path, "prune", "--keep-from", "2026-09-01", "--yes")
    assert "nothing may go" in done.stderr
    (tmp_path / "ledger" / "00000000000000000064.seal").unlink()
    done = edusense(tmp_path, "verify")
    assert done.returncode == 1
    assert "there is no sound seal of the pruned records" in done.stdout


def test_the_plain_verifier_finds_what_was_changed(school, tmp_path):
    seal(school.folder, school.keys.current)
    school.send()
    school.prune()
    seals = sorted(school.folder.glob("*.seal"))

    def wrong(change) -> str:
        other = tmp_path / "other"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(school.folder, other)
        change(other)
        assert not Ledger.open(other, read_only=True).verify().ok
        with pytest.raises((ValueError, OSError)) as told:
            PLAIN.ledger(other)
        return str(told.value)

    assert "No such file" in wrong(lambda other: (other / seals[1].name).unlink())
    assert "break off" in wrong(lambda other: shutil.copy(other / seals[0].name, other / seals[1].name))
    assert "first segment" in wrong(lambda other: (other / "meals.pruned").unlink())
    assert "neither copy" in wrong(lambda other: (other / "meals.pruned").write_bytes(bytes(200)))

    def spoil(name: str, byte: int):
        def spoiled(other: Path) -> None:
            raw = bytearray((other / name).read_bytes())
            raw[byte] ^= 1
            (other / name).write_bytes(raw)

        return spoiled

    assert "signature" in wrong(spoil(seals[1].name, 60))
    assert "signature" in wrong(spoil(seals[4].name, 60))
    assert "not what its seal says" in wrong(spoil("00000000000000000256.seg", 100))


def test_the_vectors_of_the_page():
    import re

    text = (ROOT / "docs/reference/ledger-format.md").read_text("utf-8")
    found = [bytes.fromhex(one) for one in re.findall(r"```text\n((?:[0-9a-f]{2}[ \n])+)```", text)]
    record, sealed, pruned = found
    box = SigningKey(bytes(range(32)))
    told = PLAIN.seal(sealed, box.public)
    assert (told["first"], told["count"], told["day"], told["last"]) == (16, 1, NEW, NEW)
    assert told["root"] == hashlib.sha256(b"\0" + record).digest()
    assert (told["before"], told["head"]) == (record[92:124], hashlib.sha256(record).digest())
    assert struct.unpack("<IIQQ", told["rows"]) == (1, 0x9F3A01BC, 17, 17)
    half = pruned[: len(pruned) // 2]
    assert pruned == half + half
    assert PLAIN.crc32c(half[:-4]) == int.from_bytes(half[-4:], "little")
    _, until, day, count, _, head = struct.unpack("<IQIIq32s", half[4:64])
    assert (until, day, count, head) == (17, NEW, 1, told["head"])
    assert struct.unpack("<IIQ", half[64:-4]) == (1, 0x9F3A01BC, 17)
