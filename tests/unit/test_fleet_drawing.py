"""A zone that was drawn, added to the site file: what stands there stays, what is wrong changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from edusense import Site
from edusense.errors import (
    PermissionDeniedError,
    SiteDuplicateError,
    SiteReferenceError,
    SiteValueError,
)
from edusense.fleet.drawing import add_zone

SITE = """# Written by hand; keep this line.
[site]
id = "school-51"
number = 51001
[[rooms]]
id = "attic"
kind = "attic" # the stairs
[[cameras]]
id = "stairs-3"
room = "attic"
url = "rtsp://10.0.0.1/a"
[[destinations]]
id = "centre"
driver = "https-json"
url = "https://ops.example.kz/alerts"
"""
DOOR = [[0.1, 0.1], [0.5, 0.1], [0.333333, 0.9]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "school.toml"
    path.write_text(SITE)
    path.chmod(0o640)
    return path


def add(path: Path, **change) -> Site:
    return add_zone(
        Site.load(path), **({"name": "door", "camera": "stairs-3", "kind": "forbidden", "polygon": DOOR} | change)
    )


def test_a_zone_is_added_and_the_rest_stays_to_the_letter(path):
    site = add(path)
    assert site.zone("door").polygon == [[0.1, 0.1], [0.5, 0.1], [0.3333, 0.9]]
    assert Site.load(path).zone("door").alert == ["centre"]
    assert path.read_text().startswith(SITE)
    assert path.stat().st_mode & 0o777 == 0o640
    assert add(path, name="lamp", kind="ignore").zone("lamp").alert == []
    assert [zone.id for zone in Site.load(path).zones] == ["door", "lamp"]
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(path):
    link = path.parent / "current.toml"
    link.symlink_to(path)
    add(link)
    assert link.is_symlink()
    assert Site.load(path).zone("door").kind == "forbidden"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"camera": "stairs-4"}, SiteReferenceError, "stairs-4"),
        ({"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, SiteValueError, "cross"),
        ({"polygon": [[0, 0], [1.2, 0], [1, 1]]}, SiteValueError, "1.2"),
        ({"polygon": [[0, 0], [1, 0]]}, SiteValueError, "polygon"),
        ({"polygon": [[0, 0], [float("nan"), 0], [1, 1]]}, SiteValueError, "no number"),
        ({"kind": "secret"}, SiteValueError, "secret"),
        ({"name": 'a"\nkind = "x'}, SiteValueError, "."),
        ({"name": ""}, SiteValueError, "."),
    ],
)
def test_what_is_no_zone_is_told_and_the_file_stays(path, change, error, said):
    with pytest.raises(error, match=said):
        add(path, **change)
    assert path.read_text() == SITE


def test_a_name_is_given_once(path):
    add(path)
    before = path.read_text()
    with pytest.raises(SiteDuplicateError, match="there is a zone `door` already"):
        add(path)
    assert path.read_text() == before


def test_who_may_not_write_the_file_is_told(path, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(PermissionDeniedError, match="may not be written"):
        add(path)
    assert path.read_text() == SITE
