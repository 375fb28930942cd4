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


def test_where_no_hub_is():
    done = edusense("meals", "check-hub", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "is the hub there?" in done.stderr


def test_open_to_others_without_tls():
    done = edusense("sim", "hub", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "only with TLS and a token" in done.stderr
