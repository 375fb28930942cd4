"""Batches, proofs, acknowledgements and keys, held against the verifier that was written from their page alone."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from edusense.errors import BatchError, BatchRefusedError, UsageError
from edusense.meals import (
    Acknowledgement,
    Acknowledgements,
    Batch,
    KeyRing,
    Kind,
    Ledger,
    Proof,
    RecordKey,
    SigningKey,
    Totals,
    batches_of,
    make_batch,
    read_public_key,
)
from edusense.meals.keys import BEFORE_PREFIX, SECRET_NAME

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/batch-format.md"


def plain_verifier() -> Any:
    spec = importlib.util.spec_from_file_location("plain_verifier", ROOT / "docs/examples/plain_verifier.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = plain_verifier()


def serve(ledger: Ledger, pupils: range, terminal: int = 1) -> None:
    """Meals one after the other, each with its mark; every fifth is taken back."""
    for pupil in pupils:
        row = Ledger.blank(1)
        row["terminal"], row["pupil"], row["day"], row["slot"], row["price"] = (
            terminal,
            pupil,
            20261005,
            b"lunch",
            45_000,
        )
        position = int(ledger.receipts(row).position[0])
        meal = ledger.records(position, position + 1)[0]
        for kind in (Kind.SHOWN, Kind.REVERSAL):
            if kind == Kind.SHOWN or pupil % 5 == 0:
                row["kind"], row["ref_epoch"], row["ref_sequence"] = kind, meal["epoch"], meal["sequence"]
                ledger.append(row)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    folder = tmp_path / "ledger"
    for opening in range(2):
        with Ledger.open(folder, school=51_001, segment_records=64) as made:
            serve(made, range(opening * 20, opening * 20 + 11))
            serve(made, range(opening * 20 + 11, opening * 20 + 20), terminal=2)
    return Ledger.open(folder, read_only=True)


def test_batches_hold_all_records_once_and_the_plain_verifier_agrees(ledger):
    keys = KeyRing(SigningKey.make())
    found = list(batches_of(ledger.streams(), keys, size=16))
    assert PLAIN.ledger(ledger.folder)[5]["sequence"] == int(ledger.records()[5]["sequence"])
    total = Totals()
    keyed = set()
    for batch in found:
        again = Batch.read(batch.data).check(school=51_001, key=keys.current.public)
        assert again == batch
        plain = PLAIN.batch(batch.data, keys.current.public)
        assert [one["pupil"] for one in plain] == batch.records["pupil"].tolist()
        keyed |= {str(RecordKey.of(record)) for record in batch.records}
        total += Totals(batch.meals, batch.reversals, batch.sum)
    assert len(keyed) == len(ledger) == sum(batch.count for batch in found)
    assert total == Totals.of(ledger.records()) == Totals(40, 8, 32 * 45_000)
    assert all(batch.first % 16 == 1 for batch in found)
    stream = next(iter(ledger.streams()))
    after = {(one.terminal, one.epoch): one.last - (one == stream) for one in ledger.streams()}
    (only,) = batches_of(ledger.streams(), keys, after=after)
    assert (only.first, only.count, only.terminal) == (stream.last, 1, stream.terminal)


def test_strangers_batches_are_refused_with_the_reason(ledger):
    stream = list(ledger.streams())[2]
    records = ledger.streams().records(stream.terminal, stream.epoch, 1, 9)
    batch = make_batch(records, SigningKey.make())
    for data, reason in (
        (batch.data[:100], "too few"),
        (batch.data[:-1], "cut short"),
        (batch.data + b"\0", "follow its last record"),
        (bytes(1000), "does not begin"),
        (batch.data[:3] + b"\2" + batch.data[4:], "version 2"),
        (batch.data[:30] + b"\7" + batch.data[31:], "signature"),
        (batch.data[:228] + b"\7" + batch.data[229:], "not those that were signed"),
        (bytes(9_000_000), "no batch has more"),
    ):
        with pytest.raises(BatchError, match=reason) as caught:
            Batch.read(data)
        assert caught.value.exit_status == 6
        with pytest.raises((ValueError, KeyError)):
            PLAIN.batch(data)
    for wanted in ({"school": 7}, {"key": bytes(32)}):
        with pytest.raises(BatchRefusedError):
            Batch.read(batch.data).check(**wanted)
    with pytest.raises(BatchError, match="does not follow"):
        make_batch(records[::2], SigningKey.make())
    with pytest.raises(UsageError, match="not all there"):
        ledger.streams().records(stream.terminal, stream.epoch, 1, 10**6)


def test_every_record_can_be_proved_and_nothing_else(ledger):
    keys, streams = KeyRing(SigningKey.make()), ledger.streams()
    public = keys.current.public
    records = ledger.records()
    for record in records[::7]:
        proof = ledger.prove(RecordKey.of(record), keys)
        text = json.dumps(proof.to_json())
        found, header = Proof.read(text).check(public)
        assert found == record
        assert header.school == 51_001
        assert PLAIN.proof_of(text, public)["pupil"] == int(record["pupil"])
    other = json.loads(text) | {"record": records[-2].tobytes().hex()}
    longer = json.loads(text) | {"path": [*json.loads(text)["path"], "00" * 32]}
    for told in (other, longer):
        with pytest.raises(BatchError, match="refused"):
            Proof.read(json.dumps(told)).check(public)
        with pytest.raises(ValueError, match=r"batch|path"):
            PLAIN.proof_of(json.dumps(told), public)
    with pytest.raises(BatchRefusedError):
        proof.check(bytes(32))
    for nonsense in (
        "",
        "[]",
        "{}",
        "nan",
        '{"format": "x"}',
        "[" * 5000,
        text.replace('"path"', '"way"'),
        "x" * 20_000,
    ):
        with pytest.raises(BatchError):
            Proof.read(nonsense)
    key = RecordKey.of(records[-1])
    batch = next(one for one in batches_of(streams, keys) if (one.terminal, one.epoch) == (key.terminal, key.epoch))
    assert ledger.prove(key, batch=batch) == ledger.prove(key, keys)
    with pytest.raises(UsageError):
        ledger.prove(RecordKey(9, 9, 9), keys)
    with pytest.raises(BatchError, match="not in"):
        ledger.prove(RecordKey.of(records[0]), batch=batch)


def acknowledge(
    hub: SigningKey, ledger: Ledger, terminal: int, epoch: int, up_to: int, **other: Any
) -> Acknowledgement:
    records = ledger.streams().records(terminal, epoch, 1, up_to)
    totals = Totals.of(records)
    said = {
        "school": 51_001,
        "terminal": terminal,
        "epoch": epoch,
        "sequence": up_to,
        "meals": totals.meals,
        "reversals": totals.reversals,
        "sum": totals.sum,
        "head": hashlib.sha256(records[-1:].tobytes()).digest(),
        "time": 1_790_000_000_000_000,
    }
    return Acknowledgement.read(hub.acknowledge(**(said | other)))


def test_acknowledgements_are_held_against_the_ledger_and_kept(ledger):
    hub, streams = SigningKey.make(), ledger.streams()
    stream = list(streams)[2]
    kept = Acknowledgements(ledger.folder)
    told = acknowledge(hub, ledger, stream.terminal, stream.epoch, 7)
    assert PLAIN.CHECKS[".edack"](told.data, hub.public)["sequence"] == 7
    assert kept.take(told, streams, hub_key=hub.public)
    assert not kept.take(told, streams), "known"
    later = acknowledge(hub, ledger, stream.terminal, stream.epoch, stream.last)
    assert kept.take(later, streams)
    assert not kept.take(told, streams), "never back"
    assert kept.sequences() == {(stream.terminal, stream.epoch): stream.last}
    assert kept.of(stream.terminal, stream.epoch) == later
    verified = ledger.verify()
    assert verified.ok
    assert not verified.notes
    one = list(streams)[3]
    for other, reason in (
        ({"head": bytes(32)}, "fork"),
        ({"meals": 3}, "counts 3 meals"),
        ({"school": 7}, "school 7"),
        ({"sequence": 999}, "not here"),
    ):
        with pytest.raises(BatchRefusedError, match=reason):
            kept.take(acknowledge(hub, ledger, one.terminal, one.epoch, 5, **other), streams)
    with pytest.raises(BatchRefusedError, match="hub's key"):
        kept.take(acknowledge(SigningKey.make(), ledger, one.terminal, one.epoch, 5), streams, hub_key=hub.public)
    with pytest.raises(BatchError):
        Acknowledgement.read(later.data[:-1])
    path = ledger.folder / later.name
    path.write_bytes(bytes(184))
    with pytest.raises(BatchError, match=later.name):
        kept.of(stream.terminal, stream.epoch)


def test_keys_are_made_once_kept_secret_and_changed_on_the_record(tmp_path):
    keys = KeyRing.load_or_make(tmp_path)
    secret = tmp_path / SECRET_NAME
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert KeyRing.load_or_make(tmp_path).current.public == keys.current.public
    assert read_public_key(str(tmp_path / "meals.pub")) == keys.current.public
    assert read_public_key(keys.current.public.hex()) == keys.current.public
    assert secret.read_text().splitlines()[1] not in repr(keys.current) + str(vars(keys))
    with Ledger.open(tmp_path / "ledger", school=1) as ledger:
        serve(ledger, range(3))
        rotated = keys.rotate(ledger, tmp_path)
        serve(ledger, range(3, 6))
        assert rotated.previous is not None
        assert rotated.previous.public == keys.current.public
        kept = tmp_path / f"{BEFORE_PREFIX}{rotated.current.fingerprint}"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        own, other = batches_of(ledger.streams(), rotated)
        after = {(1, ledger.epoch): other.last - 6}
        later = list(batches_of(ledger.streams(), rotated, after=after))[-1]
    assert (own.terminal, own.key) == (0, keys.current.public), "who trusts the old key learns the new one by it"
    (change,) = own.records[own.records["kind"] == Kind.KEY_CHANGE]
    told = int(change["pupil"]).to_bytes(8, "little") + int(change["card"]).to_bytes(8, "little")
    assert told.hex() == rotated.current.fingerprint
    assert (other.terminal, other.key) == (1, keys.current.public), "it begins before the change"
    assert (later.terminal, later.count, later.key) == (1, 6, rotated.current.public)
    secret.chmod(0o640)
    with pytest.raises(BatchRefusedError, match="read by others"):
        KeyRing.load(tmp_path)
    secret.chmod(0o600)
    secret.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(BatchError, match="no Ed25519"):
        KeyRing.load(tmp_path)
    with pytest.raises(BatchError, match="there is no key"):
        KeyRing.load(tmp_path / "ledger")
    for strange in ("zz" * 32, str(secret), "nowhere"):
        with pytest.raises(UsageError):
            read_public_key(strange)


def test_keys_are_what_openssl_writes(tmp_path):
    from cryptography.hazmat.primitives import serialization

    keys = KeyRing.load_or_make(tmp_path)
    secret = serialization.load_pem_private_key((tmp_path / SECRET_NAME).read_bytes(), None)
    raw = secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert raw == keys.current.public
    serialization.load_pem_public_key((tmp_path / "meals.pub").read_bytes())


def test_the_vectors_of_the_page():
    text = PAGE.read_text("utf-8")
    batch, told = (bytes.fromhex(found) for found in re.findall(r"```text\n((?:[0-9a-f]{2}[ \n])+)```", text))
    box, hub = SigningKey(bytes(range(32))), SigningKey(bytes(range(32, 64)))
    read = Batch.read(batch).check(school=51_001, key=box.public)
    assert make_batch(read.records, box).data == batch
    assert (read.first, read.meals, read.sum) == (17, 1, 45_000)
    assert all(one in text for one in (box.public.hex(), box.fingerprint, read.root.hex()))
    assert len(PLAIN.batch(batch, box.public)) == 2
    found = Acknowledgement.read(told)
    assert (found.key, found.sequence, found.head) == (
        hub.public,
        18,
        hashlib.sha256(read.records[1:].tobytes()).digest(),
    )
    assert PLAIN.CHECKS[".edack"](told, hub.public)["sum"] == 45_000
    leaf = hashlib.sha256(b"\0" + read.records[1:].tobytes()).hexdigest()
    assert f"`{leaf}`" in text


def test_the_plain_verifier_is_short_and_finds_damage(ledger, tmp_path, capsys):
    assert len((ROOT / "docs/examples/plain_verifier.py").read_text("utf-8").splitlines()) < 200
    assert PLAIN.main([str(ledger.folder)]) == 0
    segment = sorted(ledger.folder.glob("*.seg"))[1]
    raw = bytearray(segment.read_bytes())
    raw[300] ^= 4
    segment.write_bytes(raw)
    assert PLAIN.main([str(ledger.folder)]) == 1
    assert "record 66" in capsys.readouterr().out
    segment.unlink()
    assert PLAIN.main([str(ledger.folder)]) == 1
