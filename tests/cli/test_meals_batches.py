"""`edusense meals batches|key|prove|check-proof` as an auditor and somebody with a USB stick call them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edusense.cli.main import main
from edusense.cli.schemas import validate
from edusense.meals import Ledger, SigningKey, Totals

SITE = """[site]
id = "school-51"
number = 51001
data = "data"
"""


Told = tuple[str, str]


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "school.toml").write_text(SITE)
    with Ledger.open(tmp_path / "data" / "ledger", school=51_001) as ledger:
        rows = Ledger.blank(40)
        rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, range(40), 20261005, b"lunch"
        rows["price"] = 450
        ledger.append(rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """Calls a command in this process: stdout and stderr, if it ends as it should."""

    def called(*arguments: str, status: int = 0) -> Told:
        monkeypatch.setattr(sys, "argv", ["edusense", "meals", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == status, told
        return told.out, told.err

    return called


@pytest.fixture
def lines(run: Callable[..., Told]) -> Callable[..., list[dict[str, object]]]:
    """The rows of a command, held against their schema."""

    def called(command: str, *arguments: str, status: int = 0) -> list[dict[str, object]]:
        out, _ = run(*command.split(), *arguments, "--json", status=status)
        found = [json.loads(line) for line in out.splitlines()]
        for line in found:
            validate(f"meals {command}", line)
        return found

    return called


def test_a_stick_goes_to_the_city_and_comes_back(school, run, lines):
    assert "meals key new" in run("batches", "export", "--out", "stick", status=6)[1]
    (key,) = lines("key new")
    assert lines("key show") == [key]
    (one, other) = lines("batches export", "--out", "stick", "--size", "64")
    assert (one["terminal"], other["terminal"], other["meals"], other["sum_tiyn"]) == (0, 1, 40, 18_000)
    before = {path.name: path.read_bytes() for path in (school / "stick").iterdir()}
    lines("batches export", "--out", "stick", "--size", "64")
    assert {path.name: path.read_bytes() for path in (school / "stick").iterdir()} == before
    assert {line["outcome"] for line in lines("batches import", "stick")} == {"same"}
    hub = SigningKey.make()
    ledger = Ledger.open(school / "data" / "ledger", read_only=True)
    stream = list(ledger.streams())[1]
    records = ledger.streams().records(1, stream.epoch, 1, 41)
    totals = Totals.of(records)
    said = hub.acknowledge(
        school=51_001,
        terminal=1,
        epoch=stream.epoch,
        sequence=41,
        meals=totals.meals,
        reversals=0,
        sum=totals.sum,
        head=hashlib.sha256(records[-1:].tobytes()).digest(),
        time=1_790_000_000_000_000,
    )
    (school / "stick" / "1.edack").write_bytes(said)
    (school / "stick" / "2.edack").write_bytes(said[:100])
    found = lines("batches import", "stick", "--hub-key", hub.public.hex(), status=1)
    assert [line["outcome"] for line in found] == ["kept", "refused", "same", "same"]
    listed = lines("batches list")
    assert [(line["terminal"], line["last"], line["acknowledged"]) for line in listed] == [(0, 1, 0), (1, 41, 41)]
    (only,) = lines("batches export", "--out", "stick")
    assert only["terminal"] == 0


def test_one_childs_meal_is_proved_without_any_others(school, run, lines):
    (key,) = lines("key new")
    folder = str(school / "data" / "ledger")
    row = json.loads(run("export", "--format", "json")[0].splitlines()[7])
    (proof,) = lines("prove", folder, row["record"], "--out", "proof.json")
    assert proof["steps"] == 6
    (proven,) = lines("check-proof", "proof.json", "--key", str(school / "data" / "meals.pub"))
    assert (proven["holds"], proven["pupil"], proven["record"], proven["day"]) == (True, 7, row["record"], "2026-10-05")
    plain = Path(__file__).resolve().parents[2] / "docs/examples/plain_verifier.py"
    checked = subprocess.run(
        [sys.executable, str(plain), "proof.json", folder, "--key", str(key["key"])],
        cwd=school,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (not_ours,) = lines("check-proof", "proof.json", "--key", "00" * 32, status=1)
    assert not_ours["holds"] is False
    (school / "proof.json").write_text("{}")
    run("check-proof", "proof.json", "--key", str(key["key"]), status=6)
    run("check-proof", "proof.json", "--key", "nobody", status=2)
    run("prove", folder, "1/2/3", "--out", "x", status=2)


def test_a_key_is_changed_on_the_record(school, run, lines):
    (before,) = lines("key new")
    (after,) = lines("key rotate")
    assert before["key"] != after["key"]
    with Ledger.open(school / "data" / "ledger", school=51_001):
        assert "is being written" in run("key", "rotate", status=5)[1]
    kinds = Ledger.open(school / "data" / "ledger", read_only=True).records()["kind"].tolist()
    assert kinds.count(7) == 1
