"""Templates: found where they should be, checked with line and column; the shipped one complete, with reasons."""

from __future__ import annotations

import tomllib

import pytest

from edusense import fleet
from edusense.errors import (
    SiteEncodingError,
    SiteReferenceError,
    SiteSyntaxError,
    SiteUnknownKeyError,
    SiteValueError,
)
from edusense.fleet.templates import names

WHY = 'why = "because it is so"'


def test_the_generic_template_sets_cameras_so_that_the_gate_sees_well():
    found = fleet.template("generic/onvif-t")
    assert found.name == "generic/onvif-t"
    assert found.path is not None
    settings = found.settings()
    assert all(len(setting.why) > 20 for setting in settings.values())
    for stream in (found.main, found.sub):
        assert stream.rate_control.want == "vbr"
        assert 1 <= stream.gop_s.low <= stream.gop_s.want <= 2
        assert stream.smart_codec.want is False
    assert found.imaging.noise_reduction.want is True
    assert settings["clock.timezone"].want == "{site.timezone}"
    # Every table of the file is a setting: none is lost on the way.
    raw = tomllib.loads(found.path.read_text())
    tables = {f"{part}.{key}" for part in raw if isinstance(raw[part], dict) and part != "matches" for key in raw[part]}
    assert tables == set(settings)


def test_a_template_beside_the_site_file_goes_first(tmp_path):
    own = tmp_path / "firmware_configs/cameras/generic/onvif-t.toml"
    own.parent.mkdir(parents=True)
    own.write_text(f'summary = "ours"\n[main.kbit]\nwant = 3000\n{WHY}\n')
    (own.parent / "hall.toml").write_text('summary = "the hall"')
    assert fleet.template("generic/onvif-t", tmp_path).main.kbit.want == 3000
    assert fleet.template("generic/onvif-t").main.kbit.want == 4000
    assert fleet.template("generic/hall", tmp_path).settings() == {}
    assert "generic/hall" in names(tmp_path)
    assert "generic/onvif-t" in names()


@pytest.mark.parametrize(
    ("text", "error", "place", "message", "hint"),
    [
        ("summary = 5", SiteValueError, (1, 11), "expected a text in quotes", "in quotes"),
        ("summary = 'x'\nsumary = 'y'", SiteUnknownKeyError, (2, 1), "no key `sumary` in a template", "`summary`"),
        (
            f"summary = 'x'\n[main.gopp_s]\nwant = 2.0\n{WHY}",
            SiteUnknownKeyError,
            (2, 7),
            "`gopp_s` in [main]",
            "`gop_s`",
        ),
        (f"summary = 'x'\n[main.gop_s]\nwant = '2'\n{WHY}", SiteValueError, (3, 8), "expected a number", None),
        ("summary = 'x'\n[main.gop_s]\nwant = 2.0", SiteValueError, (2, 1), "`why` is missing", None),
        (
            f"summary = 'x'\n[main.kbit]\nwant = 9\nlow = 10\n{WHY}",
            SiteValueError,
            None,
            "outside its own limit `low`",
            None,
        ),
        (f"summary = 'x'\n[sub.rate_control]\nwant = 'vbrr'\n{WHY}", SiteValueError, (3, 8), "not known here", '"vbr"'),
        (
            f"summary = 'x'\n[osd.text]\nwant = '{{rom.id}}'\n{WHY}",
            SiteValueError,
            None,
            "stands for nothing",
            "{room.id}",
        ),
        ("summary = ", SiteSyntaxError, (1, 11), "", None),
    ],
)
def test_errors_say_where_and_what_was_meant(text, error, place, message, hint):
    with pytest.raises(error) as caught:
        fleet.Template.loads(text, path="t.toml")
    said = caught.value
    assert said.path == "t.toml"
    assert message in said.message
    if place:
        assert (said.line, said.column) == place
    if hint:
        assert hint in said.hint


@pytest.mark.parametrize("name", ["generic/onvif", "../../etc/passwd", "", "/etc/passwd", "generic/../generic/onvif-t"])
def test_what_there_is_not_is_named_with_the_nearest(name):
    with pytest.raises(SiteReferenceError, match="no template") as caught:
        fleet.template(name)
    assert caught.value.hint


def test_a_file_that_is_not_utf8_says_so(tmp_path):
    own = tmp_path / "firmware_configs/cameras/bad.toml"
    own.parent.mkdir(parents=True)
    own.write_bytes(b'summary = "x"\n# \xe7')
    with pytest.raises(SiteEncodingError) as caught:
        fleet.template("bad", tmp_path)
    assert caught.value.line == 2
