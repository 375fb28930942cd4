"""Peers come into an environment of their own, and never before what edusense has itself."""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from edusense.bench import peers
from edusense.bench.peers import Peer
from edusense.bench.registry import CASES
from edusense.cli.bench_peers import peers as command
from edusense.cli.schemas import validate
from edusense.errors import BenchError, BenchPlanError

TINY = Peer("tiny", "nothing at all", "edusense-tiny-peer", "edusense-tiny-peer==1.2")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that holds one package, and a folder for peers."""
    place = tmp_path / "index"
    place.mkdir()
    about = "edusense_tiny_peer-1.2.dist-info"
    with zipfile.ZipFile(place / "edusense_tiny_peer-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("edusense_tiny_peer.py", "WORTH = 7\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: edusense-tiny-peer\nVersion: 1.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setattr(peers, "PEERS", (TINY, *peers.PEERS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return place


def test_cases_name_peers_that_there_are():
    for case in CASES:
        for name in case.peers:
            assert peers.find(name).what


def test_a_peer_is_installed_apart_and_is_there_for_cases(index, tmp_path):
    (found,) = [one for one in peers.look() if one.peer is TINY]
    assert found.where is None
    done = CliRunner().invoke(command, ["install", "tiny", "--json"], standalone_mode=False)
    assert done.return_value == 0, done.output
    row = json.loads(done.stdout)
    validate("bench peers install", row)
    assert (row["peer"], row["where"], row["version"]) == ("tiny", "peers", "1.2")
    assert str(tmp_path / "share" / "edusense" / "peers") in done.stderr
    with pytest.raises(ImportError):
        importlib.import_module("edusense_tiny_peer")
    before = list(sys.path)
    peers.enter()
    peers.enter()
    assert sys.path[:-1] == before
    try:
        assert importlib.import_module("edusense_tiny_peer").WORTH == 7
    finally:
        sys.modules.pop("edusense_tiny_peer", None)
    # Again, there is nothing to do.
    (index / "edusense_tiny_peer-1.2-py3-none-any.whl").unlink()
    assert [one.where for one in peers.install(["tiny"])] == ["peers"]


def test_what_cannot_be_installed_is_told(index):
    (index / "edusense_tiny_peer-1.2-py3-none-any.whl").unlink()
    with pytest.raises(BenchError, match="tiny cannot be installed: No matching distribution") as caught:
        peers.install(["tiny"])
    assert "package index" in (caught.value.hint or "")


def test_a_folder_that_cannot_be_is_told(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="environment for peers cannot be made"):
        peers.install(["tiny"])


def test_unknown_peers_are_named_with_the_nearest():
    with pytest.raises(BenchPlanError, match="there is no peer `opencw`") as caught:
        peers.find("opencw")
    assert caught.value.hint == "perhaps `opencv`"


def test_the_list_says_what_is_here():
    done = CliRunner().invoke(command, ["list", "--json"])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        validate("bench peers list", row)
    assert {row["peer"] for row in rows} == {peer.name for peer in peers.PEERS}
