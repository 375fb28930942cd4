"""`edusense reader` and `edusense sim reader` as they are typed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edusense.cli.reader import command
from edusense.cli.schemas import validate
from edusense.cli.sim_reader import command as sim_command
from edusense.cli.sim_reader_serial import RDM6300_VARIANTS, WIEGAND_FORMS
from edusense.cli.sim_reader_usb import KEYBOARD_LAYOUTS
from edusense.devices import Card
from edusense.errors import CardError, DeviceNotFoundError, DeviceRefusedError, SiteError, UsageError
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_faults import COMMON, KINDS
from edusense.sim.reader_keyboard import LAYOUTS
from edusense.sim.reader_rdm6300 import VARIANTS, VirtualRdm6300
from edusense.sim.reader_wiegand import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

PRINTED = Card.parse("em4100:0063E9AE")
TAG, CARD = Card.parse("em4100:010063E9AE"), Card.parse("iso14443a:04A1B2C3D4E5F6")
EDUSENSE = str(Path(sys.executable).with_name("edusense"))
SITE = """
[site]
id = "school-51"
number = 51001
[[readers]]
id = "canteen-left"
driver = "rdm6300"
port = "{left}"
[[readers]]
id = "canteen-right"
driver = "ccid"
port = "sim:{right}"
[[readers]]
id = "gone"
driver = "abacus"
port = "/dev/ttyUSB7"
"""


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


@pytest.fixture
def devices() -> Iterator[tuple[VirtualRdm6300, VirtualCcid]]:
    with VirtualRdm6300() as left, VirtualCcid() as right:
        yield left, right


@pytest.fixture
def site(tmp_path: Path, devices: tuple[VirtualRdm6300, VirtualCcid]) -> str:
    path = tmp_path / "school.toml"
    path.write_text(SITE.format(left=devices[0].path, right=devices[1].path))
    return str(path)


def test_list_names_readers_and_drivers(site: str) -> None:
    result = invoke("list", "--site", site, "--json")
    assert result.exception is None
    found = [json.loads(line) for line in result.stdout.splitlines()]
    readers = {row["id"]: row for row in found if row["kind"] == "reader"}
    assert readers["canteen-left"]["problem"] is None
    assert readers["canteen-right"]["address"].startswith("ccid:sim:")
    assert readers["gone"]["problem"] == "no driver `abacus` is installed"
    assert {"rdm6300", "ccid"} <= {row["id"] for row in found if row["kind"] == "driver"}


def test_list_without_a_site_names_the_drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    result = invoke("list")
    assert result.exception is None
    assert "rdm6300" in result.stdout
    assert isinstance(invoke("list", "--site", "elsewhere.toml").exception, SiteError)


def test_ports_are_rows() -> None:
    result = invoke("ports", "--json")
    assert result.exception is None
    for line in result.stdout.splitlines():
        assert {"path", "kind", "drivers", "holders", "problem", "rule"} <= set(json.loads(line))
    assert invoke("ports").exception is None


def test_listening_prints_each_card_with_its_forms(devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    left, _ = devices
    left.place(TAG)
    result = invoke("listen", left.address, "--count", "1")
    assert result.return_value == 0
    assert "em4100:010063E9AE" in result.stdout
    assert "0006547886" in result.stdout
    assert "099,59822" in result.stdout


def test_listening_with_json_and_raw_bytes(devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    _, right = devices
    right.place(CARD)
    result = invoke("listen", right.address, "--count", "1", "--json", "-v")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    (card,) = [row for row in found if row["kind"] == "card"]
    assert card["card"] == "iso14443a:04A1B2C3D4E5F6"
    assert card["dec10"] is None
    assert not card["random_id"]
    # The driver's thread may be ahead of the trace: what was said before the first read is not repeated.
    assert all(row["direction"] in ("in", "out", "note") for row in found if row["kind"] == "bytes")


def test_listening_by_the_readers_id(site: str, devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    devices[1].place(CARD)
    result = invoke("listen", "canteen-right", "--site", site, "--count", "1", "--json")
    assert json.loads(result.stdout)["reader"] == "canteen-right"
    with pytest.raises(UsageError) as caught:
        raise invoke("listen", "canteen-lft", "--site", site).exception
    assert caught.value.hint == "did you mean `canteen-left`?"


def test_listening_to_all_of_them(tmp_path: Path, site: str, devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    text = Path(site).read_text()
    Path(site).write_text(text[: text.rindex("[[readers]]")])
    devices[0].place(TAG)
    devices[1].place(CARD)
    result = invoke("listen", "--all", "--site", site, "--count", "2", "--json")
    assert {json.loads(line)["reader"] for line in result.stdout.splitlines()} == {"canteen-left", "canteen-right"}


def test_the_questions_that_are_asked_all_the_time_are_not_shown(
    devices: tuple[VirtualRdm6300, VirtualCcid],
) -> None:
    _, device = devices
    address = f"{device.address}?poll=0.05"
    quiet = invoke("listen", address, "-v", "--timeout", "0.6")
    assert "65 00 00 00 00" not in quiet.stderr  # GetSlotStatus
    assert "65 00 00 00 00" in invoke("listen", address, "-vv", "--timeout", "0.6").stderr
    device.place(CARD)
    shown = invoke("listen", address, "-v", "--count", "1")
    assert "ff ca 00 00 00" in shown.stderr


def test_a_line_at_another_speed_is_told_without_being_asked(devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    device, _ = devices
    device.fault("wrong-baud")
    device.place(TAG)
    result = invoke("listen", device.address, "--timeout", "1.5")
    assert result.return_value == 1
    assert "does not speak at 9600 baud" in result.stderr
    assert "edusense reader identify" in result.stderr


def test_what_a_number_may_mean_is_listed() -> None:
    result = invoke("card", "0006547886", "--json")
    assert result.return_value == 1
    told = [json.loads(line) for line in result.stdout.splitlines()]
    for row in told:
        validate("reader card", row)
    assert {"em4100:0063E9AE", "iso14443a:0063E9AE"} <= {row["card"] for row in told}
    assert invoke("card", "iso14443a:9DCB4340").return_value == 0
    assert isinstance(invoke("card", "hello").exception, CardError)


def test_listening_to_nothing_ends_with_one(devices: tuple[VirtualRdm6300, VirtualCcid]) -> None:
    result = invoke("listen", devices[0].address, "--timeout", "0.3")
    assert result.return_value == 1
    assert result.stdout == ""


def test_listening_to_what_is_not_there() -> None:
    assert isinstance(invoke("listen", "rdm6300:/dev/no-such-port").exception, DeviceNotFoundError)
    assert isinstance(invoke("listen").exception, UsageError)
    assert isinstance(invoke("listen", "ccid:", "--all").exception, UsageError)


def test_what_is_offered_is_what_the_devices_have() -> None:
    # Written out in the command, so that help imports no simulator.
    assert LAYOUTS == KEYBOARD_LAYOUTS
    assert VARIANTS == RDM6300_VARIANTS
    assert FORMS == WIEGAND_FORMS


def test_faults_are_listed_with_the_readers_that_have_them() -> None:
    result = CliRunner().invoke(sim_command, ["faults", "--json"], standalone_mode=False)
    told = {row["fault"]: row for row in map(json.loads, result.stdout.splitlines())}
    for row in told.values():
        validate("sim reader faults", row)
    assert set(COMMON) <= set(told)
    assert told["wrong-baud"]["readers"] == [kind for kind, names in KINDS.items() if "wrong-baud" in names]


def simulate(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [EDUSENSE, "sim", "reader", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("kind", "card"), [("rdm6300", TAG), ("ironlogic", CARD), ("pn532", CARD), ("keyboard", PRINTED), ("ccid", CARD)]
)
def test_a_virtual_reader_is_read_by_a_command_in_another_terminal(kind: str, card: Card) -> None:
    with simulate(kind, "--id", "desk") as device:
        assert device.stdin is not None
        assert device.stdout is not None
        ready = json.loads(device.stdout.readline())
        assert list(ready) == ["kind", "id", "url", "onvif", "rtsp", "port", "user", "password_ref"]
        assert (ready["kind"], ready["id"]) == ("reader", "desk")
        listening = subprocess.Popen(
            [EDUSENSE, "reader", "listen", ready["url"], "--count", "1", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert listening.stderr is not None
        assert "listening" in listening.stderr.readline()
        device.stdin.write(f"{card}\n")
        device.stdin.flush()
        out, _ = listening.communicate(timeout=30)
        assert json.loads(out)["card"] == str(card)
        assert listening.returncode == 0
        device.send_signal(signal.SIGTERM)
        assert device.wait(10) == 0
        assert not Path(ready["port"]).exists()


def test_a_script_that_ends(tmp_path: Path) -> None:
    script = tmp_path / "lunch.toml"
    script.write_text('[[at]]\nseconds = 0.1\ncard = "010063E9AE"\n')
    with simulate("rdm6300", "--script", str(script), "--exit", "--path", str(tmp_path / "reader")) as device:
        out, _ = device.communicate(timeout=30)
        assert device.returncode == 0
        assert json.loads(out)["port"] == str(tmp_path / "reader")
        assert not (tmp_path / "reader").exists()


def test_without_umockdev_the_packages_are_named(tmp_path: Path) -> None:
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "ccid", "--", "true"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shutil.which("umockdev-wrapper", path=str(tmp_path)) is None
    assert ended.returncode == 2
    assert "sudo apt-get install umockdev" in ended.stderr


def test_a_new_reader_is_given_its_key(tmp_path: Path) -> None:
    pytest.importorskip("osdp")
    from edusense.sim.reader_osdp import VirtualOsdp

    key = tmp_path / "door.key"
    key.touch(mode=0o600)
    key.write_text("000102030405060708090a0b0c0d0e0f\n")
    with VirtualOsdp(address=5) as device:
        address = f"{device.address}&key=file:{key}"
        assert isinstance(invoke("listen", address, "--timeout", "30").exception, DeviceRefusedError)
        result = invoke("key", address, "--json")
        assert result.exception is None, result.exception
        validate("reader key", json.loads(result.stdout))
        assert "0001020304" not in result.stdout + result.stderr
        device.tap(Card.parse("wiegand26:013,13067"))
        assert "wiegand26:0D330B" in invoke("listen", address, "--count", "1", "--timeout", "10").stdout
    assert isinstance(invoke("key", "rdm6300:/dev/null").exception, UsageError)
