"""`edusense alerts silence`, `silences` and `unsilence`: places whose findings open no case for a while."""

from __future__ import annotations

import datetime
import re
import time
from typing import Any, Final

import click

from edusense.cli.output import json_option, row, rows, site_option

__all__ = ["silence", "silences", "unsilence"]

_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


class _Duration(click.ParamType[float]):
    """`30m`, `2h`, `1d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,5}(?:\.\d)?)([mhd])", str(value).strip())
        if match is None or float(match[1]) <= 0:
            self.fail(f"`{value}` is no time: write 30m, 2h or 1d", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command()
@click.argument("place", metavar="ZONE|CAMERA")
@site_option
@click.option("--for", "for_s", required=True, type=_Duration(), help="For how long: 30m, 2h, 1d; at most a week.")
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", help="Why, in your own words.")
@json_option
def silence(place: str, site_path: str, for_s: float, by: str, reason: str | None, as_json: bool) -> None:
    """Let findings of a zone, or of a whole camera, open no case for a while.

    They are counted. Who silenced what and until when stands in the case log, and the zone's destinations are told of
    its beginning and its end. What is extreme, and tests, come through all the same.

    \b
    Examples:
      edusense alerts silence attic-door --for 2h --by "А. Серикова" --reason "the electrician"
      edusense alerts silence yard-1 --for 30m --by "А. Серикова"
    """
    import edusense

    done = edusense.connect(site_path).silence(place, for_s=for_s, by=by, reason=reason)
    row(done, as_json=as_json, text=f"silence {done['id']}: {_place(done)} until {_when(done['until_s'])}")


@click.command()
@site_option
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@json_option
def silences(site_path: str, every: bool, as_json: bool) -> None:
    """The silences that are on, with what they left out.

    \b
    Examples:
      edusense alerts silences
      edusense alerts silences --all --json
    """
    import edusense

    found = edusense.connect(site_path).silences(over=every)
    shown = found if as_json else [_line(one) for one in found]
    columns = ["silence", "place", "since", "until", "left_out", "by", "reason"]
    rows(shown, columns, as_json=as_json, empty="nothing is silenced")


@click.command()
@click.argument("silence", type=click.IntRange(1))
@site_option
@click.option("--by", required=True, help="Who says so.")
@json_option
def unsilence(silence: int, site_path: str, by: str, as_json: bool) -> None:
    """End a silence before its time.

    \b
    Examples:
      edusense alerts unsilence 3 --by "А. Серикова"
    """
    import edusense

    done = edusense.connect(site_path).unsilence(silence, by=by)
    row(
        done,
        as_json=as_json,
        text=f"silence {done['id']}: {_place(done)} is over; {done['count']} findings were left out",
    )


def _place(one: Any) -> str:
    return f"camera {one['camera']}" if one["zone"] is None else f"zone {one['zone']}"


def _line(one: Any) -> dict[str, Any]:
    over = one["over"] or one["until_s"] <= time.time()
    return {
        "silence": one["id"],
        "place": _place(one),
        "since": _when(one["since_s"]),
        "until": _when(one["until_s"]) + (" (over)" if over else ""),
        "left_out": one["count"],
        "by": one["by"],
        "reason": one["reason"],
    }


def _when(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M")
