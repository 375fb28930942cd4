"""`edusense bench`: what this machine can do, beside a peer in the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edusense.cli.bench_compare import compare
from edusense.cli.bench_peers import peers
from edusense.cli.bench_plan import case, cases, profiles, run, show
from edusense.cli.bench_power_cut import power_cut
from edusense.cli.bench_sheet import box, camera, disk, reader
from edusense.cli.bench_soak import soak
from edusense.cli.output import json_option, rows, talk
from edusense.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.bench import Figure

COLUMNS = ("what", "unit", "median", "least", "most", "runs", "peer", "peer_median", "ratio", "limit", "good")


class _Bench(click.Group):
    """Takes a plan or a profile where a command would stand: `edusense bench school-40 --out report`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with `run` put before a plan."""
        if args and args[0] not in {*self.commands, "-h", "--help"} and not self._misspelt(args[0]):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _misspelt(self, word: str) -> bool:
        """Whether it looks like one of the commands, and neither like a profile nor like a file."""
        return "." not in word and "-" not in word and nearest(word, self.commands) is not None


@click.group(cls=_Bench)
def command() -> None:
    """Measure this machine and its devices, beside peers and last month, for a report that someone signs.

    A plan or profile is run by its name; `edusense bench run --help` tells its options.

    \b
    Examples:
      edusense bench school-180 --out report/            # a profile: what a school of that size needs
      edusense bench plan.toml --out report/             # a plan of your own
      edusense bench compare report-march report-april   # exit 1 on a change beyond noise
      edusense bench meals --dir /var/lib/edusense       # one thing alone
    """


for _one in (run, compare, show, profiles, cases, case, box, disk, camera, reader, power_cut, soak, peers):
    command.add_command(_one)


def _print(figures: Iterable[Figure], as_json: bool) -> None:
    rows((figure.to_json() for figure in figures), COLUMNS, as_json=as_json)


@command.command()
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False), help="Folder on the disk to measure [default: temporary]."
)
@json_option
def meals(folder: str | None, as_json: bool) -> None:
    """Measure one durable meal beside a raw fdatasync and beside SQLite.

    \b
    Examples:
      edusense bench meals --dir /var/lib/edusense
    """
    from edusense.bench.meals import measure

    talk("one durable meal beside raw fdatasync and SQLite, interleaved …")
    _print(measure(folder), as_json)


@command.command()
@click.option("--cameras", default=200, show_default=True, type=click.IntRange(1, 1000), help="Virtual cameras.")
@click.option("--seconds", default=20, show_default=True, type=click.IntRange(2, 600), help="How long for each.")
@json_option
def ingest(cameras: int, seconds: int, as_json: bool) -> None:
    """Measure the engine receiving virtual cameras.

    At 1080p25 and 4 Mbit/s, beside a bare retina loop.

    \b
    Examples:
      edusense bench ingest --cameras 50
    """
    from edusense.bench.ingest import measure

    talk(f"{cameras} virtual cameras, {seconds} s each for the engine and for a bare retina loop …")
    measured = measure(cameras=cameras, seconds=seconds)
    _print(measured.figures, as_json)
    for note in measured.notes:
        talk(note)


@command.command()
@json_option
def start(as_json: bool) -> None:
    """Measure how long `edusense --help` takes.

    Beside an empty Python.

    \b
    Examples:
      edusense bench start
    """
    from edusense.bench.start import measure

    _print(measure(), as_json)
