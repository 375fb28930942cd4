"""TOML with places, for every file that is checked as strictly as the site file; and changing it, comments kept."""

from __future__ import annotations

from edusense import _native

__all__ = ["edit", "parse"]

parse = _native.parse_toml
"""The data, the places of keys, the places of values (line and column from 1); raises `SiteSyntaxError`.

>>> data, keys, values = parse("gop = 50")
>>> data, values[("gop",)]
({'gop': 50}, (1, 7))
"""

edit = _native.edit_toml
"""The text with changes: `("set", path, value)`, `("append", path, table)`; raises `SiteSyntaxError`, `ValueError`.

>>> edit("gop = 50  # pictures", [("set", ("gop",), 40)])
'gop = 40  # pictures\n'
"""
