"""What an installer puts in place: user, groups, rules and command are those of the unit file and the guide."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = (ROOT / "packaging/systemd/edusense.service").read_text("utf-8")
SYSUSERS = ROOT / "packaging/systemd/edusense.sysusers"
BUNDLE = (ROOT / "tools/make-bundle").read_text("utf-8")
DEBIAN = {"dialout", "plugdev"}
"""Groups of the unit file that Debian has from its beginning (base-passwd)."""


def by_hand() -> str:
    """What the guide has root type where there is no bundle."""
    page = (ROOT / "docs/guide/running-the-box.md").read_text("utf-8").partition("## Under systemd")[2]
    return "\n".join(line[2:] for line in page.splitlines() if line.startswith("# "))


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_systemd_sysusers_makes_the_user_and_every_group_that_the_unit_file_names(tmp_path: Path):
    place = tmp_path / "etc/sysusers.d"
    place.mkdir(parents=True)
    shutil.copy(SYSUSERS, place / "edusense.conf")
    for _ in range(2):  # again after an update: nothing to do, and no complaint
        subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True, text=True)
    groups = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
    (named,) = re.findall(r"^SupplementaryGroups=(.*)$", UNIT, re.MULTILINE)
    assert set(named.split()) - DEBIAN <= groups
    assert re.search(r"^Group=edusense$", UNIT, re.MULTILINE)
    users = (tmp_path / "etc/passwd").read_text()
    assert re.search(r"^edusense:.*:/var/lib/edusense:", users, re.MULTILINE)


def test_lamps_on_gpio_lines_may_be_driven_by_the_box():
    assert "DeviceAllow=char-gpiochip rw" in UNIT
    rule = (ROOT / "packaging/udev/71-edusense-lights.rules").read_text("utf-8").splitlines()[-1]
    assert 'KERNEL=="gpiochip*"' in rule
    (group,) = re.findall(r'GROUP="(\w+)"', rule)
    assert f"g {group} -" in SYSUSERS.read_text("utf-8")
    assert group in re.findall(r"^SupplementaryGroups=(.*)$", UNIT, re.MULTILINE)[0].split()


@pytest.mark.parametrize(
    "needed",
    [
        "/etc/systemd/system/",
        "/etc/sysusers.d/edusense.conf",
        "/etc/udev/rules.d/",
        "/usr/local/bin/edusense",
        "systemd-sysusers",
        "packaging/udev/*.rules",
    ],
)
def test_the_bundle_and_the_guide_put_the_same_in_place(needed: str):
    assert needed in BUNDLE
    assert needed in by_hand()


def test_the_user_is_made_before_files_are_given_to_it():
    told = by_hand()
    assert told.index("systemd-sysusers") < told.index("-g edusense") < told.index("edusense site check")
    assert told.index("/usr/local/bin/edusense") < told.index("edusense site check")


def test_the_script_of_the_bundle_is_one_that_sh_reads():
    script = BUNDLE.partition("<<'TXT'\n")[2].partition("\nTXT\n")[0]
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    made = script.index("systemd-sysusers\n")
    assert script.index("/etc/sysusers.d/edusense.conf") < made
