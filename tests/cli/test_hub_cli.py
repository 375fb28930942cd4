"""`edusense sim hub` and `edusense meals check-hub`: as somebody who writes a hub of his own would use them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from edusense.cli.schemas import validate


def edusense(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edusense", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)


def test_a_virtual_hub_is_checked_and_ends_well(tmp_path: Path):
    command = [sys.executable, "-m", "edusense", "sim", "hub", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as hub:
        try:
            told = json.loads(hub.stdout.readline())
            validate("sim hub", told)
            some = ("says-who-it-is", "takes-a-batch-and-signs-for-it", "pays-one-child-once")
            done = edusense("meals", "check-hub", told["url"], "--json", *(f"--only={name}" for name in some))
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            for row in rows:
                validate("meals check-hub", row)
            assert [row for row in rows if not row["ok"]] == []
            assert [row["check"] for row in rows] == list(some)
            assert done.returncode == 0
            key = tmp_path / "another.pem"
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
            done = edusense("meals", "check-hub", told["url"], "--key", str(key), "--only", "refuses-a-gap")
            assert done.returncode == 1
            assert "FAILED refuses-a-gap" in done.stdout
            assert "other-key" in done.stdout
        finally:
            hub.send_signal(signal.SIGTERM)
        assert hub.wait(20) == 0


def test_somebody_closes_a_case_and_no_box_may(tmp_path: Path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edusense.meals.hub_contract import HubRig

    (tmp_path / "box.token").write_text("of a box\n")
    (tmp_path / "operators.token").write_text("of the operators\n")
    for path in tmp_path.glob("*.token"):
        path.chmod(0o600)
    tokens = [f"file:{tmp_path / name}.token" for name in ("box", "operators")]
    command = [sys.executable, "-m", "edusense", "sim", "hub", "--data", str(tmp_path / "hub")]
    command += ["--token-from", tokens[0], "--operator-token-from", tokens[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as hub:
        try:
            url = json.loads(hub.stdout.readline())["url"]
            rig = HubRig(url, 51001, key=Ed25519PrivateKey.generate(), token="of a box")
            tape = rig.tape()
            tape.meal(rig.pupil())
            rig.taken(tape.batch(rig.key), tape, 3)
            anew = rig.tape()
            anew.terminal = tape.terminal
            anew.meal(rig.pupil())
            rig.taken(anew.batch(rig.key), anew, 3)
            cases = ("meals", "cases")
            done = edusense(*cases, "list", "--from", url, "--token-from", tokens[0], "--json")
            assert done.returncode == 1, done.stderr
            (case,) = [json.loads(line) for line in done.stdout.splitlines()]
            validate("meals cases list", case)
            assert (case["kind"], case["decision"]) == ("rolled-back", None)
            out = tmp_path / "evidence"
            number = str(case["case"])
            done = edusense(
                *cases, "evidence", number, "--out", str(out), "--from", url, "--token-from", tokens[0], "--json"
            )
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            for row in rows:
                validate("meals cases evidence", row)
            assert [row["holds"] for row in rows] == [True, True]
            assert len(list(out.iterdir())) == 2
            closing = (*cases, "close", number, "--decision", "count", "--by", "Серикова Дана", "--from", url, "--json")
            done = edusense(*closing, "--token-from", tokens[1])
            assert done.returncode == 2
            assert "the meals of the newer branch are paid" in done.stderr
            assert "nobody is here to say yes" in done.stderr
            done = edusense(*closing, "--yes", "--token-from", tokens[0])
            assert done.returncode != 0
            assert "the token of the hub's operators is wanted" in done.stderr
            done = edusense(*closing, "--yes", "--token-from", tokens[1], "--why", "new disk")
            assert done.returncode == 0, done.stderr
            row = json.loads(done.stdout)
            validate("meals cases close", row)
            assert (row["decision"], row["by"], row["why"]) == ("count", "Серикова Дана", "new disk")
            done = edusense(*cases, "list", "--from", url, "--token-from", tokens[0])
            assert (done.returncode, done.stdout) == (0, "")
            done = edusense(*cases, "list", "--all", "--from", url, "--token-from", tokens[0])
            assert "count (Серикова Дана)" in done.stdout
            done = edusense(
                *cases, "close", "99", "--decision", "count", "--by", "x", "--from", url, "--token-from", tokens[1]
            )
            assert done.returncode == 2
            assert "the hub has no case 99" in done.stderr
        finally:
            hub.send_signal(signal.SIGTERM)
        assert hub.wait(20) == 0


def test_where_no_hub_is():
    done = edusense("meals", "check-hub", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "is the hub there?" in done.stderr


def test_open_to_others_without_tls():
    done = edusense("sim", "hub", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "only with TLS and a token" in done.stderr
