"""TOML with places, and edits that keep what a person wrote."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense import _native
from edusense.site.template import new_site

TEXT = """\
# ours
[site]
id = "ж"   # the school
[[cameras]]   # first
id = "a"
spots = [[0.1, 2], { x = 1 }]
[[cameras]]
id = "b"
"""


def test_places_of_keys_and_values():
    data, keys, values = _native.parse_toml(TEXT)
    assert data == tomllib.loads(TEXT)
    assert keys["site", "id"] == (3, 1)
    assert values["site", "id"] == (3, 6)
    assert values["cameras", 1] == (7, 1)
    assert values["cameras", 0, "spots", 0, 1] == (6, 16)
    assert keys["cameras", 0, "spots", 1, "x"] == (6, 22)


@pytest.mark.parametrize(
    "text",
    [
        "a = 2026-11-23T10:00:00+05:00\nb = 07:30:00\nc = 2026-11-23\nd = 2026-11-23T10:00:00.25",
        "a.b.c = 1\na.b.d = [1.5, inf]",
        "",
    ],
)
def test_data_is_what_python_reads(text: str):
    assert _native.parse_toml(text)[0] == tomllib.loads(text)


def test_edits_keep_comments_and_everything_else():
    edited = _native.edit_toml(
        TEXT,
        [
            ("set", ["site", "id"], "new"),
            ("set", ["cameras", 0, "mac"], "00:1a"),
            ("append", ["cameras"], {"id": "c", "watch": "sub"}),
        ],
    )
    expected = TEXT.replace('id = "ж"   #', 'id = "new"   #').replace(
        "spots = [[0.1, 2], { x = 1 }]\n", 'spots = [[0.1, 2], { x = 1 }]\nmac = "00:1a"\n'
    )
    assert edited == expected + '\n[[cameras]]\nid = "c"\nwatch = "sub"\n'


def test_a_new_table_comes_where_none_was_and_line_ends_stay():
    edited = _native.edit_toml("a = 1\r\n", [("append", ["meals", "slots"], {"id": "lunch"})])
    assert edited == 'a = 1\r\n\r\n[[meals.slots]]\r\nid = "lunch"\r\n'


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (("set", [], 1), ValueError),
        (("turn", ["a"], 1), ValueError),
        (("set", ["a", "b"], 1), ValueError),
        (("set", ["l", 7], 1), ValueError),
        (("append", ["a"], {}), ValueError),
        (("append", ["x"], 1), TypeError),
        (("set", ["x"], object()), TypeError),
        (("set", [1.5], 1), TypeError),
    ],
)
def test_edits_that_make_no_sense(change, kind):
    with pytest.raises(kind):
        _native.edit_toml("a = 1\nl = [1]\n", [change])


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), st.integers(-(2**63), 2**63 - 1))
def test_what_is_written_is_read_back(text: str, number: int):
    data = {"text": text, "number": number, "list": [text, text]}
    edited = _native.edit_toml(new_site(), [("append", ["extra"], data)])
    assert tomllib.loads(edited)["extra"] == [data]
