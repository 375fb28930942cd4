"""The site file as types: what stands in each table, with its limits and defaults.

The names are those of the file. Every model is strict (no text where a number is meant), refuses keys that
it does not know, and cannot be changed after loading.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from edusense.errors import SiteSecretError, UsageError
from edusense.nearest import nearest
from edusense.site.fields import (
    Address,
    Assigned,
    Certificate,
    Clock,
    Days,
    DestinationUrl,
    FilePath,
    Hours,
    Id,
    Line,
    ListenAddress,
    Mac,
    Name,
    Polygon,
    Price,
    PublicKey,
    Secret,
    SlotId,
    StreamUrl,
    Template,
    TimeZone,
    WebUrl,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = [
    "Camera",
    "Credentials",
    "Destination",
    "Fleet",
    "Hub",
    "Light",
    "Listening",
    "Meals",
    "Pages",
    "Reader",
    "Recording",
    "Room",
    "RoomKind",
    "School",
    "Site",
    "Slot",
    "Terminal",
    "Zone",
]

RoomKind = Literal[
    "classroom",
    "corridor",
    "stairs",
    "gym",
    "library",
    "canteen",
    "kitchen",
    "entrance",
    "grounds",
    "perimeter",
    "assembly-hall",
    "robotics",
    "chemistry",
    "biology",
    "physics",
    "informatics",
    "workshop",
    "staff",
    "medical",
    "cloakroom",
    "dormitory",
    "bus",
    "attic",
    "basement",
    "service",
    "other",
]


class _Table(BaseModel):
    """What all tables of the site file share."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False, populate_by_name=False
    )


class School(_Table):
    """`[site]`: which school this is."""

    id: Id = Field(description="The school's id, as in reports and addresses.")
    number: int = Field(ge=1, le=0xFFFF_FFFF, description="The school's national number; stands in every meal record.")
    timezone: TimeZone = Field(
        default="Asia/Almaty", description="The IANA time zone that slots and days are counted in."
    )
    uplink_kbit: int = Field(
        default=30_000, ge=0, le=100_000_000, description="What the way out carries, in kbit/s; 0 without internet."
    )
    data: FilePath = Field(
        default=Path("data"), description="Folder of ledger, state and socket; relative to the site file."
    )


class Recording(_Table):
    """`[recording]`: where clips are kept; another disk than the ledger's, where there is one."""

    data: FilePath | None = Field(
        default=None, description="Folder of clips; without it, `clips` in the site's data folder."
    )
    budget_gb: int = Field(
        default=20, ge=1, le=1_000_000, description="Disk space for clips, in 10⁹ bytes; the oldest go first."
    )


class Credentials(_Table):
    """`[credentials.NAME]`: a user, and where the password is."""

    user: Name = Field(description="The user on the device.")
    password: Secret = Field(
        description="Where the password is: env:NAME or file:PATH (mode 0600). Never the password."
    )

    _folder: Path = PrivateAttr(default=Path())
    _place: tuple[str | None, int | None, int | None] = PrivateAttr(default=(None, None, None))

    def anchor(self, folder: Path, place: tuple[str | None, int | None, int | None]) -> None:
        """Says where relative paths start, and where in which file this stands, for errors; called once by loading."""
        self._folder, self._place = folder, place

    def secret(self) -> str:
        """The password, read now from where the site file says it is.

        Raises:
            SiteSecretError: the variable is not set; the file is not there, may be read by others than its owner,
                or is empty.
        """
        from edusense.site.secrets import resolve

        return resolve(self.password, self._folder, place=self._place)


class Fleet(_Table):
    """`[fleet]`: what bringing up the cameras needs."""

    key: Secret | None = Field(
        default=None,
        description="Where the key is that the journal of password changes is encrypted with: env:NAME or file:PATH.",
    )

    _folder: Path = PrivateAttr(default=Path())
    _place: tuple[str | None, int | None, int | None] = PrivateAttr(default=(None, None, None))

    def anchor(self, folder: Path, place: tuple[str | None, int | None, int | None]) -> None:
        """Says where relative paths start, and where in which file this stands, for errors; called once by loading."""
        self._folder, self._place = folder, place

    def secret(self) -> str:
        """The key, read now from where the site file says it is.

        Raises:
            SiteSecretError: the site file names none, or it cannot be read.
        """
        from edusense.site.secrets import resolve

        if self.key is None:
            path, line, column = self._place
            raise SiteSecretError(
                "[fleet] names no `key`, which the journal of password changes is encrypted with",
                hint='(umask 077; head -c 32 /dev/urandom | base64 > fleet.key), then [fleet] key = "file:fleet.key"',
                path=path,
                line=line,
                column=column,
            )
        return resolve(self.key, self._folder, place=self._place)


class Room(_Table):
    """`[[rooms]]`: a room of the school; a report shows which have no working camera."""

    id: Id = Field(description="The room's id, as on its door.")
    kind: RoomKind = Field(description="What it is used for.")
    name: Name | None = Field(default=None, description="What people call it.")
    seats: int | None = Field(default=None, ge=0, le=10_000, description="How many people it is meant for.")


class _Aside:
    """What a table knows of others, beside its own values: it makes two tables neither equal nor different."""

    def __init__(self) -> None:
        self.credentials: Credentials | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Aside)

    def __hash__(self) -> int:
        return 0


class Camera(_Table):
    """`[[cameras]]`: one camera, by `address` (ONVIF) or by `url` (a camera without ONVIF)."""

    id: Id = Field(description="The camera's id, as in events and reports.")
    room: Id = Field(description="The room that it looks into.")
    address: Address | None = Field(
        default=None, description="Host or IP address for ONVIF, with port and path where they are not the usual ones."
    )
    url: StreamUrl | None = Field(default=None, description="The stream itself, for a camera without ONVIF.")
    keep_url: StreamUrl | None = Field(
        default=None, description="With `url`: the larger stream that clips are cut from, where there are two."
    )
    mac: Mac | None = Field(default=None, description="Who it is, when its address changes.")
    serial: Name | None = Field(default=None, description="Likewise, where it tells no MAC address.")
    assigned: Assigned | None = Field(
        default=None,
        description="The address that it is to have, with the network's prefix: set by a template that says so.",
    )
    certificate: Certificate | None = Field(
        default=None, description="Where its address is https: the SHA-256 of its certificate."
    )
    template: Template | None = Field(
        default=None, description="Its desired settings: a file below firmware_configs/cameras."
    )
    credentials: Id | None = Field(default=None, description="A table of [credentials].")
    watch: Name = Field(default="sub", description="The profile that is analysed: sub, main, or a profile's own name.")
    keep: Name = Field(default="main", description="The profile that clips are cut from.")
    record: Literal["events", "always", "never"] = Field(default="events", description="What is kept of it.")

    _aside: _Aside = PrivateAttr(default_factory=_Aside)

    def anchor(self, credentials: Credentials | None) -> None:
        """Says what its `credentials` name; called once by loading."""
        self._aside.credentials = credentials

    def login(self) -> Credentials | None:
        """User and password that the site file names for it; None where it names none.

        >>> text = '[site]\\nid = "s"\\nnumber = 1\\n[[rooms]]\\nid = "1"\\nkind = "gym"\\n[[cameras]]\\nid = "a"'
        >>> Site.loads(text + '\\nroom = "1"\\naddress = "10.0.0.1"').cameras[0].login() is None
        True
        """
        return self._aside.credentials


class Reader(_Table):
    """`[[readers]]`: a card reader and the port that it is on."""

    id: Id = Field(description="The reader's id.")
    driver: Id = Field(description="Its driver: rdm6300, ccid, …; `edusense reader list` names them all.")
    port: str = Field(
        default="", max_length=400, description="Where it is, in the words of its driver; best below /dev/serial/by-id."
    )

    @property
    def address(self) -> str:
        """What `edusense.devices.open_reader` takes: `rdm6300:/dev/ttyUSB0`."""
        return f"{self.driver}:{self.port}"


class Light(_Table):
    """`light` of a terminal: lamps and a sounder on lines of a GPIO chip."""

    chip: FilePath = Field(description="The chip: /dev/gpiochip0.")
    green: int | None = Field(default=None, ge=0, le=1023, description="Line of the green lamp.")
    red: int | None = Field(default=None, ge=0, le=1023, description="Line of the red lamp.")
    sound: int | None = Field(default=None, ge=0, le=1023, description="Line of the sounder.")
    active_low: bool = Field(default=False, description="Whether they are on at 0 V.")


class Terminal(_Table):
    """`[[terminals]]`: a place where cards are shown."""

    id: Id = Field(description="The terminal's id.")
    number: int = Field(ge=1, le=65_535, description="Its number in every record: never reused for another terminal.")
    kind: Literal["meals", "entrance"] = Field(default="meals", description="What a tap means here.")
    room: Id = Field(description="The room that it stands in.")
    reader: Id | None = Field(default=None, description="Its reader; without one, taps come through the box's socket.")
    readers: list[Id] = Field(default_factory=list, description="Further readers of the same terminal.")
    direction: Literal["in", "out", "both"] = Field(
        default="both", description="At an entrance: which way people go here; `both` tells it by where they were."
    )
    light: Light | None = Field(default=None, description="Its lamps and sounder, where it has some of its own.")

    @property
    def all_readers(self) -> tuple[str, ...]:
        """Its readers, the first one first."""
        return (*(() if self.reader is None else (self.reader,)), *self.readers)


class Slot(_Table):
    """`[[meals.slots]]`: one meal of the day. It runs from `from` up to, and not including, `to`."""

    id: SlotId = Field(description="The slot's id, at most 12 bytes: it is written into every record.")
    from_: Clock = Field(alias="from", description="When it begins, local time.")
    to: Clock = Field(description="When it is over, local time.")
    price_tiyn: Price = Field(alias="price", description='What a meal costs, in tenge as text: "450.00".')
    shift: int | None = Field(default=None, ge=1, le=9, description="Only for pupils of this shift; slots may overlap.")
    days: Days | None = Field(default=None, description='Days of the week that it is on: "mon-fri"; all by default.')


class Meals(_Table):
    """`[meals]`: who may eat, and when."""

    roster: FilePath = Field(
        default=Path("roster.csv"), description="The CSV file of pupils; relative to the site file."
    )
    slots: list[Slot] = Field(default_factory=list, description="The meals of the day.")
    days: Days | None = Field(
        default=None, description='Days of the week with meals: "mon-fri"; all by default, as in a boarding school.'
    )
    boarding: bool = Field(
        default=False, description="Whether pupils sleep here: who came on an earlier day and has not left is there."
    )
    approval: Literal["recorded", "required"] = Field(
        default="recorded",
        description="Whether a list waits for the director's approval, or takes effect and says who approved it.",
    )
    rules: list[Name] = Field(default_factory=list, description="Further rules, of other packages, by name.")
    keep_days: int = Field(
        default=365,
        ge=1,
        le=36_500,
        description="Name, photo and cards of who left are deleted so many days after the last list.",
    )


class Listening(_Table):
    """Where something is served: on this machine alone, unless there are TLS and a token."""

    listen: ListenAddress = Field(
        default="127.0.0.1:8480",
        description="Address and port; another address than this machine's own needs certificate, key and token.",
    )
    certificate: FilePath | None = Field(default=None, description="TLS certificate with its chain, PEM.")
    key: FilePath | None = Field(default=None, description="Its private key, PEM; a file that only the box may read.")
    token: Secret | None = Field(
        default=None, description="Where the token is that lets others in: env:NAME, file:PATH."
    )

    @property
    def host(self) -> str:
        """The address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2])


class Pages(Listening):
    """`[pages]`: the pages of the box: kiosks of terminals, the canteen's day and month, who is in the building."""

    languages: list[Literal["kk", "ru", "en"]] = Field(
        default=["kk", "ru"],
        min_length=1,
        max_length=3,
        description="Of the kiosks; the first is largest.",
    )


class Hub(_Table):
    """`[hub]`: the city's hub, which signed batches of records go to."""

    url: WebUrl = Field(description="Where it is; https, unless it is on this machine.")
    key: PublicKey | None = Field(
        default=None,
        description="Its public key, 64 hex digits; without it the first one that is met is believed, and no other.",
    )
    token: Secret | None = Field(
        default=None, description="Where the token is that the hub asks for: env:NAME, file:PATH."
    )
    ca: FilePath | None = Field(
        default=None, description="A file of certificates that are trusted instead of this machine's."
    )


class Zone(_Table):
    """`[[zones]]`: a part of a camera's picture that means something."""

    id: Id = Field(description="The zone's id.")
    camera: Id = Field(description="The camera whose picture it is in.")
    polygon: Polygon = Field(
        default_factory=lambda: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
        description="Its corners in order, as shares of the picture: [0, 0] is the upper left. Only with a `line` the "
        "whole picture by default.",
    )
    kind: Literal["forbidden", "watch", "ignore"] = Field(
        description="What motion in it means: `ignore`, no event; `watch`, the camera is watched there and in "
        "its `forbidden` zones only; `forbidden`, an alert."
    )
    hours: Hours = Field(default="always", description="When it applies.")
    alert: list[Id] = Field(default_factory=list, description="The destinations that are told.")
    severity: Literal["minor", "moderate", "severe", "extreme"] | None = Field(
        default=None, description="How grave an alert of it is: `severe` where it is forbidden, else `minor`."
    )
    min_size: float = Field(
        default=0.001, ge=0, le=1, description="Only what covers so much of the picture inside the zone counts."
    )
    min_s: float = Field(default=0.0, ge=0, le=3600, description="Only what stays in it for so many seconds counts.")
    line: Line | None = Field(default=None, description="Two points of a line: only crossing it counts.")
    direction: Literal["left", "right", "any"] = Field(
        default="any", description="Which way, as seen by somebody who looks along the line from its first point."
    )
    escalate_s: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="An alert that nobody answers for so many seconds becomes graver: 300 where severe. 0: never.",
    )
    escalate: list[Id] = Field(default_factory=list, description="Destinations that are told then, too.")


class Destination(_Table):
    """`[[destinations]]`: where alerts go."""

    id: Id = Field(description="The destination's id.")
    driver: Id = Field(description="How it is spoken to: https-json, mqtt, smtp, command, …")
    url: DestinationUrl | None = Field(default=None, description="Where it is; a `command` has none.")
    credentials: Id | None = Field(
        default=None, description="A table of [credentials]: the user is who signs, the password is the shared secret."
    )
    ca: FilePath | None = Field(
        default=None, description="A file of certificates that are trusted instead of this machine's."
    )
    options: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="What is its driver's alone."
    )


_WithId = TypeVar("_WithId", Room, Camera, Reader, Terminal, Zone, Destination)


class Site(_Table):
    """The site file: one school, its rooms and devices.

    >>> site = Site.loads('[site]\\nid = "school-51"\\nnumber = 51001\\n[[rooms]]\\nid = "205"\\nkind = "classroom"')
    >>> site.site.timezone, site.rooms[0].kind
    ('Asia/Almaty', 'classroom')
    """

    site: School
    recording: Recording = Field(default_factory=Recording)
    credentials: dict[Id, Credentials] = Field(default_factory=dict)
    fleet: Fleet = Field(default_factory=Fleet)
    rooms: list[Room] = Field(default_factory=list)
    cameras: list[Camera] = Field(default_factory=list)
    readers: list[Reader] = Field(default_factory=list)
    terminals: list[Terminal] = Field(default_factory=list)
    meals: Meals | None = None
    pages: Pages | None = None
    hub: Hub | None = None
    zones: list[Zone] = Field(default_factory=list)
    destinations: list[Destination] = Field(default_factory=list)

    _path: Path | None = PrivateAttr(default=None)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _places: dict[tuple[str | int, ...], tuple[int, int]] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Site:
        """Reads and checks a site file.

        Args:
            path: the TOML file.

        Raises:
            SiteError: the first of all errors of the file, by its place; `.others` holds the rest.
        """
        from edusense.site.loading import load

        return load(path)

    @classmethod
    def loads(cls, text: str, *, path: str | os.PathLike[str] | None = None) -> Site:
        """Checks the text of a site file.

        Args:
            text: TOML.
            path: the file that it stands for: named in errors, and relative paths are taken from its folder (otherwise
                from the working folder). It need not exist.

        Raises:
            SiteError: as `load`.
        """
        from edusense.site.loading import loads

        return loads(text, path=path)

    def anchor(
        self, path: Path | None, folder: Path, name: str | None, places: dict[tuple[str | int, ...], tuple[int, int]]
    ) -> None:
        """Says which file this is, and where its values stand; called once by loading."""
        self._path, self._folder, self._places = path, folder, places
        for key, credentials in self.credentials.items():
            credentials.anchor(folder, (name, *self.place("credentials", key, "password")))
        for camera in self.cameras:
            camera.anchor(self.credentials_of(camera))
        self.fleet.anchor(folder, (name, *self.place("fleet", "key")))

    @property
    def path(self) -> Path | None:
        """The file that was loaded, absolute; None for text."""
        return self._path

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: that of the site file."""
        return self._folder

    def path_of(self, name: str | os.PathLike[str]) -> Path:
        """A path of the site file, made absolute: relative ones start from the site file's folder."""
        return self._folder / Path(name).expanduser()

    def data_folder(self) -> Path:
        """`site.data`, absolute: ledger, state and the box's socket."""
        return self.path_of(self.site.data)

    def recording_folder(self) -> Path:
        """`recording.data`, absolute; `clips` in the data folder where it is not given."""
        return self.data_folder() / "clips" if self.recording.data is None else self.path_of(self.recording.data)

    def roster_path(self) -> Path | None:
        """`meals.roster`, absolute; None for a school without meals."""
        return None if self.meals is None else self.path_of(self.meals.roster)

    def camera(self, name: str) -> Camera:
        """The camera with that id.

        Raises:
            UsageError: there is none; the hint names the nearest.
        """
        return _named("camera", name, self.cameras)

    def room(self, name: str) -> Room:
        """The room with that id; raises as `camera`."""
        return _named("room", name, self.rooms)

    def reader(self, name: str) -> Reader:
        """The reader with that id; raises as `camera`."""
        return _named("reader", name, self.readers)

    def terminal(self, name: str) -> Terminal:
        """The terminal with that id; raises as `camera`."""
        return _named("terminal", name, self.terminals)

    def zone(self, name: str) -> Zone:
        """The zone with that id; raises as `camera`."""
        return _named("zone", name, self.zones)

    def credentials_of(self, device: Camera | Destination) -> Credentials | None:
        """The credentials that a device names; None where it needs none."""
        return None if device.credentials is None else self.credentials[device.credentials]

    def place(self, *loc: str | int) -> tuple[int | None, int | None]:
        """Line and column of a value, both from 1; of the table that would hold it, where it is a default.

        Args:
            loc: its path: `site.place("cameras", 3, "room")`.
        """
        for length in range(len(loc), 0, -1):
            if loc[:length] in self._places:
                return self._places[loc[:length]]
        return (None, None)

    def to_json(self) -> dict[str, Any]:
        """The site as JSON, with defaults filled in, paths made absolute and secrets as references."""
        data = self.model_dump(mode="json", by_alias=True)
        data["site"]["data"] = str(self.data_folder())
        data["recording"]["data"] = str(self.recording_folder())
        if (roster := self.roster_path()) is not None:
            data["meals"]["roster"] = str(roster)
            rare = ("shift", "days")
            for slot in data["meals"]["slots"]:
                for name in [name for name in rare if slot[name] is None]:
                    del slot[name]
        return {"path": None if self._path is None else str(self._path), **data}


def _named(what: str, name: str, things: Sequence[_WithId]) -> _WithId:
    for thing in things:
        if thing.id == name:
            return thing
    ids = [thing.id for thing in things]
    guess = nearest(name, ids)
    if guess is not None:
        hint = f"perhaps `{guess}`"
    elif ids:
        hint = f"there are: {', '.join(ids[:12])}{' …' if len(ids) > 12 else ''}"
    else:
        hint = f"the site file has no {what}"
    raise UsageError(f"there is no {what} `{name[:80]}` in this site", hint=hint)
