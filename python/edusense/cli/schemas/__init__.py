"""The rows that commands print with `--json`, as types.

From them docs/reference/json/ is generated, and tests hold rows against them. Keys that a program does not know are
additions: it leaves them. What is taken away or changes its meaning is said in the changelog.
"""

from __future__ import annotations

from typing import Any, Union

from pydantic import TypeAdapter

from edusense.cli.schemas.alerts import (
    CaseRow,
    CentreCheckRow,
    CentreReady,
    EntryRow,
    HopRow,
    LogVerified,
    SilenceRow,
    TestHopRow,
)
from edusense.cli.schemas.base import (
    ErrorRow,
    Row,
)
from edusense.cli.schemas.box import (
    AlertEvent,
    AlertsStatus,
    BoxEvent,
    BoxStatus,
    ByHandEvent,
    CameraEvent,
    CameraStatus,
    DestinationEvent,
    DestinationStatus,
    LedgerStatus,
    MotionEvent,
    ReaderEvent,
    SuspectedEvent,
    TapEvent,
    TerminalStatus,
    UplinkEvent,
    UplinkStatus,
)
from edusense.cli.schemas.devices import (
    CameraFoundRow,
    CameraOfSite,
    CameraShown,
    DeviceReady,
    SchoolReady,
)
from edusense.cli.schemas.fleet import (
    AdoptedRow,
    AimRow,
    AppliedRow,
    AuditedRow,
    BackedUpRow,
    CameraHealthRow,
    CameraToldRow,
    HandoverRow,
    NewCameraRow,
    PlannedRow,
    RebootedRow,
    TemplateRow,
)
from edusense.cli.schemas.hub import CaseOfHubRow, EvidenceRow, HubCheckRow, HubReady, RecoveredRow, SentRow
from edusense.cli.schemas.machine import (
    BenchCase,
    BenchChange,
    BenchCut,
    BenchFact,
    BenchFigure,
    BenchLimit,
    BenchPeer,
    BenchProfile,
    BenchRehearsal,
    BenchReport,
    BenchSheetFigure,
    BenchSlope,
    DemoAccount,
    DoctorFinding,
    FigureRow,
    NewFile,
    SiteFinding,
    SiteShown,
)
from edusense.cli.schemas.meals import (
    AttendanceRow,
    CardChangeRow,
    ClosureRow,
    ConfirmedRow,
    ForgottenRow,
    InsideRow,
    LedgerRow,
    ListRow,
    MealRow,
    OperatorRow,
    PhotoRow,
    PictureRow,
    PupilRow,
    ReversedRow,
    RosterChange,
    RosterFault,
    RosterFigures,
    TerminalRow,
    VerdictRow,
    VerifyRow,
)
from edusense.cli.schemas.meals_signed import (
    BatchRow,
    FindingRow,
    ImportedRow,
    KeyRow,
    PortionRow,
    ProofRow,
    ProvenRow,
    PrunedRow,
    SealRow,
    StreamRow,
)
from edusense.cli.schemas.readers import (
    BytesRow,
    CardRow,
    DriverOfReaders,
    EnrolmentRow,
    PortRow,
    ProtocolRow,
    ReaderFaultRow,
    ReaderKeyRow,
    ReaderOfSite,
    ReaderTestRow,
    ReadingRow,
    VectorRow,
)
from edusense.cli.schemas.video import (
    ClipRow,
    HeatMapRow,
    InspectionRow,
    LumaRow,
    SheetRow,
    TimelineRow,
    VideoEventRow,
)

__all__ = ["ROWS", "Row", "row_schema", "validate"]

ROWS: dict[str, tuple[type[Row], ...]] = {
    "demo": (DemoAccount,),
    "site check": (SiteFinding,),
    "site show": (SiteShown,),
    "doctor": (DoctorFinding,),
    "camera discover": (CameraFoundRow, NewCameraRow, AdoptedRow),
    "camera templates list": (TemplateRow,),
    "camera templates check": (TemplateRow,),
    "camera list": (CameraOfSite,),
    "camera show": (CameraShown,),
    "camera plan": (PlannedRow,),
    "camera apply": (AppliedRow,),
    "camera audit": (AuditedRow,),
    "camera health": (CameraHealthRow,),
    "camera aim": (AimRow,),
    "camera report": (HandoverRow,),
    "camera set-time": (AppliedRow,),
    "camera reboot": (RebootedRow,),
    "camera rotate-password": (AppliedRow,),
    "camera backup": (BackedUpRow,),
    "camera restore": (AppliedRow,),
    "camera events": (CameraToldRow,),
    "reader list": (ReaderOfSite, DriverOfReaders),
    "reader ports": (PortRow,),
    "reader card": (ReadingRow,),
    "reader listen": (CardRow, BytesRow),
    "reader identify": (ProtocolRow,),
    "reader test": (ReaderTestRow,),
    "reader enrol": (EnrolmentRow,),
    "reader key": (ReaderKeyRow,),
    "reader vectors": (VectorRow,),
    "status": (BoxStatus, CameraStatus, TerminalStatus, LedgerStatus, UplinkStatus, AlertsStatus, DestinationStatus),
    "events": (
        MotionEvent,
        SuspectedEvent,
        CameraEvent,
        TapEvent,
        ByHandEvent,
        ReaderEvent,
        AlertEvent,
        DestinationEvent,
        UplinkEvent,
        BoxEvent,
    ),
    "video inspect": (InspectionRow,),
    "video events": (VideoEventRow,),
    "video luma": (LumaRow,),
    "video clip": (ClipRow,),
    "video contact-sheet": (SheetRow,),
    "video timeline": (TimelineRow,),
    "video heatmap": (HeatMapRow,),
    "meals tap": (VerdictRow, TapEvent),
    "meals terminal": (VerdictRow,),
    "meals enter": (VerdictRow, ByHandEvent),
    "meals reverse": (ReversedRow,),
    "meals confirm-clock": (ConfirmedRow,),
    "meals cases list": (CaseOfHubRow,),
    "meals cases evidence": (EvidenceRow,),
    "meals cases close": (CaseOfHubRow,),
    "meals check-hub": (HubCheckRow,),
    "meals picture day": (PictureRow,),
    "meals picture month": (PictureRow,),
    "meals present": (InsideRow,),
    "meals recover": (RecoveredRow,),
    "meals seal": (SealRow,),
    "meals prune": (PrunedRow,),
    "meals status": (LedgerRow, TerminalRow),
    "meals verify": (VerifyRow,),
    "meals export": (MealRow,),
    "meals report": (FindingRow, PortionRow),
    "meals batches list": (StreamRow,),
    "meals batches export": (BatchRow,),
    "meals batches import": (ImportedRow,),
    "meals batches send": (SentRow,),
    "meals key show": (KeyRow,),
    "meals key new": (KeyRow,),
    "meals key rotate": (KeyRow,),
    "meals prove": (ProofRow,),
    "meals check-proof": (ProvenRow,),
    "roster check": (RosterFigures, RosterFault),
    "roster import": (RosterChange,),
    "roster show": (PupilRow,),
    "roster approve": (ListRow,),
    "roster lists": (ListRow,),
    "roster card": (CardChangeRow,),
    "roster cards": (CardChangeRow,),
    "roster close": (ClosureRow,),
    "roster calendar": (ClosureRow,),
    "roster attendance": (AttendanceRow,),
    "roster photos": (PhotoRow,),
    "roster operator": (OperatorRow,),
    "roster operators": (OperatorRow,),
    "roster forget": (ForgottenRow,),
    "alerts list": (CaseRow,),
    "alerts show": (CaseRow, EntryRow, HopRow),
    "alerts acknowledge": (CaseRow,),
    "alerts check": (CentreCheckRow,),
    "alerts silence": (SilenceRow,),
    "alerts silences": (SilenceRow,),
    "alerts test": (TestHopRow,),
    "alerts unsilence": (SilenceRow,),
    "alerts verify": (LogVerified,),
    "bench run": (BenchFigure, BenchLimit, BenchReport),
    "bench show": (BenchFigure, BenchLimit, BenchReport),
    "bench compare": (BenchChange,),
    "bench profiles": (BenchProfile,),
    "bench cases": (BenchCase,),
    "bench peers list": (BenchPeer,),
    "bench peers install": (BenchPeer,),
    "bench case": (BenchFigure,),
    "bench power-cut check": (BenchCut,),
    "bench power-cut rehearse": (BenchRehearsal,),
    "bench box": (BenchFact, BenchSheetFigure),
    "bench soak": (BenchSlope,),
    "bench disk": (BenchFact, BenchSheetFigure),
    "bench camera": (BenchFact, BenchSheetFigure),
    "bench reader": (BenchFact, BenchSheetFigure),
    "bench meals": (FigureRow,),
    "bench ingest": (FigureRow,),
    "bench start": (FigureRow,),
    "sim camera": (DeviceReady,),
    "sim reader": (DeviceReady,),
    "sim reader faults": (ReaderFaultRow,),
    "sim school": (DeviceReady, SchoolReady),
    "sim hub": (HubReady,),
    "sim ops-centre": (CentreReady,),
    "new driver": (NewFile,),
    "new destination": (NewFile,),
    "new rule": (NewFile,),
    "error": (ErrorRow,),
}
"""Command, and the types its rows may have; `error` is what any command prints on stderr when it fails."""


def _adapter(command: str) -> TypeAdapter[Any]:
    either: Any = Union[ROWS[command]]  # noqa: UP007 - the members are known only when it runs
    return TypeAdapter(either)


def validate(command: str, row: Any) -> None:
    """Holds a row against the type of its command.

    Args:
        command: as in `ROWS`.
        row: what was printed, from JSON.

    Raises:
        ValueError: a key is missing, unknown, or of another type.

    >>> validate("doctor", {"check": "clock", "state": "ok", "finding": "right", "hint": None})
    """
    _adapter(command).validate_python(row, strict=True)


def row_schema(command: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the rows of a command. It leaves room for additions.

    Args:
        command: as in `ROWS`.

    >>> row_schema("doctor")["title"]
    'edusense doctor --json'
    """
    schema = _adapter(command).json_schema()
    _open(schema)
    title = "an error with --json, on stderr" if command == "error" else f"edusense {command} --json"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _open(schema: Any) -> None:
    """Our tests refuse unknown keys; other people's programs must not."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") in (True, False):
            del schema["additionalProperties"]
        if isinstance(schema.get("title"), str) and "properties" not in schema:
            del schema["title"]  # pydantic's repetition of the key
        for value in schema.values():
            _open(value)
    elif isinstance(schema, list):
        for value in schema:
            _open(value)
