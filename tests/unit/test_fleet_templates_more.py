"""Templates that extend others, templates that fit a camera, firmware that is too old."""

from __future__ import annotations

import pytest

from edusense.errors import SiteError, SiteReferenceError, SiteValueError
from edusense.fleet.templates import fits, match, names, older, template

WHY = 'why = "because the test wants it so"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "firmware_configs/cameras").mkdir(parents=True)
    return tmp_path


def write(folder, name, text):
    path = folder / "firmware_configs/cameras" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'summary = "{name}"\n{text}')


def test_what_a_template_says_nothing_of_comes_from_the_one_that_it_extends(folder):
    write(
        folder,
        "acme/x1",
        'extends = "generic/onvif-t"\nwithout = ["identity.hostname"]\n[matches]\nmanufacturer = "acme*"\n'
        f"[main.fps]\nwant = 15.0\n{WHY}",
    )
    found = template("acme/x1", folder).settings()
    assert found["main.fps"].want == 15.0
    assert found["main.gop_s"].want == 2.0
    assert "identity.hostname" not in found
    assert template("generic/onvif-t", folder).settings()["main.fps"].want == 25.0


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('extends = "a"', SiteReferenceError, "`a` extends `a`"),
        ('extends = "nope"', SiteReferenceError, "no template `nope`"),
        ('extends = "generic/onvif-t"\nwithout = ["main.fpss"]', SiteReferenceError, "`main.fpss`"),
        ('without = ["main.fps"]', SiteValueError, "goes with `extends`"),
    ],
)
def test_mistakes_in_extending_are_named(folder, text, error, says):
    write(folder, "a", text)
    with pytest.raises(error, match=says):
        template("a", folder)


def test_two_that_extend_each_other_are_found_out(folder):
    write(folder, "a", 'extends = "b"')
    write(folder, "b", 'extends = "a"')
    with pytest.raises(SiteReferenceError, match="which extends it"):
        template("a", folder)


def test_the_template_that_says_most_about_a_camera_is_its(folder):
    assert match("HIKVISION", "DS-2CD2143", "T", folder) == ("hikvision/any", "the manufacturer fits")
    assert match("TP-Link", "Tapo C200", "S", folder) == ("tp-link/tapo", "manufacturer and model fit")
    assert match("Nobody", "X", "S", folder)[0] == "generic/onvif-s"
    assert match("Nobody", "X", None, folder)[0] == "generic/onvif-t"
    write(folder, "own/ds", '[matches]\nmanufacturer = "hikvision*"\nmodel = "ds-2cd*"')
    assert match("HIKVISION", "DS-2CD2143", "T", folder)[0] == "own/ds"
    write(folder, "own/ds2", '[matches]\nmanufacturer = "hikvision*"\nmodel = "ds-2cd*"')
    found, why = match("HIKVISION", "DS-2CD2143", "T", folder)
    assert found is None
    assert "`own/ds` and `own/ds2` fit `HIKVISION DS-2CD2143` equally well" in why
    write(folder, "own/ds3", '[matches]\nmanufacturer = "hikvision*"\nmodel = "ds-2cd2143*"')
    assert match("HIKVISION", "DS-2CD2143", "T", folder)[0] == "own/ds3"


def test_every_template_that_comes_with_the_drivers_is_right():
    for name in names():
        one = template(name)
        assert one.settings(), name
        assert all(setting.why for setting in one.settings().values())


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [
        ("V5.5.82", "V5.7.0", True),
        ("5.7.0", "5.7", False),
        ("2.800", "2.9", False),
        ("1.2.10", "1.2.9", False),
        ("x", "1", False),
    ],
)
def test_versions_are_compared_as_numbers(version, minimum, expected):
    assert older(version, minimum) is expected
    assert fits("V5.*", version) == version.startswith("V5.")


def test_a_wrong_template_is_an_error_wherever_it_is_looked_for(folder):
    write(folder, "bad", "[main.fps]\nwant = 'x'\n")
    with pytest.raises(SiteError):
        match("A", "B", "T", folder)
