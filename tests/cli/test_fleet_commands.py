"""`edusense camera plan · apply · audit · set-time · reboot`; the guide's page about them, whose commands are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edusense.cli.schemas import validate
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

PAGE = Path(__file__).resolve().parents[2] / "docs/guide/setting-cameras.md"
MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main", gop=100)
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=24)
SITE = """
[site]
id = "school-51"
number = 51001
data = "data"
[credentials.cameras]
user = "edusense"
password = "file:cameras.secret"
"""
CAMERA = """
[[rooms]]
id = "{room}"
kind = "classroom"
[[cameras]]
id = "{room}-front"
room = "{room}"
address = "127.0.0.1:{port}"
credentials = "cameras"
template = "generic/onvif-t"
"""


@pytest.fixture
def school(tmp_path):
    """A site of two cameras, of which the second says yes to everything and does nothing."""
    faults = {"205": [], "206": ["ignores-sets"]}
    servers = [
        OnvifServer(
            Identity(name="IPCAM", mac=f"02:ed:00:00:03:{index:02x}"),
            [MAIN, SUB],
            "edusense",
            "s3cret-x",
            faults=given,
            reboot_s=1.0,
        ).start()
        for index, given in enumerate(faults.values())
    ]
    secret = tmp_path / "cameras.secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret-x\n")
    (tmp_path / "school.toml").write_text(
        SITE + "".join(CAMERA.format(room=room, port=one.port) for room, one in zip(faults, servers, strict=True))
    )
    yield tmp_path, servers
    for one in servers:
        one.close()


def run(folder, command):
    environment = {key: value for key, value in os.environ.items() if key != "EDUSENSE_SITE"}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def camera(folder, words):
    done = run(folder, f"edusense camera {words}")
    assert "Traceback" not in done.stderr
    assert "s3cret-x" not in done.stdout + done.stderr
    return done


def told(done, command):
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for row in found:
        validate(command, row)
    return found


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq")
def test_the_guide_s_commands_work_and_print_what_it_shows(school):
    folder, _ = school
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = run(folder, command)
            printed = "\n".join(part.strip("\n") for part in (done.stdout, done.stderr) if part.strip())
            pattern = "".join(".*?" if part == "…" else re.escape(part) for part in re.split("(…)", _plain(shown)))
            assert re.fullmatch(pattern, _plain(printed), re.DOTALL), f"$ {command}\n{printed}"


def _plain(text: str) -> str:
    """Columns are as wide as their widest cell: how wide is not what a page shows."""
    return "\n".join(re.sub(r" +", " ", line).strip() for line in text.strip().splitlines())


def test_rows_fit_their_schemas_and_exit_statuses_say_what_was_found(school):
    folder, servers = school
    plan = camera(folder, "plan --json --out plan.json")
    assert plan.returncode == 1
    rows = told(plan, "camera plan")
    assert {row["action"] for row in rows} >= {"keep", "change", "unknown", "skip"}
    assert [server.state.sets for server in servers] == [[], []]
    servers[1].set_faults(["refuses-sets"])
    applied = camera(folder, "apply --plan plan.json --yes --json")
    assert applied.returncode == 1
    assert {row["outcome"] for row in told(applied, "camera apply")} == {"changed", "refused"}
    assert camera(folder, "apply --limit '205-*' --yes").returncode == 0  # nothing to do
    audited = camera(folder, "audit --json")
    assert [row["state"] for row in told(audited, "camera audit")] == ["as-planned", "drifted"]
    assert audited.returncode == 1
    assert camera(folder, "audit --limit '205-*'").returncode == 0
    assert camera(folder, "plan --limit '205-*'").returncode == 0
    servers[1].set_faults(["wrong-clock"])
    clocks = camera(folder, "set-time '*' --yes --json")
    assert [row["outcome"] for row in told(clocks, "camera set-time")] == ["unchanged", "changed"]
    assert clocks.returncode == 0
    servers[1].set_faults(["silent"])
    restarted = camera(folder, "reboot 205-front --yes --json")
    assert [row["state"] for row in told(restarted, "camera reboot")] == ["back"]
    problem = camera(folder, "plan --json --timeout 1 --limit '206-*'")
    assert (problem.returncode, told(problem, "camera plan")[0]["action"]) == (1, "problem")


def test_broken_off_it_says_how_far_it_came_and_goes_on(school):
    folder, (first, second) = school
    second.set_faults(["slow"])
    process = subprocess.Popen(
        [sys.executable, "-m", "edusense", "camera", "apply", "--yes", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "SetHostname" not in first.state.sets or not second.state.sets:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "broken off: " in errors
    assert "206-front" in errors
    assert "goes on from here" in errors
    second.set_faults([])
    done = run(folder, "edusense camera apply --yes --json")
    assert done.returncode == 0
    assert run(folder, "edusense camera audit").returncode == 0


def test_nothing_is_changed_without_a_yes(school):
    folder, servers = school
    for words in ("apply", "apply --json", "set-time '*'", "reboot '*'"):
        done = camera(folder, words)
        assert (done.returncode, "--yes" in done.stderr) == (2, True), words
    assert [server.state.sets for server in servers] == [[], []]


def test_mistakes_are_named(school):
    folder, _ = school
    nobody = camera(folder, "plan --limit '300-*'")
    assert (nobody.returncode, "camera list" in nobody.stderr) == (2, True)
    assert camera(folder, "set-time 300-front --yes").returncode == 2
    (folder / "plan.json").write_text("{}")
    wrong = camera(folder, "apply --plan plan.json --yes")
    assert (wrong.returncode, "is no plan" in wrong.stderr) == (2, True)
    text = (folder / "school.toml").read_text()
    (folder / "school.toml").write_text(text.replace("generic/onvif-t", "generic/onvif-x", 1))
    template = camera(folder, "audit")
    assert (template.returncode, "perhaps `generic/onvif-t`" in template.stderr) == (3, True)


def test_without_rights_to_the_data_folder_nothing_is_set(school):
    folder, servers = school
    (folder / "data").write_text("in the way")
    done = camera(folder, "apply --yes")
    assert (done.returncode, "--journal DIR" in done.stderr) == (2, True)
    assert [server.state.sets for server in servers] == [[], []]
