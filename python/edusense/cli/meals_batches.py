"""`edusense meals batches|key|prove|check-proof`: signed batches, the keys, and proofs of single meals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import BatchError, UsageError

if TYPE_CHECKING:
    from edusense.meals import Ledger, Streams

__all__ = ["COMMANDS"]

_key = click.option(
    "--key",
    "key_path",
    metavar="FILE",
    help="The secret key; without it, `meals.key` beside the ledger's folder.",
)


@click.group("batches")
def batches_group() -> None:
    """Signed batches of records, as files.

    For a USB stick where there is no line, for an auditor, for another program. The bytes are described in
    docs/reference/batch-format.md.

    \b
    Examples:
      edusense meals batches list
      edusense meals batches export --out /media/usb
      edusense meals batches import /media/usb
    """


@batches_group.command("list")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def list_command(folder: str | None, site_path: str, as_json: bool) -> None:
    """List what a ledger holds by terminal and epoch, and how much of it the hub has signed for.

    \b
    Examples:
      edusense meals batches list
      edusense meals batches list /var/lib/edusense/ledger --json
    """
    from edusense.meals import Acknowledgements

    ledger = _reading(folder, site_path)
    streams, kept = ledger.streams(), Acknowledgements(ledger.folder)
    found = []
    for stream in streams:
        told = kept.of(stream.terminal, stream.epoch)
        before = stream.follows
        found.append(
            {
                "terminal": stream.terminal,
                "epoch": f"{stream.epoch:08x}",
                "first": stream.first,
                "last": stream.last,
                "follows": f"{before[0]:08x}/{before[1]}" if before[0] else None,
                "acknowledged": 0 if told is None else told.sequence,
                "acknowledged_s": None if told is None else told.time / 1e6,
            }
        )
    rows(found, ("terminal", "epoch", "first", "last", "follows", "acknowledged"), as_json=as_json)
    if streams.damage is not None:
        raise streams.damage


@batches_group.command("export")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--out", "out", metavar="FOLDER", required=True, help="Where the files go; it is made if it is not there."
)
@click.option("--all", "everything", is_flag=True, help="Also what the hub has signed for already.")
@click.option(
    "--size", type=click.IntRange(1, 65_536), default=1024, show_default=True, help="Most records of a batch."
)
@_key
@site_option
@json_option
def export_command(
    folder: str | None,
    out: str,
    everything: bool,
    size: int,
    key_path: str | None,
    site_path: str,
    as_json: bool,
) -> None:
    """Write the records that the hub has not signed for into signed batches, a file each.

    May run beside the box. The same records give the same files: those that are there are left as they are.

    \b
    Examples:
      edusense meals batches export --out /media/usb
      edusense meals batches export /var/lib/edusense/ledger --out batches --all --json
    """
    from edusense.meals import Acknowledgements, batches_of
    from edusense.meals.files import write_whole

    ledger = _reading(folder, site_path)
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    streams, done = ledger.streams(), Acknowledgements(ledger.folder).sequences()
    count = 0
    for batch in batches_of(streams, _keys(ledger, key_path), after={} if everything else done, size=size):
        path = target / batch.name
        if not path.exists() or path.read_bytes() != batch.data:
            write_whole(path, batch.data)
        row(batch.to_json() | {"file": str(path)}, as_json=as_json, text=str(path))
        count += 1
    if not count:
        talk("nothing to send: the hub has signed for all of it")
    if streams.damage is not None:
        raise streams.damage


@batches_group.command("import")
@click.argument("source", metavar="SOURCE", type=click.Path(exists=True))
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--hub-key", metavar="KEY", help="The hub's public key: a PEM file, or 64 hex digits.")
@site_option
@json_option
def import_command(source: str, folder: str | None, hub_key: str | None, site_path: str, as_json: bool) -> int:
    """Take what a stick brings back: the hub's acknowledgements are checked and kept, batches held against the ledger.

    SOURCE is a file or a folder of them. Says of each what became of it: kept, known, same, differs, missing (records
    that are not in this ledger), refused. Exits with 1 if one of them is not as it should be.

    \b
    Examples:
      edusense meals batches import /media/usb --hub-key hub.pub
      edusense meals batches import 51001-1-9f3a01bc-0000000001-0000000040.edbatch --json
    """
    from edusense.meals import read_public_key
    from edusense.meals.batches import BATCH_SUFFIX

    ledger = _reading(folder, site_path)
    streams = ledger.streams()
    place = Path(source)
    wanted = (BATCH_SUFFIX, ".edack")
    files = sorted(one for one in place.iterdir() if one.suffix in wanted) if place.is_dir() else [place]
    trusted = None if hub_key is None else read_public_key(hub_key)
    worst = 0
    for path in files:
        try:
            outcome, told = _take(path, ledger, streams, trusted), None
        except (BatchError, UsageError) as error:
            outcome, told = "refused", str(error)
        line = {"file": str(path), "outcome": outcome, "told": told}
        row(line, as_json=as_json, text=f"{path.name}: {outcome}" + ("" if told is None else f": {told}"))
        worst = max(worst, outcome not in {"kept", "known", "same"})
    if not files:
        talk(f"no `*{BATCH_SUFFIX}` and no `*.edack` in `{place}`")
    return int(worst)


def _take(path: Path, ledger: Ledger, streams: Streams, hub_key: bytes | None) -> str:
    from edusense.meals import Acknowledgement, Acknowledgements, Batch
    from edusense.meals.acknowledgements import ACKNOWLEDGEMENT_BYTES
    from edusense.meals.batches import MOST_BATCH_BYTES
    from edusense.meals.files import read_at_most

    if path.suffix == ".edack":
        told = Acknowledgement.read(read_at_most(path, ACKNOWLEDGEMENT_BYTES))
        return "kept" if Acknowledgements(ledger.folder).take(told, streams, hub_key=hub_key) else "known"
    batch = Batch.read(read_at_most(path, MOST_BATCH_BYTES))
    try:
        stream = streams.stream(batch.terminal, batch.epoch)
    except UsageError:
        return "missing"
    first, last = max(batch.first, stream.first), min(batch.last, stream.last)
    if first <= last:
        own = streams.records(batch.terminal, batch.epoch, first, last)
        if own.tobytes() != batch.records[first - batch.first : last - batch.first + 1].tobytes():
            return "differs"
    return "missing" if batch.last > stream.last else "same"


@click.group("key")
def key_group() -> None:
    """The key that a box signs its batches with.

    `meals.key` (mode 0600) and `meals.pub` beside the ledger's folder.

    \b
    Examples:
      edusense meals key new
      edusense meals key show
      edusense meals key rotate
    """


@key_group.command("show")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def show_command(folder: str | None, site_path: str, as_json: bool) -> None:
    """Print the public key of a box; the secret half is never printed.

    \b
    Examples:
      edusense meals key show
      edusense meals key show --json
    """
    _show(ledger_folder_of(folder, site_path).parent, as_json)


@key_group.command("new")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def new_command(folder: str | None, site_path: str, as_json: bool) -> None:
    """Make a box's first key, as at installing; one that is there stays.

    \b
    Examples:
      edusense meals key new
    """
    from edusense.meals import KeyRing

    place = ledger_folder_of(folder, site_path).parent
    KeyRing.load_or_make(place)
    _show(place, as_json)


@key_group.command("rotate")
@site_option
@json_option
def rotate_command(site_path: str, as_json: bool) -> None:
    """Make a new key, and record in the ledger that it is the one from here on.

    The ledger is opened for it, so the box must not run. Keys that were before are kept: what was recorded up to a
    change is signed with the key before it. The hub need not have heard of the last change yet.

    \b
    Examples:
      edusense meals key rotate
    """
    from edusense.meals import KeyRing, Ledger
    from edusense.meals.of_site import ledger_folder
    from edusense.site import Site

    site = Site.load(site_path)
    folder = ledger_folder(site)
    keys = KeyRing.load(folder.parent)
    with Ledger.open(folder, school=site.site.number) as ledger:
        keys.rotate(ledger, folder.parent)
    _show(folder.parent, as_json)


@click.command("prove")
@click.argument("folder", metavar="DIR")
@click.argument("record", metavar="RECORD")
@click.option("--out", "out", metavar="FILE", required=True, help="Where the proof goes: a small JSON file.")
@click.option("--batch", "batch_path", metavar="FILE", help="A batch that was signed; then no key is needed.")
@_key
@json_option
def prove_command(
    folder: str, record: str, out: str, batch_path: str | None, key_path: str | None, as_json: bool
) -> None:
    """Prove one meal to somebody who may not see the others'.

    RECORD is its key, TERMINAL/EPOCH/SEQUENCE, as `meals export` prints it. The proof is the record, the signed head of
    its batch, and the hashes between them.

    \b
    Examples:
      edusense meals prove /var/lib/edusense/ledger 1/9f3a01bc/17 --out proof.json
    """
    import json

    from edusense.meals import Batch, RecordKey
    from edusense.meals.batches import MOST_BATCH_BYTES
    from edusense.meals.files import read_at_most, write_whole

    ledger = _reading(folder, "")
    key = RecordKey.parse(record)
    if batch_path is None:
        proof = ledger.prove(key, _keys(ledger, key_path))
    else:
        proof = ledger.prove(key, batch=Batch.read(read_at_most(Path(batch_path), MOST_BATCH_BYTES)))
    write_whole(Path(out), (json.dumps(proof.to_json(), indent=1) + "\n").encode())
    row({"record": str(key), "file": out, "steps": len(proof.path)}, as_json=as_json, text=f"proof of {key} in {out}")


@click.command("check-proof")
@click.argument("proof", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--key", "key", metavar="KEY", required=True, help="The school's public key: a PEM file, or 64 hex digits."
)
@json_option
def check_proof_command(proof: str, key: str, as_json: bool) -> int:
    """Check the proof of one meal; needs only the file and the school's public key.

    Exits with 0 if it holds, 1 if it does not, 6 if it is no proof.

    \b
    Examples:
      edusense meals check-proof proof.json --key meals.pub
      edusense meals check-proof proof.json --key 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
    """
    from edusense.meals import Proof, RecordKey, kind_name, read_public_key
    from edusense.meals.export import iso_day
    from edusense.meals.files import read_at_most
    from edusense.meals.proofs import MOST_PROOF_BYTES

    trusted = read_public_key(key)
    read = Proof.read(read_at_most(Path(proof), MOST_PROOF_BYTES))
    line: dict[str, Any] = dict.fromkeys(("school", "record", "kind", "pupil", "day", "slot", "price_tiyn", "time_s"))
    try:
        record, header = read.check(trusted)
    except BatchError as error:
        row(line | {"holds": False, "told": str(error)}, as_json=as_json, text=f"does not hold: {error}")
        return 1
    line = {
        "school": header.school,
        "record": str(RecordKey.of(record)),
        "kind": kind_name(int(record["kind"])),
        "pupil": int(record["pupil"]),
        "day": iso_day(int(record["day"])) if record["day"] else None,
        "slot": bytes(record["slot"]).decode("ascii") or None,
        "price_tiyn": int(record["price"]),
        "time_s": int(record["time"]) / 1e6,
        "holds": True,
        "told": None,
    }
    text = "holds: {kind} {record} of school {school}: pupil {pupil}, {day}, {slot}, {price_tiyn} tiyn".format(**line)
    row(line, as_json=as_json, text=text)
    return 0


def ledger_folder_of(folder: str | None, site_path: str) -> Path:
    """The folder that was named, or the site's."""
    if folder is not None:
        return Path(folder).absolute()
    from edusense.meals.of_site import ledger_folder
    from edusense.site import Site

    return ledger_folder(Site.load(site_path))


def _reading(folder: str | None, site_path: str) -> Ledger:
    from edusense.meals import Ledger

    return Ledger.open(ledger_folder_of(folder, site_path), read_only=True)


def _keys(ledger: Ledger, key_path: str | None) -> Any:
    from edusense.meals import KeyRing, SigningKey

    if key_path is not None:
        return KeyRing(SigningKey.load(Path(key_path)))
    return KeyRing.load(ledger.folder.absolute().parent)


def _show(place: Path, as_json: bool) -> None:
    from edusense.meals import KeyRing
    from edusense.meals.keys import PUBLIC_NAME

    public = KeyRing.load(place).current.public
    found = {"key": public.hex(), "fingerprint": _fingerprint(public), "file": str(place / PUBLIC_NAME)}
    row(found, as_json=as_json, text=f"{found['key']}  {found['fingerprint']}  {found['file']}")


def _fingerprint(public: bytes) -> str:
    from edusense.meals.keys import fingerprint

    return fingerprint(public)


COMMANDS = (batches_group, key_group, prove_command, check_proof_command)
