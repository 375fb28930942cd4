"""`edusense doctor`: each check by the figures it is given, then the whole on this machine."""

from __future__ import annotations

import datetime
import json
import os
import pty
import re
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from edusense.cli.doctor import devices, disk, software, system
from edusense.cli.group import edusense
from edusense.cli.schemas import validate
from edusense.devices import DriverRow, Holder, Port

NOW = datetime.datetime(2026, 9, 1, 8, tzinfo=datetime.UTC)


def test_python_and_extension_of_these_tests_are_well():
    assert software.python((3, 11, 2)).state == "ok"
    assert software.python((3, 9, 18)).state == "fail"
    assert software.extension().state == "ok"
    assert software.ffmpeg().state == "ok"


def test_an_extension_of_another_version_or_without_optimisation_is_told(monkeypatch: pytest.MonkeyPatch):
    from edusense import _version

    monkeypatch.setattr(_version, "native", lambda: ("0.0.9", False))
    assert software.extension().state == "fail"
    monkeypatch.setattr(_version, "native", lambda: (_version.version(), True))
    assert software.extension().state == "warn"

    def missing() -> tuple[str, bool]:
        raise ImportError("no such file")

    monkeypatch.setattr(_version, "native", missing)
    assert "no such file" in software.extension().finding


def test_the_ports_of_the_sites_readers_are_looked_at():
    from edusense.site import Site

    readers = "".join(
        f'[[readers]]\nid = "{name}"\ndriver = "{driver}"\nport = "{port}"\n'
        for name, driver, port in (("left", "rdm6300", "/dev/none"), ("right", "ccid", "072f:2200"))
    )
    (found,) = devices.of_site(Site.loads(f'[site]\nid = "a"\nnumber = 1\n{readers}'))
    assert (found.check, found.state) == ("reader left", "fail")
    assert "/dev/none" in found.finding
    assert list(devices.of_site(None)) == []


def test_a_library_that_is_missing_is_named_with_the_command():
    def version_of(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    found = software.libraries(version_of)
    assert found.state == "fail"
    assert found.hint == "pip install rich"


def test_broken_drivers_are_rows_and_none_is_a_finding():
    found = list(software.driver_findings([DriverRow("odd", "odd-drivers", problem="ImportError: no")]))
    assert [finding.state for finding in found] == ["fail", "fail"]
    assert "odd-drivers" in found[0].finding
    assert found[1].hint == "pip install edusense-drivers"


def test_a_port_that_a_stranger_holds_is_named_with_its_process():
    held = Port("/dev/ttyUSB0", "serial", product="CH340", holders=(Holder(4711, "minicom"),))
    found = devices.port_finding(held)
    assert found.state == "warn"
    assert "minicom (pid 4711)" in found.finding
    assert "4711" in (found.hint or "")
    ours = Port("/dev/ttyUSB0", "serial", holders=(Holder(99, "edusense"),))
    assert devices.port_finding(ours).state == "ok"
    locked = Port("/dev/ttyUSB0", "serial", problem="user may not", hint="usermod")
    assert (devices.port_finding(locked).state, devices.port_finding(locked).hint) == ("fail", "usermod")


def test_ports_by_name(tmp_path: Path):
    (found,) = devices.port("/dev/ttyNONE7")
    assert found.state == "fail"
    assert found.hint
    (found,) = devices.port(f"rdm6300:{tmp_path}/none")
    assert found.state == "fail"
    plain = tmp_path / "plain"
    plain.touch()
    (found,) = devices.port(str(plain))
    assert "no device" in found.finding
    master, slave = pty.openpty()
    try:
        (found,) = devices.port(os.ttyname(slave))
        assert found.state == "ok"
    finally:
        os.close(master)
        os.close(slave)


def test_rights(tmp_path: Path):
    assert devices.serial_right("anybody", root=True).state == "ok"
    missing = devices.usb_right(root=False, folders=[tmp_path])
    assert missing.state == "warn"
    assert missing.hint is not None
    (pattern,) = re.findall(r"sudo cp (/\S+/firmware_configs/readers)/\*\.rules ", missing.hint)
    assert (Path(pattern) / "70-edusense.rules").is_file()
    (tmp_path / "70-edusense-readers.rules").touch()
    assert devices.usb_right(root=False, folders=[tmp_path]).state == "ok"


@pytest.mark.parametrize(
    ("kind", "taken", "state"),
    [
        ("ext4", [0.002] * 100, "ok"),
        ("ext4", [0.002] * 95 + [0.2] * 5, "warn"),
        ("ext4", [0.02] * 90 + [0.9] * 10, "fail"),
        ("ext4", [0.000_005] * 100, "warn"),
        ("tmpfs", [0.002] * 100, "fail"),
        ("nfs4", [0.002] * 100, "warn"),
    ],
)
def test_what_durable_writes_allow(kind: str, taken: list[float], state: str):
    found = disk.judge_writes(Path("/data"), kind, taken)
    assert found.state == state
    assert "median" in found.finding
    assert "p99" in found.finding


def test_durable_writes_are_measured_and_leave_nothing(tmp_path: Path):
    taken = disk.durable_writes(tmp_path, count=20)
    assert len(taken) == 20
    assert all(seconds > 0 for seconds in taken)
    assert not list(tmp_path.iterdir())
    found = disk.writes(tmp_path / "not" / "there" / "yet")
    assert str(tmp_path) in found.finding


def test_a_folder_that_cannot_be_written_is_a_failure():
    assert disk.writes(Path("/proc/1")).state == "fail"


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    number = tmp_path.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    mounts.write_text(
        f"1 0 0:1 / / rw - ext4 /dev/sda1 rw\n2 1 {device} / {tmp_path} rw shared:1 - xfs /dev/sdb1 rw\nodd line\n"
    )
    assert disk.file_system(tmp_path, mounts) == "xfs"
    assert disk.file_system(Path("/proc"), mounts) == "ext4"
    assert disk.file_system(tmp_path, tmp_path / "none") == "?"


def test_room(tmp_path: Path):
    def disk_of(free: int) -> str:
        return disk.room("free space", tmp_path, 10_000_000_000, lambda _: (20_000_000_000, 0, free)).state

    assert [disk_of(free) for free in (11_000_000_000, 5_000_000_000, 500_000_000)] == ["ok", "warn", "fail"]


def test_the_clock():
    assert system.clock(NOW, (True, 0.012), False).state == "ok"
    assert system.clock(NOW, (False, 16.0), True).state == "ok"
    assert system.clock(NOW, (False, 16.0), False).state == "warn"
    assert system.clock(NOW, None, False).state == "warn"
    assert system.clock(NOW.replace(year=1970), (True, 0.0), True).state == "fail"


def test_the_time_zone():
    assert system.time_zone("Asia/Almaty").state == "ok"
    assert system.time_zone("Mars/Base").state == "fail"


def test_limits_grow_with_the_cameras():
    assert system.open_files(1024, 4096, 12).state == "ok"
    assert system.open_files(1024, 4096, 180).state == "warn"
    assert system.open_files(1024, 1024, 180).state == "fail"
    assert system.open_files(-1, -1, 180).state == "ok"
    assert system.processors(1).state == "warn"
    assert system.processors(2).state == "ok"
    assert system.memory(4_000_000_000, 3_000_000_000, 180).state == "ok"
    assert system.memory(4_000_000_000, 1_000_000_000, 180).state == "warn"
    assert system.memory(1_000_000_000, 900_000_000, 180).state == "fail"


def test_the_whole_doctor_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(edusense, ["site", "new"], standalone_mode=False)
    result = CliRunner().invoke(edusense, ["doctor", "--json", "--site", "school.toml"], standalone_mode=False)
    assert result.exception is None
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    for row in rows:
        validate("doctor", row)
        assert (row["hint"] is None) == (row["state"] == "ok")
    checks = {row["check"] for row in rows}
    assert {"site", "python", "extension", "ffmpeg", "drivers", "disk", "clock", "time zone", "open files"} <= checks
    assert result.return_value == (0 if all(row["state"] == "ok" for row in rows) else 1)


def test_a_broken_site_file_is_a_finding_not_an_end(tmp_path: Path):
    path = tmp_path / "school.toml"
    path.write_text("[site]\n")
    result = CliRunner().invoke(edusense, ["doctor", "--json", "--site", str(path)], standalone_mode=False)
    first = json.loads(result.stdout.splitlines()[0])
    assert (first["check"], first["state"]) == ("site", "fail")
    assert result.return_value == 1


def test_only_the_ports_that_were_asked_for():
    result = CliRunner().invoke(edusense, ["doctor", "/dev/ttyNONE7", "--json"], standalone_mode=False)
    assert [json.loads(line)["check"] for line in result.stdout.splitlines()] == ["port /dev/ttyNONE7"]
    assert result.return_value == 1
