"""What a box outlives: kill -9, an unplugged reader, a dead camera, a wrong password, a ledger that cannot be had."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time

import pytest

from edusense.errors import SiteError
from edusense.meals import Ledger


def test_kill_9_keeps_the_ledger_and_every_event(tiny_school):
    school = tiny_school
    process = school.start()
    box = school.connect()
    follower = box.events(since=0, follow=True, kinds=["tap"], reconnect=True)
    school.tap(0)
    first = next(follower)
    assert first["granted"]
    process.kill()
    process.wait(10)
    assert (school.folder / "data/box.sock").exists()  # nobody was left to remove it
    school.start()
    school.connect()
    school.tap(0)
    second = next(follower)
    assert second["reason"] == "already-served"
    assert second["record"] == first["record"]
    assert second["cursor"] > first["cursor"]
    # The follower went through the whole log: nothing is in it twice, and what it saw is what is there.
    assert school.events("tap") == [first, second]
    assert [row["state"] for row in school.events("box")] == ["started", "started"]
    assert school.stop() == 0
    follower.close()
    with Ledger.open(school.folder / "data/ledger", read_only=True) as ledger:
        assert ledger.verify().ok


def test_a_reader_is_unplugged_and_plugged_again(tiny_school):
    school = tiny_school
    school.start()
    school.connect()
    school.tap(0)
    school.until(lambda: school.events("tap"))
    school.reader.unplug()
    school.until(lambda: school.row("terminal", "left")["state"] == "reader-waiting")
    assert school.row("terminal", "left")["reason"]
    assert school.row("camera")["state"] in ("connecting", "playing", "waiting")
    school.reader.replug()
    school.until(lambda: school.row("terminal", "left")["state"] == "ready")
    school.tap(1)
    school.until(lambda: len(school.events("tap")) == 2)
    assert school.events("tap")[-1]["granted"]
    changes = [row["state"] for row in school.events("reader")]
    assert changes[0] == "connected"
    assert changes[-1] == "connected"
    assert "waiting" in changes


def test_a_camera_dies_and_comes_back(tiny_school):
    school = tiny_school
    school.start()
    school.until(lambda: school.row("camera")["state"] == "playing")
    school.camera.stop()
    row = school.until(lambda: (row := school.row("camera"))["state"] == "lost" and row)
    assert row["reason"]
    school.tap(0)
    school.until(lambda: school.events("tap"))
    school.camera.start()
    school.until(lambda: school.row("camera")["state"] == "playing")
    assert school.row("camera")["reconnects"] >= 1


def test_a_refused_camera_is_asked_again_when_the_secret_changes(tiny_school):
    school = tiny_school
    school.write_secret("wrong")
    school.start()
    row = school.until(lambda: (row := school.row("camera"))["state"] == "refused" and row)
    assert row["reason"]
    (told,) = [row for row in school.events("camera") if row["state"] == "refused"]
    assert (told["reason"], told["code"]) == (row["reason"], row["code"])
    time.sleep(2.0)
    assert school.row("camera")["state"] == "refused"
    school.write_secret(school.password)
    school.until(lambda: school.row("camera")["state"] == "playing")
    assert [row["state"] for row in school.events("box")][-1] == "reloaded"
    assert "wrong" not in school.said()
    assert school.password not in school.said()


def test_a_secret_that_is_missing_leaves_the_rest_alone(tiny_school):
    school = tiny_school
    school.secret.unlink()
    school.start()
    row = school.until(lambda: (row := school.row("camera"))["state"] == "refused" and row)
    assert "cameras.secret" in row["reason"]
    (told,) = [row for row in school.events("camera") if row["state"] == "refused"]
    assert "cameras.secret" in told["reason"]
    school.tap(0)
    school.until(lambda: school.events("tap"))
    school.write_secret(school.password)
    school.until(lambda: school.row("camera")["state"] == "playing")


def test_a_site_file_with_an_error_is_not_taken_over(tiny_school):
    school = tiny_school
    school.start()
    school.until(lambda: school.row("camera")["state"] == "playing")
    school.write_site(lambda text: text.replace('id = "left"\nnumber', 'id = "left"\nnumbr'))
    failed = school.until(lambda: [row for row in school.events("box") if row["state"] == "reload-failed"])
    assert "`numbr`" in failed[0]["reason"]
    assert "school.toml:" in failed[0]["reason"]
    assert school.row("terminal")["state"] == "ready"
    school.write_site(lambda text: text.replace("number = 51001", "number = 51002"))
    school.until(lambda: [row for row in school.events("box") if "51002" in str(row.get("reason"))])
    # A second terminal is begun, and the first one goes on.
    more = '[[terminals]]\nid = "right"\nnumber = 2\nroom = "canteen"\n\n[meals]'
    school.write_site(lambda text: text.replace("[meals]", more, 1))
    school.until(lambda: any(row.get("id") == "right" for row in school.connect().status()))
    assert school.connect().tap("right", school.cards[0])["granted"]
    school.tap(0)
    taps = school.until(lambda: len(school.events("tap")) == 2 and school.events("tap"))
    assert taps[1]["terminal"] == "left"
    assert taps[1]["reason"] == "already-served"
    assert "at terminal 2" in taps[1]["message"]


def test_a_roster_that_changes_is_read_again_and_a_wrong_one_is_not(tiny_school):
    school = tiny_school
    school.start()
    box = school.connect()
    assert box.tap("left", "em4100:0100000001")["reason"] == "unknown-card"
    roster = school.folder / "roster.csv"
    good = roster.read_text("utf-8")
    roster.write_text(good + "1005,Ерлан Ахметов,4А,grade-1-4,em4100:0100000001,2020-09-01,2020-09-01,2099-05-25\n")
    assert box.tap("left", "em4100:0100000001")["pupil"] == 1005
    roster.write_text("this is no roster\n")
    assert box.tap("left", school.cards[1])["granted"]
    assert school.until(lambda: school.row("ledger")["roster"])


def test_a_ledger_that_somebody_else_holds_makes_the_terminals_red_until_it_is_free(tiny_school):
    school = tiny_school
    (school.folder / "data").mkdir()
    with Ledger.open(school.folder / "data/ledger", school=51001):
        school.start()
        school.tap(0)
        tap = school.until(lambda: school.events("tap"))[0]
        assert (tap["granted"], tap["reason"]) == (False, "cannot-record")
        assert "pid" in tap["message"] or str(os.getpid()) in tap["message"]
        assert school.row("terminal", "left")["state"] == "cannot-record"
        assert school.row("ledger")["state"] == "cannot-record"
        school.until(lambda: school.row("camera")["state"] == "playing")
    school.until(lambda: school.row("terminal", "left")["state"] == "ready")
    school.tap(0)
    school.until(lambda: school.events("tap")[-1]["granted"])


def test_a_damaged_ledger_is_left_alone_and_the_box_goes_on(tiny_school):
    school = tiny_school
    school.start()
    box = school.connect()
    for card in school.cards[:3]:
        assert box.tap("left", card)["granted"]
    assert school.stop() == 0
    (segment,) = (school.folder / "data/ledger").glob("*.seg")
    whole = bytearray(segment.read_bytes())
    whole[3 * 128 + 40] ^= 1
    segment.write_bytes(whole)
    school.start()
    tap = school.connect().tap("left", school.cards[0])
    assert tap["reason"] == "cannot-record"
    assert "record 3" in tap["message"]
    school.until(lambda: school.row("camera")["state"] == "playing")
    assert school.stop() == 0
    assert segment.read_bytes() == bytes(whole)


def test_a_full_disk_makes_the_terminals_red_and_the_box_goes_on(tiny_school):
    """A real file system of one megabyte, where this machine lets us mount one."""
    school = tiny_school
    ledger = school.folder / "data/ledger"
    ledger.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(ledger)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        (ledger / "filler").write_bytes(bytes(1 << 20))
        school.start()
        tap = school.connect().tap("left", school.cards[0])
        assert (tap["granted"], tap["reason"]) == (False, "cannot-record")
        school.until(lambda: school.row("camera")["state"] == "playing")
        (ledger / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(ledger)], check=True)
        school.until(lambda: school.row("terminal")["state"] == "ready")
        assert school.connect().tap("left", school.cards[0])["granted"]
        assert school.stop() == 0
    finally:
        school.close()
        subprocess.run(["umount", str(ledger)], check=True)


def test_a_second_box_names_the_first(tiny_school):
    school = tiny_school
    first = school.start()
    school.connect()
    second = subprocess.run(
        [sys.executable, "-m", "edusense", "run", "--site", str(school.site)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 5
    assert f"process {first.pid} of user {os.getuid()}" in second.stderr
    assert "hint: " in second.stderr
    assert school.connect().hello()["pid"] == first.pid


def test_a_site_file_with_an_error_is_exit_3(tiny_school):
    school = tiny_school
    school.write_site(lambda text: text.replace("number = 51001", 'number = "x"'))
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "run", "--site", str(school.site)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == SiteError.exit_status
    assert f"{school.site}:3:" in done.stderr


def test_a_data_folder_that_cannot_be_made_is_exit_7(tiny_school):
    school = tiny_school
    (school.folder / "data").write_text("a file")
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "run", "--site", str(school.site)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 7
    assert "data" in done.stderr


def test_a_box_that_is_stopped_in_its_first_moment_leaves_nothing(tiny_school):
    school = tiny_school
    school.start()
    school.until(lambda: (school.folder / "data/box.lock").exists())
    assert school.stop() == 0
    assert not (school.folder / "data/box.sock").exists()


def test_bytes_of_strangers_at_its_socket_leave_it_alone(tiny_school):
    school, chance = tiny_school, random.Random(20260914)
    school.start()
    pid = school.connect().hello()["pid"]
    for number in range(60):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(5)
            stranger.connect(str(school.folder / "data/box.sock"))
            with contextlib.suppress(ConnectionError):
                stranger.sendall(chance.randbytes(chance.choice((1, 30, 70_000))) + b"\n" * (number % 2))
                if number % 3:  # every third goes away without waiting for an answer
                    stranger.shutdown(socket.SHUT_WR)
                    stranger.recv(4096)
    assert school.connect().hello()["pid"] == pid
    assert school.row("box")["state"] == "running"
    assert "Traceback" not in school.said()
    assert school.stop() == 0


def test_cameras_that_nobody_answers_do_not_delay_the_others(tiny_school):
    school = tiny_school
    # 192.0.2.0/24 is nobody's (RFC 5737): connecting hangs or fails, as with a camera that is switched off.
    dead = "".join(
        f'[[cameras]]\nid = "dead-{number}"\nroom = "205"\naddress = "192.0.2.{number}"\ncredentials = "cameras"\n\n'
        for number in range(1, 12)
    )
    school.write_site(lambda text: text.replace("[[cameras]]", dead + "[[cameras]]", 1))
    school.start()
    begun = time.monotonic()
    school.until(lambda: school.row("camera", school.camera.id)["state"] == "playing", 15)
    assert time.monotonic() - begun < 15
    begun = time.monotonic()
    assert school.stop() == 0
    assert time.monotonic() - begun < 6
