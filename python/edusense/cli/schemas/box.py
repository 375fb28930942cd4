"""Rows of `status` and `events`: the running box."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from edusense.cli.schemas.base import Row

__all__ = [
    "AlertEvent",
    "AlertsStatus",
    "BoxEvent",
    "BoxStatus",
    "CameraEvent",
    "CameraStatus",
    "DestinationEvent",
    "DestinationStatus",
    "LedgerStatus",
    "MotionEvent",
    "ReaderEvent",
    "SuspectedEvent",
    "TapEvent",
    "TerminalStatus",
    "UplinkEvent",
    "UplinkStatus",
]


class BoxStatus(Row):
    """The box itself."""

    kind: Literal["box"]
    version: str
    """Of edusense."""
    pid: int
    """Its process."""
    site: str
    """The school's id."""
    path: str
    """The site file."""
    state: Literal["running", "degraded"]
    """degraded: some part does not work; `reason` says which."""
    reason: str | None
    """Why it is degraded."""
    uptime_s: float
    """Seconds since it started."""
    cpu_s: float
    """CPU seconds since then, of all threads."""
    rss_bytes: int
    """Memory now."""
    peak_bytes: int
    """Memory at most."""
    threads: int
    """Threads."""
    clients: int
    """Connections to its socket."""
    cursor: int
    """Cursor of the newest event."""
    parts: dict[str, dict[str, Any]]
    """State, reason and failures of each part."""


class CameraStatus(Row):
    """One camera of the running box."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["camera"]
    id: str
    """Its id."""
    room: str
    """Its room."""
    state: str
    """waiting, connecting, playing, stalled, refused, …"""
    reason: str | None
    """Why it is not playing."""
    code: str | None = None
    """Stable code of the error behind it: see errors.md."""
    pictures_received: int
    """Pictures received."""
    pictures_looked_at: int
    """Pictures whose pixels were looked at."""
    pictures_decoded: int
    """Pictures decoded."""
    decoders: dict[str, int]
    """How many of them by which decoder."""
    bitrate_kbit: float
    """kbit/s, lately."""
    lost: int
    """Packets lost."""
    gate: dict[str, Any]
    """The gate: `state` and its `words`; `level` of surprise and the `threshold` above which it fires; `noise`;
    `agreement`, the share of probes with motion at which it had fired; `probes_moved`, how many these were; `habits` of
    the stream that hide motion, each a word and what to do."""
    events: int
    """Motion events since the start."""
    last_event_s: float | None
    """When the last one began, Unix seconds."""
    picture_s: float | None = None
    """When the newest key picture was taken, Unix seconds."""
    reconnects: int
    """How often the connection had to be made anew."""


class TerminalStatus(Row):
    """One terminal of the running box."""

    kind: Literal["terminal"]
    id: str
    """Its id."""
    number: int
    """Its number in records."""
    room: str
    """Its room."""
    state: str
    """ready, reader-waiting, cannot-record, …"""
    reason: str | None
    """Why it is not ready."""
    serves: Literal["meals", "entrance"]
    """What a tap means here."""
    reader: str | None
    """Its first reader."""
    reader_state: str
    """State of that reader."""
    readers: dict[str, str]
    """State of each reader."""
    granted: int
    """Meals granted since the start."""
    refused: dict[str, int]
    """Taps refused, by reason."""
    last_tap_s: float | None
    """When the last tap was, Unix seconds."""
    reader_stats: dict[str, Any] | None
    """What the reader has sent since the start: cards, repeats, bad_frames, noise_bytes, last_fault, suspicion,
    reconnects; null without a reader."""


class LedgerStatus(Row):
    """The ledger of the running box."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["ledger"]
    path: str
    """Its folder."""
    state: str
    """open, closed or cannot-record."""
    reason: str | None
    """Why it cannot record."""
    hint: str | None = None
    """What to do about it."""
    roster: str | None
    """What is wrong with the roster."""
    records: int
    """Records, also those that were pruned."""
    pruned: int = 0
    """How many of them are not here any more."""
    synced: int
    """Records that are surely on the disk."""
    segments: int
    """Files."""


class AlertsStatus(Row):
    """The cases of the running box."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["alerts"]
    state: Literal["running", "cannot-record"]
    """cannot-record: the disk takes no alerts; they wait in memory."""
    reason: str | None
    """Why it cannot record."""
    open: int
    """Cases that nobody has closed."""
    unanswered: int
    """Of these, those that nobody has answered."""
    cases: int
    """All cases."""
    unkept: int
    """Findings that wait in memory for the disk."""
    position: int
    """Entries of the case log."""
    head: str
    """SHA-256 of the last one."""
    lost: int
    """Pieces of news of cameras that came faster than they could be looked at."""


class DestinationStatus(Row):
    """One destination of the running box."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["destination"]
    id: str
    """Its id."""
    driver: str
    """How it is spoken to."""
    state: Literal["starting", "working", "unavailable", "refused"]
    """unavailable: tried again by itself; refused: somebody has to mend something."""
    reason: str | None
    """Why it does not work."""
    hint: str | None
    """What to do about it."""
    since_s: float | None
    """Since when it is so, Unix seconds."""
    delivered: int
    """Messages delivered since the start."""
    attachments: int
    """Stills and clips delivered since the start."""
    failures: int
    """Attempts in a row that came to nothing."""
    last_s: float | None
    """When something was delivered last."""
    waiting: dict[str, Any]
    """What waits for it: messages, stills, clips, oldest_s."""


class UplinkStatus(Row):
    """The way of the ledger's records to the city's hub."""

    kind: Literal["uplink"]
    url: str
    """The hub."""
    state: Literal["starting", "working", "unavailable", "refused", "cannot-send", "differs"]
    """unavailable: tried again by itself; refused: somebody has to mend something; cannot-send: ledger or key cannot be
    read; differs: what the hub holds, or what it refuses, is not what is here."""
    reason: str | None
    """Why it does not work."""
    hint: str | None
    """What to do about it."""
    since_s: float
    """Since when it is so, Unix seconds."""
    acknowledged: int
    """Records that the hub has signed for."""
    waiting: int
    """Records that it has not."""
    oldest_s: float | None
    """When the oldest record was made that waits."""
    batches: int
    """Batches that the hub has signed for since the start."""
    sent_bytes: int
    """Bytes that were sent to it since the start."""
    closed: list[str]
    """Cases about this school that somebody at the hub has closed: of what they are about nothing more is sent."""
    failures: int
    """Attempts in a row that came to nothing."""
    last_s: float | None
    """When a batch was taken last."""


class _Event(Row):
    """An event of the box."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    cursor: int
    """Grows with each event, and is never given twice."""
    time_s: float
    """When it was logged, Unix seconds."""


class MotionEvent(_Event):
    """Motion, seen in pixels."""

    kind: Literal["motion"]
    id: str
    """The event's id, for its clip and thumbnail."""
    camera: str
    """The camera."""
    start_s: float
    """When it began, Unix seconds."""
    end_s: float
    """When it was over, Unix seconds."""
    score: float
    """0 to 1."""
    regions: list[list[float]]
    """[x, y, width, height] in pixels of the analysed picture."""
    clock_error_s: float | None = None
    """How far the times may be off."""
    decoder: str | None = None
    """The decoder that was used."""
    state: Literal["confirmed"]


class SuspectedEvent(_Event):
    """Motion that the gate suspects, and pixels confirm or withdraw."""

    kind: Literal["motion-suspected", "motion-confirmed", "motion-withdrawn"]
    id: str
    """The event's id."""
    camera: str
    """The camera."""
    state: Literal["suspected", "confirmed", "withdrawn"]


class CameraEvent(_Event):
    """A camera's state has changed."""

    kind: Literal["camera"]
    camera: str
    """The camera."""
    state: str
    """Its new state."""
    reason: str | None = None
    """Why."""


class TapEvent(_Event):
    """A card at a terminal."""

    kind: Literal["tap"]
    terminal: str
    """The terminal."""
    granted: bool
    """Whether the light was green."""
    reason: str | None
    """Why it was red, in kebab-case."""
    pupil: str | int | None
    """The pupil, by our number."""
    card: str
    """The card's number."""
    record: str | None
    """The record in the ledger: TERMINAL/EPOCH/SEQUENCE."""
    message: str | None = None
    """What the screen said."""
    recorded: str = "meal"
    """What was recorded, or would have been: meal, arrival, departure."""
    clock_unsure: bool = False
    """The time is not to be relied on."""
    shown: bool | None = None
    """Whether the reader itself showed the verdict, where it has a light or a sound."""
    shown_ms: float | None = None
    """Milliseconds from the verdict until the reader had been told."""


class ByHandEvent(_Event):
    """Something that a person did instead of a card: a meal, a reversal, a clock that was confirmed."""

    kind: Literal["by-hand"]
    what: Literal["meal", "reversal", "clock"]
    """What was done."""
    operator: int
    """Who did it, by our number."""
    record: str | None
    """The record of it in the ledger; none where a meal was refused."""
    granted: bool | None = None
    """Of a meal: whether the light was green."""
    reason: str | None = None
    """Of a meal: why it was red."""
    pupil: int | None = None
    """Of a meal: whose."""
    meal: str | None = None
    """Of a reversal: the meal's record."""
    why: str | None = None
    """Of a reversal: the reason."""
    clock_s: float | None = None
    """Of a clock: the time that was confirmed, Unix seconds."""


class ReaderEvent(_Event):
    """A reader's state has changed."""

    kind: Literal["reader"]
    state: str
    """Its new state."""
    reason: str | None = None
    """Why."""


class AlertEvent(_Event):
    """A case has changed; it is on the disk."""

    kind: Literal["alert"]
    entry: str
    """opened, again, attached, sent, answer, escalated, refused, expired, limited, …"""
    case: str | None = None
    """The case's id."""
    number: int | None = None
    """The case's number."""
    state: str | None = None
    """The case's state."""


class DestinationEvent(_Event):
    """A destination's health has changed."""

    kind: Literal["destination"]
    destination: str
    """Which one."""
    state: str
    """working, unavailable or refused."""
    reason: str | None = None
    """Why."""


class UplinkEvent(_Event):
    """The way to the city's hub works, or does not any more."""

    kind: Literal["uplink"]
    state: str
    """working, unavailable, refused, cannot-send."""
    reason: str | None = None
    """Why."""


class BoxEvent(_Event):
    """The box itself: started, stopping, a part that failed or recovered."""

    kind: Literal["box"]
    state: str
    """started, stopping, stopped, part-failed, part-recovered, reloaded, …"""
    reason: str | None = None
    """Why."""
