"""The pieces of the box, each for itself: threads, the pool, clips in a budget, addresses, systemd, log lines."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edusense.box import clips
from edusense.box.clips import ClipStore
from edusense.box.log import EventLog
from edusense.box.notify import Notifier
from edusense.box.parts import Part
from edusense.box.pool import DaemonPool
from edusense.box.process import _Lines, figures
from edusense.box.resolver import Resolver
from edusense.errors import DeviceRefusedError, DeviceTimeoutError
from edusense.fleet import StreamAddresses
from edusense.site import Site

UNIT = Path(__file__).parents[2] / "packaging/systemd/edusense.service"


def wait_for(what, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "events")
    yield log
    log.close()


class Flaky(Part):
    """Fails so many times, then runs; may be told to hang."""

    def __init__(self, log: EventLog, failures: int, **settings) -> None:
        super().__init__("flaky", log, first_s=0.01, limit_s=0.05, **settings)
        self.left = failures
        self.hang = threading.Event()

    def run(self) -> None:
        if self.left:
            self.left -= 1
            raise ZeroDivisionError("byte 13")
        while not self.stopping.wait(0.01):
            if not self.hang.is_set():
                self.beat()


def test_a_part_that_fails_is_begun_again_and_its_failure_told_once(log, caplog):
    part = Flaky(log, 3)
    part.start()
    wait_for(lambda: part.state == "running")
    assert part.failures == 3
    assert part.alive
    with contextlib.closing(log.reader(0)) as reader:
        rows = [row for row in reader.read() if b"flaky" in row]
    assert [b'"part-failed"' in row for row in rows] == [True, False]
    assert b"a bug: ZeroDivisionError: byte 13" in rows[0]
    assert b'"part-recovered"' in rows[1]
    assert "Traceback" in caplog.text
    part.stop()
    assert part.join(2)
    assert part.state == "stopped"
    assert not part.alive


def test_a_part_that_hangs_is_not_alive(log):
    part = Flaky(log, 0, hung_s=0.2)
    part.start()
    wait_for(lambda: part.state == "running")
    part.hang.set()
    wait_for(lambda: not part.alive)
    part.hang.clear()
    wait_for(lambda: part.alive)
    part.stop()
    assert part.join(2)


def test_a_part_that_waits_for_its_next_try_is_alive(log):
    part = Flaky(log, 10**9, hung_s=0.5)
    part._limit_s = part._first_s = 5.0
    part.start()
    wait_for(lambda: part.state == "failed")
    time.sleep(0.3)
    assert part.alive
    part.stop()
    assert part.join(2)


def test_the_pool_runs_as_many_as_it_has_threads_and_keeps_nobody_alive():
    pool, release, running = DaemonPool(3, "test"), threading.Event(), []
    futures = [pool.submit(lambda: (running.append(1), release.wait(5))) for _ in range(7)]
    wait_for(lambda: len(running) == 3)
    time.sleep(0.05)
    assert len(running) == 3
    release.set()
    for future in futures:
        future.result(5)
    assert isinstance(pool.submit(int, "x").exception(5), ValueError)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(int)
    script = "from edusense.box.pool import DaemonPool; import time; DaemonPool(1, 'x').submit(time.sleep, 60)"
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
    assert time.monotonic() - begun < 15


# ---- clips


def event(number: int, day: int = 0) -> dict:
    return {"id": f"cam-{number}", "start_s": 1_790_000_000.0 + 86400 * day, "camera": "cam"}


def test_clips_are_found_by_their_id(tmp_path):
    store = ClipStore(tmp_path / "clips", 10**6)
    store.keep(event(1), b"mp4", b"jpg")
    store.keep(event(2, day=3), None, b"jpg2")
    assert store.read("cam-1", ".mp4") == b"mp4"
    assert store.read("cam-2", ".jpg") == b"jpg2"
    assert store.read("cam-2", ".mp4") is None
    assert store.read("cam-3", ".mp4") is None
    assert sorted(path.name for path in store.folder.iterdir()) == ["2026-09-21", "2026-09-24"]
    assert store.used_bytes == sum(path.stat().st_size for path in store.folder.glob("*/*"))
    assert not list(store.folder.glob("*/.*"))


@pytest.mark.parametrize(
    "name", ["../clips/2026-09-21/cam-1", "/etc/passwd", "", ".hidden", "cam-1\0", "x" * 200, "a/b"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    store = ClipStore(tmp_path / "clips", 10**6)
    store.keep(event(1), b"mp4", b"jpg")
    assert store.read(name, ".mp4") is None
    with pytest.raises(ValueError, match="file's name"):
        store.keep(event(1) | {"id": name}, b"mp4", None)


def test_the_oldest_clips_go_when_the_budget_is_reached(tmp_path):
    store = ClipStore(tmp_path / "clips", 10_000)
    for number in range(30):
        store.keep(event(number, day=number // 5), bytes(1000), None)
        assert sum(path.stat().st_size for path in store.folder.glob("*/*")) <= 10_000
    kept = [number for number in range(30) if store.read(f"cam-{number}", ".mp4") is not None]
    assert kept == list(range(30 - len(kept), 30))
    assert len(kept) >= 8
    again = ClipStore(tmp_path / "clips", 10_000)
    assert again.used_bytes == store.used_bytes
    again.budget_bytes = 3000
    again.keep(event(30, day=6), bytes(1000), None)
    assert again.used_bytes <= 3000


def test_a_clip_that_cannot_be_written_leaves_nothing(tmp_path):
    store = ClipStore(tmp_path / "clips", 10**6)
    store.keep(event(1), b"mp4", None)
    (tmp_path / "clips/2026-09-21/.cam-2.mp4.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.keep(event(2), b"mp4", None)
    assert store.read("cam-2", ".mp4") is None


def test_a_disk_that_is_full_before_the_budget_loses_its_oldest_clips(tmp_path, monkeypatch, caplog):
    """A disk of 20 kB, told by the write that the kernel would refuse."""
    store, real = ClipStore(tmp_path / "clips", 10**9), clips._write

    def small_disk(path: Path, content: bytes) -> None:
        if sum(file.stat().st_size for file in store.folder.glob("*/*")) + len(content) > 20_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(clips, "_write", small_disk)
    for number in range(40):
        store.keep(event(number, day=number // 5), bytes(1000), None)
    assert store.read("cam-39", ".mp4") is not None
    assert store.read("cam-0", ".mp4") is None
    assert "the oldest go" in caplog.text
    assert store.used_bytes == sum(path.stat().st_size for path in store.folder.glob("*/*"))
    store.keep(event(40), bytes(100), None)
    with pytest.raises(OSError, match="No space"):
        store.keep(event(41), bytes(30_000), None)


# ---- addresses

SITE = """
[site]
id = "s"
number = 1
[credentials.cameras]
user = "u"
password = "env:BOX_TEST_SECRET"
[[rooms]]
id = "r"
kind = "classroom"
"""


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("BOX_TEST_SECRET", "one")

    def make(count: int) -> Site:
        cameras = "".join(
            f'[[cameras]]\nid = "c{number}"\nroom = "r"\naddress = "10.0.0.{number}"\ncredentials = "cameras"\n'
            for number in range(count)
        )
        return Site.loads(SITE + cameras)

    return make


def test_a_dead_camera_delays_no_other_and_a_refused_one_is_left_alone(site, monkeypatch):
    release, asked = threading.Event(), []

    def find(camera, login, timeout_s):
        asked.append((camera.id, login.secret()))
        if camera.id == "c0":
            release.wait(10)
            raise DeviceTimeoutError("nobody there")
        if camera.id == "c1" and login.secret() == "one":
            raise DeviceRefusedError("wrong password")
        return StreamAddresses(f"rtsp://{camera.address}/sub", f"rtsp://{camera.address}/main")

    changed = threading.Event()
    resolver = Resolver(find, changed.set, threads=3, first_s=0.02, limit_s=0.05)
    resolver.update(site(20))
    wait_for(lambda: len(resolver.resolved()) == 18)
    assert resolver.unresolved()["c0"] == ("connecting", None, None)
    assert resolver.unresolved()["c1"] == ("refused", "wrong password", "device-refused")
    release.set()
    for _ in range(30):
        resolver.turn()
        time.sleep(0.01)
    names = [name for name, _ in asked]
    assert names.count("c0") > 2
    assert names.count("c1") == 1
    assert names.count("c2") == 1
    assert resolver.unresolved()["c0"] == ("lost", "nobody there", "device-timeout")
    resolver.again("c1")
    wait_for(lambda: [name for name, _ in asked].count("c1") == 2)
    # The same site file with the same secret asks nobody who is known; another secret asks everybody.
    before = len(asked)
    monkeypatch.setenv("BOX_TEST_SECRET", "two")
    resolver.update(site(20))
    wait_for(lambda: len(resolver.resolved()) == 19)
    assert {secret for _, secret in asked[before:]} <= {"one", "two"}
    assert changed.is_set()
    resolver.close()


def test_a_camera_that_stays_as_it_was_is_not_asked_again(site):
    asked = []

    def find(camera, login, timeout_s):
        asked.append(camera.id)
        return StreamAddresses("rtsp://x/sub", "rtsp://x/main")

    resolver = Resolver(find, lambda: None)
    resolver.update(site(3))
    wait_for(lambda: len(resolver.resolved()) == 3)
    resolver.update(site(4))
    wait_for(lambda: len(resolver.resolved()) == 4)
    assert sorted(asked) == ["c0", "c1", "c2", "c3"]
    resolver.close()


def test_a_secret_that_cannot_be_read_is_a_camera_that_is_refused(site, monkeypatch):
    monkeypatch.delenv("BOX_TEST_SECRET")
    resolver = Resolver(lambda *_: pytest.fail("asked without a password"), lambda: None)
    resolver.update(site(1))
    resolver.again("c0")
    state, reason, code = resolver.unresolved()["c0"]
    assert (state, code) == ("refused", "site-secret")
    assert "BOX_TEST_SECRET" in reason
    resolver.close()


def test_a_driver_that_fails_is_one_camera_that_is_lost(site, caplog):
    def find(camera, login, timeout_s):
        if camera.id == "c0":
            raise ZeroDivisionError
        return StreamAddresses("rtsp://x/sub", "rtsp://x/main")

    resolver = Resolver(find, lambda: None)
    resolver.update(site(2))
    wait_for(lambda: len(resolver.resolved()) == 1 and resolver.unresolved()["c0"][0] == "lost")
    assert resolver.unresolved()["c0"] == ("lost", "ZeroDivisionError", "internal")
    wait_for(lambda: "camera=c0" in caplog.text)
    resolver.close()


# ---- systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_in_its_own_words(tmp_path, abstract):
    name = f"@edusense-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name[1:]}" if abstract else name)
        systemd.settimeout(5)
        told = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
        assert told.watchdog_s == 3.0
        told.ready("two\nlines")
        assert systemd.recv(1000) == f"READY=1\nSTATUS=two lines\nMAINPID={os.getpid()}".encode()
        told.alive()
        assert systemd.recv(1000) == b"WATCHDOG=1"
        told.status("well")
        assert systemd.recv(1000) == b"STATUS=well"
        told.stopping()
        assert systemd.recv(1000).startswith(b"STOPPING=1\n")
        told.close()
        told.close()
        told.alive()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_systemd_nothing_happens(environment):
    told = Notifier(environment)
    assert told.watchdog_s is None
    told.ready("x")
    told.alive()
    told.stopping()
    told.close()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_file_is_one(tmp_path):
    text = UNIT.read_text().replace("/opt/edusense/bin/edusense", sys.executable)
    (tmp_path / "edusense.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", tmp_path / "edusense.service"],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
    )
    complaints = [line for line in done.stderr.splitlines() if "edusense.service" in line]
    assert complaints == []


# ---- what it says


def test_log_lines_never_carry_a_password():
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "calling %s", ("rtsp://u:s3cret@10.0.0.1/sub",), None)
    plain = _Lines(journal=False).format(record)
    assert "s3cret" not in plain
    assert plain.endswith(" warning calling rtsp://u:***@10.0.0.1/sub")
    assert _Lines(journal=True).format(record) == "<4>calling rtsp://u:***@10.0.0.1/sub"


def test_figures_are_those_of_this_process():
    told = figures()
    assert told["rss_bytes"] > 10e6
    assert told["peak_bytes"] >= told["rss_bytes"]
    assert told["threads"] >= 1
    assert told["cpu_s"] == pytest.approx(time.process_time(), abs=0.5)


def test_the_watchdog_starves_when_a_part_hangs(log):
    from edusense.box.supervisor import Supervisor

    fed, said = [], []
    notifier = SimpleNamespace(alive=lambda: fed.append(1), status=said.append)
    part = Flaky(log, 0, hung_s=0.1)
    box = SimpleNamespace(
        _files=dict,
        _marks={},
        _reload_wanted=threading.Event(),
        _parts=lambda: [part],
        _server=None,
        _notifier=notifier,
    )
    part.start()
    wait_for(lambda: part.state == "running")
    Supervisor._turn(box)
    assert fed == [1]
    part.hang.set()
    wait_for(lambda: not part.alive)
    Supervisor._turn(box)
    assert fed == [1]
    assert said == ["hangs: flaky"]
    part.stop()
    part.join(2)
