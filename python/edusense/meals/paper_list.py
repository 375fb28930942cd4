"""A list of children to print, each with its number as a bar code, for enrolment with a scanner.

Source of the code: ISO/IEC 15417 (Code 128), code set B.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.meals.pupil import Pupil

__all__ = ["bar_widths", "paper_list"]

_PATTERNS: Final = (
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222"
    "123122123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321"
    "232121111323131123131321112313132113132311211313231113231311112133112331132131113123113321133121"
    "313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111111224"
    "111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111"
    "111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141114113"
    "114311411113411311113141114131311141411131211412211214211232"
)
"""Widths of bars and gaps, six digits for each symbol's value from 0 to 105."""
_START_B, _STOP, _MODULUS = 104, "2331112", 103
_QUIET: Final = 10
"""Modules of white before and behind a code."""

_PAGE: Final = """<!doctype html>
<html lang="kk">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 11pt sans-serif; margin: 1.5cm }}
h2 {{ break-before: page }}
h2:first-of-type {{ break-before: auto }}
td {{ padding: 2mm 6mm 2mm 0; border-bottom: 0.2mm solid #999 }}
tr {{ break-inside: avoid }}
svg {{ height: 11mm; width: 52mm }}
</style>
<h1>{title}</h1>
{classes}
</html>
"""


def bar_widths(text: str) -> list[int]:
    """Widths of bars and gaps in turn, the first a bar, in modules.

    Args:
        text: printable ASCII.

    >>> bar_widths("17")[:6], len(bar_widths("17"))
    ([2, 1, 1, 2, 1, 4], 31)
    """
    values = [_START_B, *(ord(letter) - 0x20 for letter in text)]
    if any(not 0 <= value < 0x60 for value in values[1:]):
        raise ValueError(f"`{text}` is not printable ASCII")
    check = (_START_B + sum(place * value for place, value in enumerate(values[1:], 1))) % _MODULUS
    return [int(width) for value in (*values, check) for width in _PATTERNS[6 * value : 6 * value + 6]] + [
        int(width) for width in _STOP
    ]


def paper_list(pupils: Iterable[Pupil], title: str) -> str:
    """A page of HTML that prints on A4, one class after another.

    Args:
        pupils: who stands on it, in this order within each class.
        title: stands above it.
    """
    forms: dict[str, list[Pupil]] = {}
    for pupil in pupils:
        forms.setdefault(pupil.form, []).append(pupil)
    classes = "\n".join(
        f"<h2>{html.escape(form) or '–'}</h2>\n<table>\n{''.join(map(_row, found))}</table>"
        for form, found in forms.items()
    )
    return _PAGE.format(title=html.escape(title), classes=classes)


def _row(pupil: Pupil) -> str:
    name = html.escape(pupil.name)
    return f"<tr><td>{pupil.number}</td><td>{name}</td><td>{_svg(str(pupil.number))}</td></tr>\n"


def _svg(text: str) -> str:
    widths = bar_widths(text)
    at, bars = _QUIET, []
    for place, width in enumerate(widths):
        if place % 2 == 0:
            bars.append(f"M{at} 0h{width}v30h-{width}z")
        at += width
    box = f"0 0 {at + _QUIET} 30"
    drawn = "".join(bars)
    return f'<svg viewBox="{box}" preserveAspectRatio="none" shape-rendering="crispEdges"><path d="{drawn}"/></svg>'
