"""`edusense site`: start, check and show the site file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import DeviceError, EdusenseError, SiteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.site import Site

__all__ = ["command"]


@click.group()
def command() -> None:
    """The site file: which rooms, cameras, readers and terminals the school has.

    \b
    Examples:
      edusense site new                 # writes school.toml to start from
      edusense site check               # every error with line and column
      edusense site show
    """


@command.command("new")
@click.argument("file", default="school.toml")
@click.option("--id", "school", default="my-school", show_default=True, help="The school's id: a–z, digits, hyphens.")
@click.option("--number", type=click.IntRange(1, 0xFFFF_FFFF), default=1, help="Its national number.")
@click.option("--timezone", default="Asia/Almaty", show_default=True, help="Its time zone.")
@click.option("--rooms", type=click.IntRange(0, 500), default=2, show_default=True, help="Classrooms to begin with.")
def new(file: str, school: str, number: int, timezone: str, rooms: int) -> None:
    """Write a commented site file to start from.

    An existing file is never overwritten.

    \b
    Examples:
      edusense site new
      edusense site new village.toml --id village-12 --number 51012 --rooms 8
    """
    from edusense.site.template import new_site

    try:
        text = new_site(id=school, number=number, timezone=timezone, rooms=rooms)
    except SiteError as error:
        raise UsageError(error.message, hint=error.hint) from None
    try:
        with click.open_file(file, "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(
            f"`{file}` is there already, and is left as it is", hint="name another file: edusense site new OTHER.toml"
        ) from None
    except OSError as error:
        raise UsageError(f"`{file}` cannot be written: {error.strerror}") from None
    talk(f"{file} written; next: put rooms and cameras into it, then `edusense site check {file}`")


@command.command("check")
@click.argument("file", required=False)
@site_option
@click.option("--strict", is_flag=True, help="Exit status 1 for warnings too.")
@json_option
def check(file: str | None, site_path: str, strict: bool, as_json: bool) -> int:
    """Check a site file: every error, with its line.

    Every error and warning is printed with line and column, not only the first.

    Exit status: 0 no error; 1 warnings, with --strict; 3 errors.

    \b
    Examples:
      edusense site check
      edusense site check school.toml --strict
      edusense site check --json | jq .hint
    """
    from edusense.site import Site

    path = file or site_path
    try:
        site = Site.load(path)
    except SiteError as error:
        errors = [error, *error.others]
        for one in errors:
            _finding(_row("error", one.code, path, one.line, one.column, one.message, one.hint), as_json=as_json)
        if not as_json:
            talk(_count(len(errors), "error"))
        return error.exit_status
    warnings = sorted(_warnings(site, path), key=lambda finding: (finding["line"] or 0, finding["column"] or 0))
    for warning in warnings:
        _finding(warning, as_json=as_json)
    if not as_json:
        told = f", {_count(len(warnings), 'warning')}" if warnings else ""
        talk(f"{path}: no errors{told}; {_summary(site)}")
    return 1 if strict and warnings else 0


@command.command("show")
@click.argument("file", required=False)
@site_option
@json_option
def show(file: str | None, site_path: str, as_json: bool) -> None:
    """Print the site as edusense understands it.

    Defaults are filled in, paths absolute, secrets only references.

    \b
    Examples:
      edusense site show
      edusense site show --json | jq '.cameras[].id'
    """
    from edusense.site import Site

    site = Site.load(file or site_path)
    data = site.to_json()
    if as_json:
        row(data, as_json=True)
        return
    tables = {name: data.pop(name) for name in ("rooms", "cameras", "readers", "terminals", "zones", "destinations")}
    tables["meal slots"] = (data.get("meals") or {}).pop("slots", [])
    facts = [{"key": key, "value": value} for key, value in _flat(data)]
    rows(facts, ["key", "value"], as_json=False)
    for name, entries in tables.items():
        if entries:
            known = dict.fromkeys(column for entry in entries for column in entry)
            columns = [column for column in known if any(entry.get(column) not in (None, [], "") for entry in entries)]
            click.echo(f"\n{name}")
            rows(entries, columns, as_json=False)


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of the site file.

    For editors that complete and check TOML.

    \b
    Examples:
      edusense site schema > school.schema.json
    """
    from edusense.site.schema import site_schema

    click.echo(json.dumps(site_schema(), indent=2, ensure_ascii=False))


def _row(
    severity: str, code: str, path: str, line: int | None, column: int | None, message: str, hint: str | None
) -> dict[str, Any]:
    return {
        "severity": severity,
        "code": code,
        "path": path,
        "line": line,
        "column": column,
        "message": message,
        "hint": hint,
    }


def _finding(finding: dict[str, Any], *, as_json: bool) -> None:
    place = ":".join(str(finding[part]) for part in ("path", "line", "column") if finding[part] is not None)
    hint = f"\n    hint: {finding['hint']}" if finding["hint"] else ""
    row(finding, as_json=as_json, text=f"{place}: {finding['severity']}: {finding['message']}{hint}")


def _warnings(site: Site, path: str) -> Iterator[dict[str, Any]]:
    from edusense.site.checks import warnings_of

    for problem in warnings_of(site):
        line, column = site.place(*problem.loc)
        yield _row("warning", problem.code, path, line, column, problem.message, problem.hint)
    for loc, error in _not_here(site):
        yield _row("warning", error.code, path, *site.place(*loc), error.message, error.hint)


def _not_here(site: Site) -> Iterator[tuple[tuple[str, int, str], EdusenseError]]:
    """Drivers and templates that the file names and this computer lacks: no error, for it may not be the school's."""
    from edusense.alerts.registry import check_table
    from edusense.devices import find_driver
    from edusense.fleet.templates import template

    for index, reader in enumerate(site.readers):
        try:
            find_driver(reader.driver)
        except DeviceError as error:
            yield ("readers", index, "driver"), error
    for index, destination in enumerate(site.destinations):
        try:
            check_table(site, destination)
        except EdusenseError as error:
            yield ("destinations", index, "driver"), error
    told: set[str | None] = {None}
    for index, camera in enumerate(site.cameras):
        if camera.template in told:  # a whole school has a handful of templates: each is read and told of once
            continue
        told.add(camera.template)
        try:
            template(str(camera.template), site.folder)
        except SiteError as error:
            yield ("cameras", index, "template"), error


def _summary(site: Site) -> str:
    slots = 0 if site.meals is None else len(site.meals.slots)
    counts = [
        (len(site.rooms), "room"),
        (len(site.cameras), "camera"),
        (len(site.readers), "reader"),
        (len(site.terminals), "terminal"),
        (slots, "meal slot"),
    ]
    # Not every school has alerts.
    counts += [count for count in ((len(site.zones), "zone"), (len(site.destinations), "destination")) if count[0]]
    return ", ".join(_count(number, name) for number, name in counts)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
