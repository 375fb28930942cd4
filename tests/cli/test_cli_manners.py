"""The manners of the command line: what is imported, what is said where, and what `$?` is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("numpy", "av", "pydantic", "zeep", "onnxruntime", "rich")


def edusense(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", *arguments],
        cwd=cwd,
        env={**os.environ, "EDUSENSE_SITE": "", **environment}
        if "EDUSENSE_SITE" not in environment
        else {**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def modules_after(code: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(told.stderr.split())


def called(*arguments: str) -> str:
    """Code that calls the command line and goes on."""
    argv = ["edusense", *arguments]
    return f"sys.argv = {argv}\nfrom edusense.cli.main import main\ntry: main()\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    "code",
    [
        "import edusense",
        "import edusense.errors",
        "import edusense.cli.main",
        "import edusense.cli.group",
        called("--help"),
        called("--version"),
        called("camra"),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str):
    loaded = modules_after(code)
    assert "sys" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_help_does_not_even_import_click_and_is_the_same_with_it():
    assert "click" not in modules_after(called("--help"))
    plain = edusense("--help")
    assert plain.returncode == 0
    assert not plain.stderr
    by_click = edusense("--help", "--version")  # click decides which of two eager options comes first
    assert by_click.returncode == 0
    from click.testing import CliRunner

    from edusense.cli.group import edusense as group

    assert CliRunner().invoke(group, ["--help"]).output == plain.stdout


def test_version():
    import edusense as package

    told = edusense("--version")
    assert (told.returncode, told.stdout) == (0, f"edusense {package.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["camra"], "there is no command `edusense camra`", "perhaps `edusense camera`"),
        (["site", "chek"], "there is no command `edusense site chek`", "perhaps `edusense site check`"),
        (["site", "zzz"], "there is no command `edusense site zzz`", "check, new, schema, show"),
        (["site", "check", "--jsn"], "there is no option `--jsn`", "perhaps `--json`"),
        (["--bogus"], "there is no option `--bogus`", "edusense --help"),
        (["site", "new", "--rooms", "many"], "'many' is not a valid integer range", "edusense site new --help"),
        (["completion"], "missing argument", "edusense completion --help"),
    ],
)
def test_a_wrong_call_is_status_2_with_what_was_meant(arguments: list[str], said: str, hint: str):
    told = edusense(*arguments)
    assert told.returncode == 2
    assert not told.stdout
    error, _, rest = told.stderr.partition("\n\nhint: ")
    assert error.startswith("error: ")
    assert said in error
    assert hint in rest


@pytest.mark.parametrize(
    "url", ["rtsp://admin:hunter2@10.20.0.51/x", "rtsp://10.20.0.51:554/user=admin&password=hunter2&channel=1"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str):
    told = edusense("camera", "show", url)
    assert told.returncode == 2
    assert "--password-from" in told.stderr
    assert "hunter2" not in told.stderr


def test_the_rooms_are_there_without_importing_them_one_by_one():
    code = "import edusense; edusense.devices.Card; edusense.errors.SiteError; print(edusense.video.find_events)"
    assert (
        "function find_events"
        in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    )


def test_no_command_shows_help_and_is_status_2():
    told = edusense()
    assert told.returncode == 2
    assert "Commands:" in told.stdout + told.stderr


def test_an_error_with_json_is_one_object_on_stderr():
    for arguments, code, status in [
        (["site", "show", "none.toml", "--json"], "site-file", 3),
        (["doctr", "--json"], "usage", 2),
        (["site", "check", "--json", "--bogus"], "usage", 2),
    ]:
        told = edusense(*arguments)
        assert told.returncode == status
        assert not told.stdout
        row = json.loads(told.stderr)
        assert row["error"] == code
        assert row["message"]
        assert row["hint"]


def test_a_json_that_belongs_to_another_command_is_not_ours(tmp_path: Path):
    told = edusense("site", "show", "none.toml", "--", "--json", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr.startswith("error: ")


def test_no_colour_in_pipes():
    assert "\x1b" not in edusense("site", "check", "none.toml").stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path):
    edusense("site", "new", "--rooms", "500", cwd=tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "edusense", "site", "check"],
        cwd=tmp_path,
        env={**os.environ, "EDUSENSE_SITE": "school.toml"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def _opened_by_a_reader(path: Path) -> int:
    """The writing end of a pipe, as soon as somebody reads from it."""
    until = time.monotonic() + 30
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody yet
            assert time.monotonic() < until
            time.sleep(0.02)


def test_ctrl_c_is_130_and_one_word(tmp_path: Path):
    # A pipe that nobody writes into keeps the command reading until it is interrupted.
    os.mkfifo(tmp_path / "school.toml")
    process = subprocess.Popen(
        [sys.executable, "-m", "edusense", "site", "check", "school.toml"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    writer = _opened_by_a_reader(tmp_path / "school.toml")
    # The first press may fall into the moment before the handler stands; a person presses again.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
    _, said = process.communicate(timeout=30)
    os.close(writer)
    assert process.returncode == 130
    assert said.strip() == "interrupted"


def test_a_bug_keeps_its_traceback_and_is_70():
    code = (
        "import sys; sys.argv = ['edusense', 'site', 'check']\n"
        "import edusense.cli.site as site\n"
        "def broken(*a, **k): raise ZeroDivisionError('seventy')\n"
        "site.check.callback = broken\n"
        "from edusense.cli.main import main; main()"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 70
    assert "Traceback" in told.stderr
    assert "a bug in edusense: ZeroDivisionError: seventy" in told.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str):
    told = edusense("completion", shell)
    assert told.returncode == 0
    assert "_EDUSENSE_COMPLETE" in told.stdout


def test_bash_completes_commands_sub_commands_and_options():
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        code = "import sys; sys.argv = ['edusense']\nfrom edusense.cli.main import main; main()"
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "_EDUSENSE_COMPLETE": "bash_complete",
                "COMP_WORDS": line,
                "COMP_CWORD": str(len(words) - 1),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return [entry.partition(",")[2] for entry in told.stdout.split()]

    assert complete("edusense s") == ["status", "site", "sim"]
    assert complete("edusense site ") == ["check", "new", "schema", "show"]
    assert "--json" in complete("edusense doctor --")


def test_the_script_for_bash_is_bash(tmp_path: Path):
    script = tmp_path / "edusense"
    script.write_text(edusense("completion", "bash").stdout)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_a_full_disk_below_the_output_is_no_bug():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edusense", "site", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 7
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
