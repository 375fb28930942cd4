"""Rows of `site`, `doctor` and `bench`: the site file and the machine."""

from __future__ import annotations

from typing import Any, Literal

from edusense.cli.schemas.base import Row

__all__ = [
    "BenchCase",
    "BenchChange",
    "BenchCut",
    "BenchFact",
    "BenchFigure",
    "BenchLimit",
    "BenchProfile",
    "BenchRehearsal",
    "BenchReport",
    "BenchSheetFigure",
    "BenchSlope",
    "DemoAccount",
    "DoctorFinding",
    "FigureRow",
    "NewFile",
    "SiteFinding",
    "SiteShown",
]


class NewFile(Row):
    """One file that `edusense new` wrote."""

    file: str
    """Where it is."""


class SiteFinding(Row):
    """One error or warning of a site file."""

    severity: Literal["error", "warning"]
    """Errors keep the box from starting."""
    code: str
    """Stable code of the error; `warning` for warnings."""
    path: str
    """The site file."""
    line: int | None
    """Line, from 1."""
    column: int | None
    """Column in characters, from 1."""
    message: str
    """What is wrong."""
    hint: str | None
    """What was meant, or how to mend it."""


class SiteShown(Row):
    """The whole site: as the file, with defaults filled in, paths absolute, secrets as references."""

    path: str | None
    """The site file."""
    site: dict[str, Any]
    """[site]."""
    recording: dict[str, Any]
    """[recording]."""
    credentials: dict[str, dict[str, str]]
    """[credentials.NAME]: the user, and where the password is."""
    rooms: list[dict[str, Any]]
    """[[rooms]]."""
    cameras: list[dict[str, Any]]
    """[[cameras]]."""
    readers: list[dict[str, Any]]
    """[[readers]]."""
    terminals: list[dict[str, Any]]
    """[[terminals]]."""
    meals: dict[str, Any] | None
    """[meals]."""
    fleet: dict[str, Any]
    """[fleet]: where the key of the journal of password changes is."""
    pages: dict[str, Any] | None
    """[pages]."""
    hub: dict[str, Any] | None
    """[hub]: where signed batches of records go."""
    zones: list[dict[str, Any]]
    """[[zones]]."""
    destinations: list[dict[str, Any]]
    """[[destinations]]."""


class DoctorFinding(Row):
    """One thing that was looked at."""

    check: str
    """What was looked at."""
    state: Literal["ok", "warn", "fail"]
    """warn: it works, but may stop to; fail: something will not work."""
    finding: str
    """What was found, with figures."""
    hint: str | None
    """What to do."""


class FigureRow(Row):
    """One thing that was measured, beside its peer."""

    what: str
    """What was measured."""
    unit: str
    """Unit of the figures."""
    median: float
    """Median of the runs."""
    least: float
    """The smallest."""
    most: float
    """The largest."""
    runs: int
    """How many."""
    peer: str | None
    """What it is measured beside."""
    peer_median: float | None
    """Median of the peer's runs."""
    ratio: float | None
    """Ours beside the peer's."""
    limit: float | None
    """What the ratio is held against."""
    good: bool | None
    """Whether it keeps it."""


class BenchFigure(Row):
    """A figure of a report, over its runs."""

    kind: Literal["figure"]
    key: str
    """The case, and the device that it was measured on: `meal@disk`."""
    figure: str
    """The figure's id within the case."""
    what: str
    """What was measured."""
    unit: str
    """Its unit."""
    median: float
    """The middle run."""
    least: float
    """The smallest."""
    most: float
    """The largest."""
    spread: float | None
    """The middle half of the runs lies within so much of the median, as a share of it."""
    runs: int
    """How many runs count: the quiet ones, where there are enough of them."""
    busy_runs: int
    """How many runs met a busy machine."""
    peer: str | None
    """What it was measured beside first."""
    peer_median: float | None
    """The peer's middle run."""
    ratio: float | None
    """Ours beside the peer's, the middle of the runs' ratios."""
    command: str
    """The command that measures it again."""


class BenchLimit(Row):
    """A limit of a plan, and whether it is kept."""

    kind: Literal["limit"]
    key: str
    """The case and device; `machine` for what the machine itself must have."""
    figure: str
    """The figure."""
    what: str
    """What was measured."""
    limit: str
    """What it must keep."""
    measured: str | None
    """What was measured, with its unit."""
    outcome: Literal["pass", "fail", "not measured"]
    """Whether it is kept."""
    why: str | None
    """Why it was not measured."""
    reason: str
    """Why there is this limit."""
    busy: bool
    """It was measured on a busy machine."""


class BenchReport(Row):
    """A report as a whole; the last row."""

    kind: Literal["report"]
    title: str
    """Of the plan."""
    profile: str | None
    """The profile that it is or starts from."""
    verdict: Literal["passed", "failed", "incomplete", "no limits"]
    """incomplete: nothing failed, and not everything was measured."""
    passed: int
    """Limits that are kept."""
    failed: int
    """Limits that are not."""
    not_measured: int
    """Limits whose figure was not measured."""
    ended_early: str | None
    """Why not everything was run."""


class BenchChange(Row):
    """One figure in two reports."""

    key: str
    """The case and device."""
    figure: str
    """The figure's id."""
    what: str
    """What was measured."""
    unit: str
    """Its unit."""
    before: float | None
    """Median in the first report."""
    after: float | None
    """Median in the second."""
    change: float | None
    """By which share it changed; of the ratio to `beside` where that is given."""
    low: float | None
    """Lower end of that change's 95 % interval."""
    high: float | None
    """Upper end."""
    chance: float | None
    """How often chance alone would part the runs so far, all figures taken together."""
    could_see: float | None
    """The smallest change that these runs would have shown nine times in ten, as a share."""
    beside: str | None
    """The peer by whose ratio it was compared."""
    verdict: Literal["better", "worse", "changed", "no change", "not compared"]
    """What is to be thought of it."""
    why: str | None
    """Why it was not compared, or what to bear in mind."""


class BenchSlope(Row):
    """How something of a box grows."""

    kind: Literal["slope"]
    id: Literal["memory_mb", "descriptors", "threads", "status_ms"]
    """What grows."""
    what: str
    """In words."""
    unit: str
    """Of what grows."""
    per_hour: float | None
    """Median of the slopes of all pairs of samples; none where there were too few."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    """Upper end."""
    leak: bool
    """It grows for certain, and by too much for a month."""
    short: bool
    """Whether it is a leak, a longer soak would tell."""
    words: str
    """The same in a sentence."""


class BenchFact(Row):
    """A line of a data sheet."""

    kind: Literal["fact"]
    name: str
    """What it is."""
    value: str
    """What was found, with units."""
    state: Literal["ok", "warn", "fail"] | None
    """ok: well; warn: to be looked at; fail: not fit for a school; none: neither."""
    words: str
    """What it means and what to do."""


class BenchSheetFigure(Row):
    """A figure of a data sheet."""

    kind: Literal["figure"]
    figure: str
    """Its id."""
    what: str
    """What was measured."""
    unit: str
    """Its unit."""
    median: float
    """The middle run."""
    least: float
    """The smallest."""
    most: float
    """The largest."""
    runs: int
    """How many runs."""
    samples: int
    """How many values they had in all."""


class BenchCut(Row):
    """What came of a power cut."""

    kind: Literal["cut"]
    at_s: float
    """When it was checked, Unix seconds."""
    starts: list[str]
    """Starts of the box that really ended with the machine's power: it has been started again since."""
    greens: int
    """Green lights that the witness heard of."""
    checked: int
    """How many of them were looked up."""
    lost: int
    """How many of those are not in the ledger."""
    altered: int
    """How many are there with other content."""
    doubled: int
    """Meals that the ledger holds twice."""
    records: int
    """In the ledger."""
    torn: int
    """Records that were being written when the power went: never confirmed, and cut off."""
    problems: list[str]
    """What `meals verify` found."""
    usable: bool
    """The ledger takes meals again."""
    kept: bool
    """Nothing is missing."""


class BenchRehearsal(Row):
    """What came of a rehearsal."""

    kind: Literal["rehearsal"]
    cuts: int
    """How many were tried."""
    kept: int
    """After how many nothing was missing."""
    lost: int
    """Green lights that were not in the ledger."""
    altered: int
    """Those that were there with other content."""
    doubled: int
    """Meals that the ledger held twice."""
    torn: int
    """Cuts that tore a record that nobody had seen yet."""
    lying: int
    """Cuts tried on a disk that lies."""
    found_out: int
    """How many of those were found out."""
    seed: int
    """Repeats it."""


class BenchProfile(Row):
    """A profile."""

    profile: str
    """Its name."""
    title: str
    """What it is for."""
    cases: int
    """How many cases it runs."""
    limits: int
    """How many limits it sets."""
    minutes: float
    """About how long it takes."""
    path: str
    """Its file."""


class BenchPeer(Row):
    """Something that is measured beside ours."""

    peer: str
    """Its name."""
    what: str
    """What one would use it for instead."""
    where: Literal["own", "peers", "machine"] | None
    """`own`: in edusense's environment; `peers`: in that of peers; `machine`: a program; null: not here."""
    version: str | None
    """Its version, where it tells."""
    cases: list[str]
    """The cases that measure it."""


class BenchCase(Row):
    """Something that can be measured."""

    case: str
    """Its name in plans."""
    what: str
    """What is measured."""
    device: Literal["disk", "camera", "reader"] | None
    """The kind of device that it measures."""
    needs: str | None
    """What must be here."""
    seconds: float
    """About how long one run takes."""
    rounds: int
    """How often it is run where a plan does not say."""
    peers: list[str]
    """What it is measured beside, where that is installed."""
    options: dict[str, Any]
    """Options that a plan may set, with their defaults."""
    figures: list[dict[str, str]]
    """What it gives: figure, what, unit, better."""


class DemoAccount(Row):
    """What the demo staged, and what the box made of it."""

    seed: int
    """Repeats the demo."""
    adds_up: bool
    """Nothing missed, nothing invented, every meal in the ledger."""
    problems: list[str]
    """What does not add up."""
    cameras: int
    """Virtual cameras."""
    cameras_up: int
    """Cameras that were playing."""
    pictures_received: int
    """Pictures received."""
    pictures_looked_at: int
    """Pictures whose pixels were looked at."""
    pictures_decoded: int
    """Pictures decoded."""
    decoders: dict[str, int]
    """How many of them by which decoder."""
    motion_staged: int
    """Motion events that were staged."""
    motion_found: int
    """Those that were found."""
    motion_events: int
    """Events of the box that found them: fewer where some are close together, more where some are found in pieces."""
    motion_in_pieces: int
    """Staged events that were found in two or three pieces."""
    motion_missed: int
    """Those that were not."""
    motion_invented: int
    """Events of the box that nobody staged, that go on for seconds before or after it, or that are a fourth piece."""
    taps_granted: int
    """Meals granted."""
    taps_refused: dict[str, int]
    """Taps refused, by reason."""
    ledger_meals: int
    """Meals in the ledger."""
    ledger_sound: bool
    """Whether `meals verify` accounts for every byte."""
    alerts_staged: int
    """Forbidden zones that somebody entered."""
    alerts_raised: int
    """Of these, the ones that the box opened a case for."""
    alerts_delivered: int
    """Of these, the ones whose message and still are at the operations centre."""
    alerts_answered: int
    """Of these, the ones whose answer is back at the school."""
    alerts_doubled: int
    """Cases that came to the centre twice, or that nobody staged."""
    alerts_delays_s: list[float]
    """From the first moving picture to the still at the centre, while the link was up."""
    alerts_after_cut_s: list[float]
    """Of those in the link's cut: how long after it the still was there."""
    box_cpu_s: float
    """CPU seconds of the box alone."""
    box_peak_bytes: int
    """Memory of the box alone, at most."""
    uptime_s: float
    """How long it ran."""
    cameras_paused_s: dict[str, float]
    """Virtual cameras that this machine drew too late, and for how many seconds each paused in all."""
    page: str
    """The page of pictures."""
