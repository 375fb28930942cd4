"""`edusense bench power-cut`: whether a disk keeps what it was given when the plug is pulled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.output import json_option, progress, row, talk
from edusense.nearest import nearest

if TYPE_CHECKING:
    from edusense.bench.power_cut import Cut, Heard

__all__ = ["power_cut"]

_WITNESS: Final = "HOST:PORT for UDP, or a serial port (/dev/ttyUSB0, /dev/ttyUSB0?baud=115200)."


class _PowerCut(click.Group):
    """Takes the folder where a command would stand: `edusense bench power-cut DIR --witness …` is the box's half."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with `box` put before a folder."""
        if args and args[0] not in {*self.commands, "-h", "--help"} and nearest(args[0], self.commands) is None:
            args = ["box", *args]
        return super().parse_args(ctx, args)


@click.group("power-cut", cls=_PowerCut)
def power_cut() -> None:
    """Pull the plug, and count what is missing.

    Two machines and a plug: the box records meals at full rate and tells the witness of each green light; the plug is
    pulled; after the start the ledger is held against the witness's list. docs/guide/power-cut.md tells how.

    \b
    Examples:
      edusense bench power-cut witness 0.0.0.0:9137 --out witness.jsonl       # on the second machine
      edusense bench power-cut /var/lib/edusense/cut --witness 10.20.0.9:9137 # on the box, until the plug is pulled
      edusense bench power-cut check /var/lib/edusense/cut witness.jsonl      # on the box, after the start
      edusense bench power-cut rehearse                                       # without a plug: tries our software
    """


@power_cut.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--witness", required=True, metavar="ADDRESS", help=_WITNESS)
@click.option("--terminals", default=4, show_default=True, type=click.IntRange(1, 64), help="How many record at once.")
@click.option("--seconds", type=click.FloatRange(min=1), help="Stop by itself after so long.")
def box(folder: str, witness: str, terminals: int, seconds: float | None) -> None:
    """Record meals until the power goes.

    The box's half. DIR is a folder of its own on the disk that is tried, not the school's data.

    \b
    Examples:
      edusense bench power-cut box /var/lib/edusense/cut --witness 10.20.0.9:9137
    """
    from edusense.bench.power_cut import open_witness, serve_meals

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    told = open_witness(witness)
    talk(f"{terminals} terminals record into {path / 'ledger'}; each green light goes to {witness}: pull the plug")
    try:
        count = serve_meals(
            path,
            told,
            terminals=terminals,
            seconds=seconds,
            say=lambda meals, passed: talk(f"{meals:,} meals in {passed:.0f} s, {meals / passed:,.0f} a second"),
        )
    finally:
        told.close()
    talk(f"{count:,} meals")


@power_cut.command()
@click.argument("listen", metavar="ADDRESS")
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="The list to write.")
def witness(listen: str, out: str) -> None:
    """Hear of green lights, and write them down.

    The second machine's half: it runs through all cuts, until Ctrl-C. ADDRESS is HOST:PORT to listen on for UDP, or a
    serial port.

    \b
    Examples:
      edusense bench power-cut witness 0.0.0.0:9137 --out witness.jsonl
      edusense bench power-cut witness /dev/ttyUSB0 --out witness.jsonl
    """
    from edusense.bench.power_cut import listen as hear

    talk(f"listening on {listen}; the list is {out}; Ctrl-C ends")
    hear(listen, Path(out), say=_heard)


def _heard(what: str, heard: Heard) -> None:
    if what == "known":
        talk(f"start {heard.run}: {heard.greens:,} green lights, from before")
    elif what == "begun":
        talk(f"start {heard.run} of the box")
    elif what == "silent":
        last = heard.kept[-1].position
        talk(f"start {heard.run}: silent after {heard.greens:,} green lights; the last was record {last}")


@power_cut.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@click.argument("heard", metavar="LIST", type=click.Path(exists=True, dir_okay=False))
@json_option
def check(folder: str, heard: str, as_json: bool) -> int:
    """Compare the ledger with the witness's list.

    Every byte of the ledger is verified, every light that the witness wrote down is looked up, and a meal is recorded.
    What came of it is noted in DIR, where reports find it.

    Exit status: 0 nothing is missing; 1 something is.

    \b
    Examples:
      edusense bench power-cut check /var/lib/edusense/cut witness.jsonl
    """
    from edusense.bench.power_cut import check as compare
    from edusense.bench.power_cut import note

    cut = compare(Path(folder), Path(heard))
    path = note(Path(folder), cut)
    row({"kind": "cut", **cut.to_json()}, as_json=as_json, text=_text(cut))
    if not cut.starts:
        talk("the machine has not been started since: a process was ended, and the disk was not tried")
    if not as_json:
        talk(f"noted in {path}")
    return 0 if cut.kept else 1


@power_cut.command()
@click.option("--cuts", default=200, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.5, 600), help="How long it records.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of moments and losses.")
@json_option
def rehearse(cuts: int, seconds: float, seed: int, as_json: bool) -> int:
    """Try cuts without a plug.

    The real box records under strace; of its system calls a disk is modelled that loses what was not synced, and many
    cuts are tried on it. A tenth as many are tried on a disk that lies, which must be found out. It tries our software,
    and says nothing of this disk.

    Exit status: 0 nothing is missing, and the lying disk was found out; 1 otherwise.

    \b
    Examples:
      edusense bench power-cut rehearse --cuts 1000 --seed 7
    """
    from edusense.bench.power_cut_rehearsal import rehearse as tried

    lying = max(3, cuts // 10)
    with progress(cuts + lying, "cuts") as bar:
        found = tried(cuts, seconds=seconds, seed=seed, lying=lying, say=lambda *_: bar.update(1))
    honest, lied = found[:cuts], found[cuts:]
    bad = [cut for cut in honest if not cut.kept]
    unseen = [cut for cut in lied if cut.kept]
    told: dict[str, Any] = {
        "kind": "rehearsal",
        "cuts": len(honest),
        "kept": len(honest) - len(bad),
        "lost": sum(cut.lost for cut in honest),
        "altered": sum(cut.altered for cut in honest),
        "doubled": sum(cut.doubled for cut in honest),
        "torn": sum(bool(cut.torn) for cut in honest),
        "lying": len(lied),
        "found_out": len(lied) - len(unseen),
        "seed": seed,
    }
    text = (
        f"{told['cuts']} cuts: after {told['kept']} nothing was missing; {told['lost']} lights lost, "
        f"{told['doubled']} meals doubled; {told['torn']} times a record that nobody had seen was torn\n"
        f"{told['lying']} cuts on a disk that lies: {told['found_out']} found out"
    )
    row(told, as_json=as_json, text=text)
    for cut in bad[:3]:
        talk(_text(cut))
    return 1 if bad or unseen else 0


def _text(cut: Cut) -> str:
    kept = "nothing is missing" if cut.kept else "SOMETHING IS MISSING"
    lines = [
        f"{kept}: the witness heard of {cut.greens:,} green lights, {cut.checked} were looked up",
        f"lost {cut.lost}, altered {cut.altered}, doubled {cut.doubled}; {cut.records:,} records, {cut.torn} torn",
        *cut.problems,
    ]
    if not cut.usable:
        lines.append("the ledger takes no meals")
    return "\n".join(lines)
