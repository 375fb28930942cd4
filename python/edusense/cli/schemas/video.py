"""Rows of `video`: what sources are made of, and what moves in them."""

from __future__ import annotations

from pydantic import ConfigDict

from edusense.cli.schemas.base import Row

__all__ = ["ClipRow", "HeatMapRow", "InspectionRow", "LumaRow", "SheetRow", "TimelineRow", "VideoEventRow"]


class InspectionRow(Row):
    """What was seen of a file or stream."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    source: str
    """The file or URL, without a password."""
    codec: str
    """h264, h265, jpeg, or FFmpeg's name for any other."""
    profile: str | None
    """As the stream says."""
    level: float | None
    """As in 3.1."""
    entropy_coder: str | None
    """CABAC or CAVLC."""
    width: int
    """Pixels, cropped."""
    height: int
    """Pixels, cropped."""
    chroma: str | None
    """4:2:0 and so on."""
    bit_depth: int | None
    """Bits of a luma sample."""
    interlaced: bool | None
    """Fields may be coded."""
    seconds: float
    """How much of it was looked at."""
    pictures: int
    """How many pictures that were."""
    rate: float | None
    """Pictures a second, as measured."""
    bitrate_kbit: float | None
    """Mean kbit/s of the video alone."""
    rate_kind: str
    """variable, constant, or unknown."""
    gop_pictures: list[float] | None
    """Shortest, median and longest group of pictures, in pictures."""
    gop_s: list[float] | None
    """The same in seconds."""
    qp: list[float] | None
    """Lowest, median and highest slice QP."""
    slices: int | None
    """Most slices of a picture."""
    b_pictures: bool | None
    """There are pictures that refer to later ones."""
    filler_share: float
    """Share of the bits that only fill."""
    gate: str
    """learning, trusted, helper or off: whether motion can be told from the bits alone."""
    gate_words: str
    """What that means, and what to do."""
    noise: float | None
    """N: median bits of a quiet picture a macroblock, at QP 26."""
    decoder: str
    """Which decoder would be asked first."""
    decoder_reason: str
    """Why that one."""
    notes: list[str]
    """What is unusual."""
    faults: int
    """Pictures with something that could not be read."""
    first_fault: str | None
    """The first of these, with its place."""
    damage: list[str]
    """Damaged parts."""


class VideoEventRow(Row):
    """Something moved; printed when it has ended."""

    source: str
    """The file or URL, without a password."""
    start_s: float
    """When it began: seconds from a file's start, Unix seconds of a live stream."""
    end_s: float
    """When it ended."""
    score: float
    """How clear it was, 0 to 1."""
    regions: list[list[float]]
    """[x, y, width, height] in pixels of the cropped picture."""
    clock_error_s: float | None = None
    """By how much times may be wrong together; only of live streams."""


class LumaRow(Row):
    """A picture that was written."""

    source: str
    """The file or URL, without a password."""
    at_s: float
    """The picture's time, in seconds."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    out: str
    """The file that was written."""


class ClipRow(Row):
    """A clip that was written."""

    source: str
    """The file, or the event's id."""
    start_s: float | None
    """When its first picture is shown: seconds from the file's start; Unix seconds of an event's clip."""
    end_s: float | None
    """When its last picture is shown, in the same seconds."""
    pictures: int
    """How many there are."""
    out: str
    """The file that was written."""


class SheetRow(Row):
    """One camera of a contact sheet."""

    camera: str
    """Its id."""
    room: str
    """Its room."""
    state: str
    """As `edusense status` says."""
    reason: str | None
    """Why it does not play."""
    picture: bool
    """There is a picture of it on the sheet."""
    age_s: float | None
    """How old the picture is."""
    out: str
    """The file that was written."""


class TimelineRow(Row):
    """One event of a timeline."""

    row: str
    """The camera, or the file."""
    start_s: float
    """When it began: Unix seconds, or seconds from the file's start."""
    end_s: float
    """When it ended."""
    score: float
    """How clear it was, 0 to 1."""
    id: str | None = None
    """The event's id, of the box's events."""


class HeatMapRow(Row):
    """A heat map that was written; figures only of what was looked at here, not of a camera of the box."""

    source: str
    """The file, URL or camera."""
    seconds: float | None = None
    """How much of it was looked at."""
    columns: int | None = None
    """Cells across."""
    rows: int | None = None
    """Cells down."""
    moved_share: float | None = None
    """Share of the picture in which something moved."""
    most_s: float | None = None
    """For how long, where it moved most."""
    most_at: list[float] | None = None
    """Where that is, in shares of the picture."""
    masked_share: float | None = None
    """Share that masks itself, because it changes all the time."""
    ignored_share: float | None = None
    """Share that zones leave out."""
    out: str
    """The file that was written."""
