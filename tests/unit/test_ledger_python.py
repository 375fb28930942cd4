"""The ledger from Python: NumPy rows in and out, its page of bytes, damage, versions, other writers."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edusense import _native
from edusense.errors import (
    EdusenseError,
    LedgerDamagedError,
    LedgerError,
    LedgerLockedError,
    LedgerStorageError,
    LedgerVersionError,
    UsageError,
    class_of,
)
from edusense.meals import Kind, Ledger, RecordKey, Status, meal_rows

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/ledger-format.md"


def rows(pupils, terminal: int = 1):
    made = Ledger.blank(len(pupils))
    made["terminal"], made["pupil"], made["day"], made["slot"] = terminal, pupils, 20261005, b"lunch"
    made["time"], made["price"] = 1_790_000_000_000_000, 45_000
    return made


def test_rows_go_in_and_come_out(tmp_path):
    with Ledger.open(tmp_path / "new" / "ledger", school=51_001) as ledger:
        assert ledger.append(rows([1, 2, 1])).tolist() == [Status.RECORDED, Status.RECORDED, Status.ALREADY_SERVED]
        receipts = ledger.receipts(rows([3, 1]))
        assert receipts.position.tolist() == [4, 2]
        records = ledger.records()
        assert records["kind"].tolist() == [Kind.OPENED, Kind.OPENED, Kind.MEAL, Kind.MEAL, Kind.MEAL]
        assert records["sequence"].tolist() == [1, 1, 2, 3, 4]
        assert len(set(records["epoch"].tolist())) == 1
        assert ledger.records(-2)["pupil"].tolist() == [2, 3]
        assert ledger.records(2, 4)["pupil"].tolist() == [1, 2]
        assert len(ledger.records(4, 2)) == len(ledger.records(99)) == 0
        assert ledger.append(rows([])).tolist() == []
        assert ledger.append(rows([9])[0]).tolist() == [Status.RECORDED]
        assert ledger.holding(1, 20261005, b"lunch") == (2, False)
        assert ledger.holding(1, 20261005, b"a name too long") is None
        assert ledger.verify().ok
        assert ledger.stats()["records"] == ledger.stats()["synced"] == 6
    assert [row["pupil"] for row in meal_rows(Ledger.open(tmp_path / "new" / "ledger", read_only=True).records())]


def test_a_reversal_by_its_key(tmp_path):
    with Ledger.open(tmp_path, school=1) as ledger:
        ledger.append(rows([1]))
        key = RecordKey.of(ledger.records()[-1])
        reversal = rows([1])
        reversal["kind"], reversal["ref_epoch"], reversal["ref_sequence"] = Kind.REVERSAL, key.epoch, key.sequence
        assert ledger.append(reversal).tolist() == [Status.RECORDED]
        assert ledger.append(reversal).tolist() == [Status.NO_SUCH_MEAL]
        assert ledger.append(rows([1])).tolist() == [Status.RECORDED]
        found = list(meal_rows(ledger.records()))
        assert [row["reversed"] for row in found] == [True, False]
        assert found[0]["record"] == str(key)


def test_passages_and_clock_steps_stand_in_the_row_and_hold_no_slot(tmp_path):
    with Ledger.open(tmp_path, school=1) as ledger:
        told = Ledger.blank(6)
        told["terminal"], told["kind"] = 3, [5, 6, 7, 8, 9, 10]
        told["day"], told["reason"] = [20261005, 20261005, 0, 0, 0, 20261005], 4
        assert ledger.append(told).tolist() == [Status.RECORDED] * 6
        assert ledger.append(rows([0], terminal=3)).tolist() == [Status.RECORDED]
        told["day"] = 0
        assert ledger.append(told).tolist() == [2, 2, 0, 0, 0, 2]
        found = ledger.records()
        assert found["kind"].tolist() == [1, 1, 5, 6, 7, 8, 9, 10, 2, 7, 8, 9]
        assert found["reason"].tolist() == [0, 0, 4, 4, 4, 4, 4, 4, 0, 4, 4, 4]
    assert Ledger.open(tmp_path, read_only=True).verify().ok


@pytest.mark.parametrize(
    ("field", "value"), [("slot", b""), ("slot", b"l nch"), ("day", 0), ("day", 20261301), ("kind", 1), ("kind", 77)]
)
def test_rows_that_say_nothing_are_not_valid(tmp_path, field, value):
    with Ledger.open(tmp_path, school=1) as ledger:
        bad = rows([1, 2])
        bad[field][0] = value
        assert ledger.append(bad).tolist() == [Status.NOT_VALID, Status.RECORDED]


def test_arrays_of_another_type_are_refused(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        for strange, named in ((np.zeros(3), "float64"), ([1, 2], "list"), (None, "NoneType")):
            with pytest.raises(UsageError, match=named):
                ledger.append(strange)


def test_a_reader_sees_what_a_writer_confirmed_and_cannot_write(tmp_path):
    with Ledger.open(tmp_path, school=7) as ledger:
        ledger.append(rows([1]))
        reader = Ledger.open(tmp_path, read_only=True)
        assert len(reader) == 3
        assert "process" in str(reader.holder)
        ledger.append(rows([2]))
        assert len(reader.records()) == 4
        assert reader.verify().ok
        with pytest.raises(LedgerError, match="reading only"):
            reader.append(rows([3]))
    assert reader.holder is None
    with Ledger.open(tmp_path) as again:
        assert again.school == 7
    with pytest.raises(LedgerError, match="school 7"):
        Ledger.open(tmp_path, school=8)


def test_a_second_writer_is_told_who_writes(tmp_path):
    code = "import sys; from edusense.meals import Ledger; Ledger.open(sys.argv[1])"
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(LedgerLockedError, match=r"process \d+.* since \d{4}-"):
            Ledger.open(tmp_path)
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert "LedgerLockedError" in other.stderr
        ledger.close()
        ledger.close()
        with pytest.raises(LedgerError, match="closed"):
            ledger.append(rows([1]))
    Ledger.open(tmp_path).close()


def test_a_forgotten_writer_warns(tmp_path):
    ledger = Ledger.open(tmp_path)
    with pytest.warns(ResourceWarning, match="was not closed"):
        ledger.__del__()
    ledger.close()


def test_damage_is_named_and_what_is_before_it_can_be_read(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        ledger.append(rows(range(20)))
    segment = tmp_path / f"{0:020}.seg"
    raw = bytearray(segment.read_bytes())
    raw[7 * 128 + 52] ^= 1
    segment.write_bytes(raw)
    with pytest.raises(LedgerDamagedError, match=rf"segment `{segment.name}`, byte 896, record 7: CRC32C") as caught:
        Ledger.open(tmp_path)
    assert caught.value.exit_status == 6
    assert segment.read_bytes() == raw
    reader = Ledger.open(tmp_path, read_only=True)
    found, damage = reader.readable()
    assert len(found) == 7
    assert "record 7" in str(damage)
    with pytest.raises(LedgerDamagedError):
        reader.records()
    report = reader.verify()
    assert (report.ok, report.problems[0].record, report.problems[0].offset) == (False, 7, 896)
    assert report.records == 21
    assert report.to_json()["problems"][0]["segment"] == segment.name


def test_a_torn_tail_is_cut_and_said(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        ledger.append(rows(range(5)))
    segment = tmp_path / f"{0:020}.seg"
    segment.write_bytes(segment.read_bytes()[: 6 * 128 + 50])
    report = Ledger.open(tmp_path, read_only=True).verify()
    assert report.ok
    assert report.torn_tail is not None
    assert (report.records, report.torn_tail.record, report.torn_bytes) == (6, 6, 50)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.recovered == report.torn_tail
        assert ledger.append(rows(range(5))).tolist() == [1, 1, 1, 1, 0]
    assert Ledger.open(tmp_path, read_only=True).verify().torn_tail is None


def test_a_newer_ledger_is_left_alone(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        ledger.append(rows([1]))
    segment = tmp_path / f"{0:020}.seg"
    raw = bytearray(segment.read_bytes())
    raw[131] = 2
    raw[252:256] = struct.pack("<I", crc32c(bytes(raw[128:252])))
    segment.write_bytes(raw)
    with pytest.raises(LedgerVersionError, match="version 2"):
        Ledger.open(tmp_path)


@pytest.mark.parametrize("read_only", [True, False])
def test_what_cannot_be_a_ledger_is_said(tmp_path, read_only):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdusenseError) as caught:
        Ledger.open(tmp_path / "file", read_only=read_only)
    assert isinstance(caught.value, LedgerError if read_only else LedgerStorageError)
    if read_only:
        for folder in (tmp_path, tmp_path / "none"):
            with pytest.raises(LedgerError, match="is not a ledger"):
                Ledger.open(folder, read_only=True)


def test_every_code_of_the_ledger_has_a_class():
    codes = {code for code in _native.error_codes() if code.startswith("ledger")}
    assert codes == {"ledger", "ledger-damaged", "ledger-locked", "ledger-storage", "ledger-version"}
    assert all(class_of(code).code == code for code in codes)


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit, as the page has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_page_is_enough_to_read_a_ledger(tmp_path):
    """Written from docs/reference/ledger-format.md alone: no code of ours but the writer."""
    with Ledger.open(tmp_path, school=51_001, segment_records=8) as ledger:
        ledger.append(rows(range(20)))
    with Ledger.open(tmp_path) as ledger:
        ledger.append(rows(range(18, 25), terminal=2))
    layout = struct.Struct("<3sBBBHIIIIQQqII12sIQQHH32sI")
    before, last, meals = bytes(32), {}, []
    for path in sorted(tmp_path.glob("*.seg")):
        raw = path.read_bytes()
        for at in range(0, len(raw), 128):
            record = raw[at : at + 128]
            if record == bytes(128):
                continue
            (magic, version, kind, _, flags, school, terminal, epoch, _, sequence, pupil, _, day, price, slot,
             ref_epoch, ref_sequence, _, _, _, previous, crc) = layout.unpack(record)  # fmt: skip
            assert (magic, version, school) == (b"EDM", 1, 51_001)
            assert crc == crc32c(record[:124])
            assert previous == before
            before = hashlib.sha256(record).digest()
            if kind == 1:
                assert (sequence, (ref_epoch, ref_sequence)) == (1, last.get(terminal, (0, 0)))
            else:
                assert last[terminal] == (epoch, sequence - 1)
            assert at or flags & 0x8000, "each segment begins a write"
            last[terminal] = (epoch, sequence)
            if kind == 2:
                meals.append((pupil, day, slot.rstrip(b"\0"), price))
    assert meals == [(pupil, 20261005, b"lunch", 45_000) for pupil in range(25)]
    mark = (tmp_path / "meals.synced").read_bytes()
    assert len(mark) == 1024
    for at in (0, 512):
        magic, phase, _, synced, crc = struct.unpack("<4sB3xQQ36xI", mark[at : at + 64])
        assert (magic, phase, synced, crc) == (b"EDS\x01", 1, 29, crc32c(mark[at : at + 60]))


def test_the_vector_on_the_page_is_a_record():
    text = PAGE.read_text("utf-8")
    found = re.search(r"```text\n((?:[0-9a-f]{2}[ \n])+)```", text)
    assert found is not None
    raw = bytes.fromhex(found[1])
    record = np.frombuffer(raw, Ledger.DTYPE)[0]
    assert len(raw) == 128
    assert record["crc"] == crc32c(raw[:124])
    assert (record["pupil"], record["slot"], record["day"]) == (1017, b"lunch", 20261005)
    assert hashlib.sha256(raw).hexdigest() in text
