"""A virtual school raised as a person raises it: its site file is valid, its devices answer, its truth is complete."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edusense.devices import Card, open_reader
from edusense.errors import UsageError
from edusense.meals import Ledger, Roster, Slot, Terminal
from edusense.sim.canteen import taps
from edusense.sim.pupils import COLUMNS, draw_pupils, roster_csv
from edusense.sim.school import VirtualSchool
from edusense.sim.script import MAX_SHARE, MIN_SHARE, QUIET_S
from edusense.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_school_from_beginning_to_end(folder: Path) -> None:
    import av

    begun = time.monotonic()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edusense",
            "sim",
            "school",
            str(folder),
            "--cameras",
            "4",
            "--seconds",
            "15",
            "--quiet",
            "2",
            "--seed",
            "7",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        rows: list[dict[str, Any]] = []
        while not rows or rows[-1]["kind"] != "school":
            rows.append(json.loads(process.stdout.readline()))
        assert time.monotonic() - begun < 20
        assert Counter(row["kind"] for row in rows) == {"camera": 4, "reader": 2, "school": 1}
        site = Site.load(rows[-1]["site"])
        assert [camera.id for camera in site.cameras] == [row["id"] for row in rows[:4]]
        assert {camera.address is None for camera in site.cameras} == {True, False}
        assert any(camera.watch == "sub" and camera.keep == "main" for camera in site.cameras if camera.address)
        assert [terminal.reader for terminal in site.terminals] == ["canteen-left", "canteen-right"]
        secret = folder / "secrets" / "cameras.secret"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        password = site.credentials["cameras"].secret()
        roster = (folder / "roster.csv").read_text(encoding="utf-8").splitlines()
        assert roster[0] == ",".join(COLUMNS)
        assert len(roster) == 61
        url = next(camera.url for camera in site.cameras if camera.url)
        with av.open(
            url.replace("//", f"//edusense:{password}@"), options={"rtsp_transport": "tcp"}, timeout=10
        ) as stream:
            assert next(stream.decode(video=0)).width in {480, 640}
        with open_reader(site.readers[0].address) as left:
            card = None
            while card is None and not (folder / "ended").exists():
                card = left.read(timeout=0.5)
            assert card is not None
        deadline = time.monotonic() + 30
        while not (folder / "ended").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close() if process.stdout else None
    staged = rows_of(folder / "staged.jsonl")
    kinds = Counter(row["kind"] for row in staged)
    assert kinds["motion"] >= 2
    assert kinds["tap"] >= 3
    begin, ids = rows[-1]["epoch_s"], {camera.id for camera in site.cameras}
    for row in staged:
        if row["kind"] != "motion":
            continue
        assert row["camera"] in ids
        assert MIN_SHARE <= row["share"] <= MAX_SHARE
        assert begin + 2 <= row["start_s"] < row["end_s"] <= begin + 15
        x, y, w, h = row["box"]
        assert 0 <= x < x + w <= row["picture"][0]
        assert 0 <= y < y + h <= row["picture"][1]
    for camera in ids:
        mine = sorted((row["start_s"], row["end_s"]) for row in staged if row.get("camera") == camera)
        assert all(b[0] - a[1] >= QUIET_S - 0.2 for a, b in itertools.pairwise(mine))
    seen = [row for row in staged if row["kind"] == "tap" and row["terminal"] == "canteen-left"]
    assert str(card) in {row["card"] for row in seen}


def test_the_same_seed_stages_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    stories = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("s")
        with VirtualSchool(folder, cameras=3, seconds=10, seed=11, quiet=1, onvif=False) as school:
            # Time is an argument: the script is run through by asking for its end at once.
            end = time.monotonic() + 25
            while not school.ended and time.monotonic() < end:
                school.step(time.time())
                time.sleep(0.02)
            epoch = school.epoch
        rows = rows_of(folder / "staged.jsonl")
        stories.append(
            sorted(
                (
                    row["kind"],
                    row.get("camera", row.get("terminal")),
                    row.get("what", row.get("expected")),
                    row.get("card"),
                    round(row["start_s"] - epoch, 2) if "start_s" in row else None,
                    row.get("share"),
                )
                for row in rows
            )
        )
    assert stories[0] == stories[1]
    assert len(stories[0]) >= 5


def test_it_spares_the_data_of_another_school(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "ledger").touch()
    with pytest.raises(UsageError, match="earlier school"):
        VirtualSchool(folder, cameras=1).start()
    for wrong in ({"cameras": 999}, {"seconds": 10, "quiet": 10}, {"seconds": -1}):
        with pytest.raises(UsageError):
            VirtualSchool(folder, **wrong)


def test_a_long_folder_still_has_its_readers(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    with VirtualSchool(long, cameras=0, seconds=5, quiet=1) as school:
        rows = list(school.rows())
        assert [row["kind"] for row in rows] == ["reader", "reader", "school"]
        with open_reader(rows[1]["url"]) as reader:
            assert reader.read(timeout=0.1) is None
        socket = Path(rows[1]["port"].removeprefix("sim:"))
        assert len(str(socket)) < 100
    assert not socket.exists()


@pytest.fixture(scope="module")
def story() -> Iterator[Any]:
    rng = np.random.default_rng(1)
    pupils = draw_pupils(60, rng)
    return pupils, list(taps(pupils, ["em4100", "iso14443a"], seed=1, begin_s=5, end_s=120))


def test_sixty_pupils_with_cards_of_both_kinds(story: Any) -> None:
    pupils, _ = story
    cards = [card for pupil in pupils for card in pupil.cards]
    assert len(cards) == len(set(cards))
    assert {card.technology for card in cards} == {"em4100", "iso14443a"}
    assert {len(card.uid) for card in cards} == {4, 5, 7}
    assert all(Card.parse(str(card)) == card for card in cards)
    assert {pupil.refusal for pupil in pupils} == {None, "no-consent", "not-on-list"}
    assert all(pupil.cards for pupil in pupils)


def test_what_the_terminals_must_say(story: Any) -> None:
    pupils, script = story
    owner = {card: pupil for pupil in pupils for card in pupil.cards}
    served: dict[int, float] = {}
    for before, tap in zip([None, *script], script, strict=False):
        assert before is None or tap.after_s - before.after_s >= 0.9
        pupil = owner.get(tap.card)
        assert tap.card.technology == ["em4100", "iso14443a"][tap.terminal]
        if pupil is None:
            assert (tap.expected, tap.pupil) == ("unknown-card", None)
        elif pupil.refusal:
            assert tap.expected == pupil.refusal
        elif pupil.number in served:
            assert tap.expected == "already-served"
            assert tap.after_s - served[pupil.number] > 4
        else:
            assert tap.expected == "granted"
        if pupil is not None:
            served[pupil.number] = tap.after_s
    assert {tap.expected for tap in script} == {
        "granted",
        "already-served",
        "unknown-card",
        "no-consent",
        "not-on-list",
    }


def test_a_new_day_begins_at_midnight(story: Any) -> None:
    pupils, _ = story
    script = list(taps(pupils, ["em4100"], seed=2, begin_s=0, end_s=400, midnight_s=200))
    assert not [tap for tap in script if 197 <= tap.after_s < 201]
    days = [
        [tap.pupil for tap in script if tap.expected == "granted" and (tap.after_s > 200) == late]
        for late in (False, True)
    ]
    assert set(days[0]) & set(days[1])
    assert all(len(day) == len(set(day)) for day in days)


def test_virtual_cameras_by_the_dozen_end_with_zero() -> None:
    environment = {**os.environ, "CAMERA_SECRET": "hunter2"}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edusense",
            "sim",
            "camera",
            "--count",
            "3",
            "--width",
            "320",
            "--fps",
            "10",
            "--seconds",
            "4",
            "--password-from",
            "env:CAMERA_SECRET",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    assert [set(row) for row in rows] == [{"kind", "id", "url", "onvif", "rtsp", "port", "user", "password_ref"}] * 3
    assert {row["password_ref"] for row in rows} == {"env:CAMERA_SECRET"}
    assert len({row["port"] for row in rows}) == 3


@pytest.mark.parametrize(
    "extra",
    [["--scene", "moon"], ["--fault", "x"], ["--password-from", "hunter2"], ["--width", "7"], ["--seconds", "-1"]],
)
def test_wrong_words_are_usage_errors(extra: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "sim", "camera", *extra], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "hint:" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("words", [["reader", "rdm6300", "--path"], ["reader", "ccid", "--socket"], ["school"]])
def test_a_place_that_cannot_be_is_told_and_no_bug(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "sim", *words, "/proc/none/here"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_real_terminal_agrees_with_the_script(story: Any, folder: Path) -> None:
    pupils, script = story
    noon = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=5)))
    (folder / "roster.csv").write_text(roster_csv(pupils, noon.date()), encoding="utf-8")
    roster = Roster.load(folder / "roster.csv")
    lunch = Slot("lunch", datetime.time(0, 0), datetime.time(23, 59, 59), 45_000)
    with Ledger.open(folder / "ledger", school=51001) as ledger:
        terminals = [
            Terminal(id=f"t{number}", number=number, ledger=ledger, roster=roster, slots=[lunch]) for number in (1, 2)
        ]
        for tap in script:
            verdict = terminals[tap.terminal].tap(tap.card, noon.timestamp() + tap.after_s)
            assert (verdict.reason or "granted") == tap.expected, tap
            assert tap.pupil is None or verdict.pupil == tap.pupil
