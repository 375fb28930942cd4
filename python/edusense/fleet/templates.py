"""Templates: the settings that a camera should have, as data with reasons, in
`firmware_configs/cameras/<vendor>/<model>.toml`.

Where one is looked for: a `firmware_configs/` beside the site file, then those that driver packages bring, then the
source tree's in an editable installation. The keys are those of `Template` below, each of which the generic template
shows with its reason. Nothing is applied from here; a template is read, checked and handed on.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from edusense.errors import SiteEncodingError, SiteError, SiteFileError, SiteReferenceError, SiteValueError
from edusense.nearest import nearest
from edusense.site.fields import wrong
from edusense.site.problems import from_pydantic, located
from edusense.site.toml import parse

__all__ = [
    "PLACEHOLDERS",
    "Firmware",
    "Setting",
    "Template",
    "fits",
    "match",
    "names",
    "older",
    "template",
    "template_folders",
]

PLACEHOLDERS: Final = ("site.id", "site.timezone", "room.id", "room.kind", "camera.id", "camera.mac", "camera.assigned")
"""What may stand in braces in a text: filled in from the site file."""
_MAX_BYTES: Final = 1 << 20
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")

T = TypeVar("T")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Setting(_Table, Generic[T]):
    """One setting: what is wanted, what will do, what to do where the camera cannot, and why."""

    want: T = Field(description="The value to set.")
    low: T | None = Field(
        default=None, description="The smallest that will do, where a camera rounds; else `want` itself."
    )
    high: T | None = Field(default=None, description="The largest that will do.")
    otherwise: Literal["report", "nearest", "skip"] = Field(
        default="report",
        description="Where the camera cannot: say so, take the nearest that it can, or leave it without a word.",
    )
    why: str = Field(min_length=10, description="The reason, for the person who reads the plan.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for limit, below in ((self.low, True), (self.high, False)):
            if limit is None:
                continue
            if isinstance(limit, (str, bool)) or not isinstance(limit, (int, float)):
                raise wrong("`low` and `high` go with numbers")
            assert isinstance(self.want, (int, float))
            if (limit > self.want) if below else (limit < self.want):
                name = "low" if below else "high"
                raise wrong(f"`want` is {self.want:g}, outside its own limit `{name}` = {limit:g}")
        return self

    @model_validator(mode="after")
    def _known_placeholders(self) -> Self:
        values = self.want if isinstance(self.want, list) else [self.want]
        for value in values:
            for name in _PLACEHOLDER.findall(value) if isinstance(value, str) else ():
                if name not in PLACEHOLDERS:
                    guess = nearest(name, PLACEHOLDERS)
                    hint = f"perhaps {{{guess}}}" if guess else f"known are {', '.join(PLACEHOLDERS)}"
                    raise wrong(f"`{{{name[:40]}}}` stands for nothing here", hint)
        return self


class Matches(_Table):
    """`[matches]`: the cameras that the template is for; what is left out matches every camera."""

    manufacturer: str | None = Field(default=None, description="As the camera tells it; `*` stands for any characters.")
    model: str | None = Field(default=None, description="Likewise.")
    profile: Literal["S", "T"] | None = Field(default=None, description="The ONVIF profile that it must speak.")


class BadFirmware(_Table):
    """`[[firmware.known_bad]]`: one version that must not be in use."""

    version: str = Field(min_length=1, description="As the camera tells it.")
    why: str = Field(min_length=10, description="What it does wrong, and the source.")


class Firmware(_Table):
    """`[firmware]`: versions."""

    minimum: str | None = Field(default=None, description="The oldest that will do.")
    why: str | None = Field(default=None, description="What older ones do wrong.")
    known_bad: list[BadFirmware] = Field(default_factory=list)


class Clock(_Table):
    """`[clock.…]`."""

    timezone: Setting[str] | None = Field(default=None, description="IANA name; written into the camera as POSIX.")
    ntp: Setting[list[str]] | None = Field(default=None, description="NTP servers; an empty list: from DHCP.")


class Identity(_Table):
    """`[identity.…]`."""

    hostname: Setting[str] | None = None
    name: Setting[str] | None = Field(default=None, description="Scope `name`, which discovery shows.")
    location: Setting[str] | None = Field(default=None, description="Scope `location`.")


class Stream(_Table):
    """`[main.…]` and `[sub.…]`: one video encoder."""

    encoding: Setting[Literal["H264", "H265"]] | None = None
    profile: Setting[Literal["Baseline", "Main", "High"]] | None = None
    width: Setting[int] | None = Field(default=None, description="Pixels.")
    height: Setting[int] | None = Field(default=None, description="Pixels.")
    fps: Setting[float] | None = Field(default=None, description="Pictures a second.")
    gop_s: Setting[float] | None = Field(default=None, description="Seconds from one key picture to the next.")
    rate_control: Setting[Literal["vbr", "cbr"]] | None = None
    kbit: Setting[int] | None = Field(default=None, description="The most, in kbit/s.")
    quality: Setting[float] | None = Field(default=None, description="Share of the camera's own range, 0 to 1.")
    slices: Setting[int] | None = Field(default=None, description="Slices a picture.")
    smart_codec: Setting[bool] | None = Field(default=None, description="H.264+, Zipstream, Smart Codec …")


class Imaging(_Table):
    """`[imaging.…]`."""

    noise_reduction: Setting[bool] | None = None
    wide_dynamic_range: Setting[bool] | None = None
    ir_cut: Setting[Literal["auto", "on", "off"]] | None = None


class Osd(_Table):
    """`[osd.…]`: text burned into the picture."""

    text: Setting[str] | None = None
    clock: Setting[bool] | None = None


class Network(_Table):
    """`[network.…]`."""

    discoverable: Setting[bool] | None = None
    dns: Setting[list[str]] | None = Field(default=None, description="DNS servers; an empty list: from DHCP.")
    gateway: Setting[str] | None = Field(default=None, description="IPv4 address of the way out.")
    dhcp: Setting[bool] | None = Field(default=None, description="Whether it takes its address from DHCP.")
    address: Setting[str] | None = Field(
        default=None, description="Its own address with the network's prefix: `{camera.assigned}` of the site file."
    )


class Template(_Table):
    """A template: what matches it, and the settings that a camera should have."""

    summary: str = Field(min_length=1, max_length=200, description="One line for people.")
    extends: str | None = Field(
        default=None, description="A template whose settings hold where this one says nothing: `generic/onvif-t`."
    )
    without: list[str] = Field(
        default_factory=list, description="Settings of that one that do not hold: `identity.hostname`."
    )
    matches: Matches = Field(default_factory=Matches)
    firmware: Firmware = Field(default_factory=Firmware)
    clock: Clock = Field(default_factory=Clock)
    identity: Identity = Field(default_factory=Identity)
    main: Stream = Field(default_factory=Stream)
    sub: Stream = Field(default_factory=Stream)
    imaging: Imaging = Field(default_factory=Imaging)
    osd: Osd = Field(default_factory=Osd)
    network: Network = Field(default_factory=Network)
    users: dict[str, Setting[Literal["administrator", "operator", "user", "absent"]]] = Field(
        default_factory=dict, description="`[users.NAME]`: the level that a user should have, or that there is none."
    )

    _parent: Template | None = PrivateAttr(default=None)
    _name: str = PrivateAttr(default="")
    _path: Path | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """Its name, as in a camera's `template`."""
        return self._name

    @property
    def path(self) -> Path | None:
        """The file that it was read from."""
        return self._path

    def anchor(self, name: str, path: Path | None) -> None:
        """Says where it was read from; called once by loading."""
        self._name, self._path = name, path

    def anchor_parent(self, parent: Template) -> None:
        """Says what it extends; called once by loading."""
        self._parent = parent

    def settings(self) -> dict[str, Setting[Any]]:
        """Every setting that it wants, by its dotted name; those of the template that it extends included.

        >>> template("generic/onvif-t").settings()["main.rate_control"].want
        'vbr'
        """
        found: dict[str, Setting[Any]] = {}
        if self._parent is not None:
            found = {name: one for name, one in self._parent.settings().items() if name not in self.without}
        for part in ("clock", "identity", "main", "sub", "imaging", "osd", "network"):
            table = getattr(self, part)
            for key in type(table).model_fields:
                if (setting := getattr(table, key)) is not None:
                    found[f"{part}.{key}"] = setting
        found |= {f"users.{name}": setting for name, setting in self.users.items()}
        return found

    @classmethod
    def loads(cls, text: str, *, path: str | None = None) -> Self:
        """Checks the text of a template.

        Args:
            text: TOML.
            path: the file that it stands for, named in errors.

        Raises:
            SiteSyntaxError: it is not TOML.
            SiteUnknownKeyError: a key that there is not; the hint names the nearest.
            SiteValueError: a value of the wrong kind or outside its limits.
        """
        try:
            data, keys, values = parse(text)
        except SiteError as error:
            error.path = path
            raise
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            problems = [
                replace(one, message=one.message.replace("in the site file", "in a template"))
                for one in from_pydantic(error, data, cls)
            ]
            found = located(problems, keys, values, path)
            assert found is not None
            raise found from None


def template_folders(folder: Path | None = None) -> list[Path]:
    """The folders `firmware_configs/cameras` that there are, in the order in which they are asked.

    Args:
        folder: the site file's folder.
    """
    found = [] if folder is None else [folder / "firmware_configs"]
    for point in metadata.entry_points(group="edusense.drivers"):
        spec = importlib.util.find_spec(point.module.partition(".")[0])
        for place in (spec.submodule_search_locations or []) if spec else []:
            found.append(Path(place) / "firmware_configs")
            if _is_editable(point.dist):
                found.append(Path(place).parent.parent / "firmware_configs")
    return [place / "cameras" for place in dict.fromkeys(found) if (place / "cameras").is_dir()]


def _is_editable(distribution: metadata.Distribution | None) -> bool:
    """Whether a package stands in its source tree, where `firmware_configs/` has not been copied into it."""
    said = distribution.read_text("direct_url.json") if distribution else None
    try:
        return bool(json.loads(said or "{}").get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def names(folder: Path | None = None) -> list[str]:
    """The names of all templates that there are.

    Args:
        folder: the site file's folder.
    """
    return sorted(
        {
            str(file.relative_to(place).with_suffix(""))
            for place in template_folders(folder)
            for file in place.rglob("*.toml")
        }
    )


def template(name: str, folder: Path | None = None, above: tuple[str, ...] = ()) -> Template:
    """Reads a template.

    Args:
        name: as in a camera's `template`: a file below `firmware_configs/cameras`, without `.toml`.
        folder: the site file's folder, whose own `firmware_configs/` goes first.
        above: templates that extend it.

    Raises:
        SiteReferenceError: there is none of that name; the hint names the nearest. Or it extends itself.
        SiteError: it is there and wrong; with line and column.

    >>> template("generic/onvif-t").main.gop_s.want
    2.0
    """
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) and ".." not in name.split("/"):
        for place in template_folders(folder):
            path = place / f"{name}.toml"
            if path.is_file():
                return _loaded(name, path, folder, above)
    known = names(folder)
    guess = nearest(name, known)
    if guess:
        hint = f"perhaps `{guess}`"
    elif known:
        hint = f"there are: {', '.join(known)}"
    else:
        hint = "the drivers bring some: pip install edusense-drivers"
    raise SiteReferenceError(f"there is no template `{name[:80]}`", hint=hint)


def _loaded(name: str, path: Path, folder: Path | None, above: tuple[str, ...]) -> Template:
    found = Template.loads(_text(path), path=str(path))
    found.anchor(name, path)
    if found.extends is None:
        if found.without:
            raise SiteValueError("`without` goes with `extends`", path=str(path))
        return found
    if found.extends in (*above, name):
        raise SiteReferenceError(f"`{name}` extends `{found.extends}`, which extends it", path=str(path))
    parent = template(found.extends, folder, (*above, name))
    known = parent.settings()
    for one in found.without:
        if one not in known:
            guess = nearest(one, known)
            raise SiteReferenceError(
                f"`without` names `{one}`, which `{found.extends}` does not have",
                hint=f"perhaps `{guess}`" if guess else None,
                path=str(path),
            )
    found.anchor_parent(parent)
    return found


def match(
    manufacturer: str, model: str, profile: Literal["S", "T"] | None = None, folder: Path | None = None
) -> tuple[str | None, str]:
    """The template for a camera.

    The one that says most about it goes before the others: manufacturer and model before manufacturer alone, before the
    profile alone; a longer pattern before a shorter.

    Args:
        manufacturer: as the camera tells it.
        model: likewise.
        profile: the ONVIF profile that it speaks, where that is known.
        folder: the site file's folder.

    Returns:
        Its name, and why; None where none fits, or two fit equally well: then the words name them.

    Raises:
        SiteError: a template is wrong.

    >>> match("Acme", "X100", "T")
    ('generic/onvif-t', 'the profile fits')
    """
    best: list[tuple[int, int, str]] = []
    for name in names(folder):
        wanted = template(name, folder).matches
        told = ((wanted.manufacturer, manufacturer), (wanted.model, model))
        if any(pattern is not None and not fits(pattern, said) for pattern, said in told):
            continue
        if wanted.profile is not None and profile is not None and wanted.profile != profile:
            continue
        given = [pattern for pattern, _ in told if pattern is not None]
        if not given and wanted.profile is None:
            continue  # it fits everybody: only who names it gets it
        best.append((len(given), sum(len(one.replace("*", "")) for one in given), name))
    if not best:
        return None, f"no template fits `{manufacturer} {model}`"
    best.sort(reverse=True)
    equal = [name for parts, length, name in best if (parts, length) == best[0][:2]]
    if len(equal) > 1 and best[0][0] == 0:
        # Of generic ones: the newer profile, where nothing is known of what it speaks.
        equal = [name for name in equal if template(name, folder).matches.profile == (profile or "T")] or equal
    if len(equal) > 1:
        return None, f"`{'` and `'.join(sorted(equal))}` fit `{manufacturer} {model}` equally well"
    said = {0: "the profile fits", 1: "the manufacturer fits", 2: "manufacturer and model fit"}[best[0][0]]
    return equal[0], said


def fits(pattern: str, said: str) -> bool:
    """Whether what a camera says fits a pattern; capitals do not matter.

    >>> fits("hikvision*", "HIKVISION")
    True
    """
    return fnmatch.fnmatchcase(said.casefold(), pattern.casefold())


def older(version: str, minimum: str) -> bool:
    """Whether a firmware's version is below another: numbers compared as numbers, from the left.

    >>> older("V5.5.82 build 190909", "V5.7.0"), older("2.800", "2.80")
    (True, False)
    """

    def numbers(said: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", said)][:4]

    mine, wanted = numbers(version), numbers(minimum)
    return bool(mine) and bool(wanted) and mine < wanted


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SiteFileError(f"it cannot be read: {error.strerror}", path=str(path)) from None
    if len(content) > _MAX_BYTES:
        raise SiteFileError(f"it is longer than {_MAX_BYTES >> 20} MiB", path=str(path))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SiteEncodingError("not UTF-8", hint="save it as UTF-8", path=str(path), line=line, column=1) from None
