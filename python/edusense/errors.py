"""Every error that edusense raises on purpose, with its code, its exit status and what to do next.

```text
EdusenseError
├── UsageError                      the command was called wrongly                              exit 2
├── CardError                       text that is no card's number                               exit 2
├── SiteError                       the site file                                               exit 3
│   ├── SiteFileError, SiteSyntaxError, SiteEncodingError, SiteUnknownKeyError
│   └── SiteValueError, SiteReferenceError, SiteDuplicateError, SiteSecretError
├── DeviceError                     one camera or reader                                        exit 4
│   ├── DeviceTimeoutError, DeviceNotFoundError, DeviceBusyError, DeviceDisconnectedError
│   ├── DeviceProtocolError, DriverMissingError, DriverBrokenError, SessionClosedError, CardGoneError
│   ├── DeviceRefusedError          it answered, and said no                                    exit 5
│   └── DevicePermissionError       a right on this machine is missing                          exit 7
├── StreamError                     a camera's stream (addresses, sessions, bytes)              exit 4
│   ├── StreamTimeoutError, StreamLostError, StreamProtocolError
│   └── StreamRefusedError          it answered, and said no                                    exit 5
├── BoxError                        the running box and its socket                              exit 4
│   ├── BoxNotRunningError, BoxTimeoutError, BoxUnknownError, BoxProtocolError
│   └── BoxBusyError                it has enough clients, or another box runs                  exit 5
├── VideoError                      pictures and files of pictures                              exit 6
│   └── VideoSourceError, PictureDeclinedError, PictureDamagedError
├── LedgerError                     the ledger of meals                                         exit 6
│   ├── LedgerDamagedError, LedgerStorageError, LedgerVersionError
│   ├── BatchError                  a signed batch, acknowledgement or proof
│   └── LedgerLockedError, BatchRefusedError                                                    exit 5
├── CameraListError                 a list of cameras                                           exit 6
├── RosterError                     the list of who may eat                                     exit 6
│   └── RosterStorageError          its database
├── BenchError                      measuring and its reports                                   exit 6
│   ├── BenchPlanError              a plan or profile                                           exit 2
│   ├── BenchReportError            a folder with a report
│   └── BenchNotMeasuredError       what a case needs is not here                               exit 4
├── AlertError                      findings, cases and their log                               exit 6
│   ├── AlertStorageError, AlertLogDamagedError
│   ├── FindingError                what was handed in is no finding                            exit 2
│   └── FindingLimitedError, FindingSilencedError, CaseUnknownError, CaseClosedError            exit 5
├── DestinationError                where alerts go                                             exit 4
│   ├── DestinationUnavailableError
│   └── DestinationRefusedError, MessageRefusedError                                            exit 5
├── HubError                        the city's hub of meals                                     exit 4
│   ├── HubUnavailableError
│   └── HubRefusedError             it refuses us, or what it says cannot be believed           exit 5
├── PermissionDeniedError           a folder or file on this machine                            exit 7
└── InternalError                   a bug of ours                                               exit 70
```

Codes are stable: scripts may compare them. Each stands in `docs/reference/errors.md`, and Rust's half of them in
`edusense._native.error_codes()`.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AlertError",
    "AlertLogDamagedError",
    "AlertStorageError",
    "BatchError",
    "BatchRefusedError",
    "BenchError",
    "BenchNotMeasuredError",
    "BenchPlanError",
    "BenchReportError",
    "BoxBusyError",
    "BoxError",
    "BoxNotRunningError",
    "BoxProtocolError",
    "BoxTimeoutError",
    "BoxUnknownError",
    "CameraListError",
    "CardError",
    "CardGoneError",
    "CaseClosedError",
    "CaseUnknownError",
    "DestinationError",
    "DestinationRefusedError",
    "DestinationUnavailableError",
    "DeviceBusyError",
    "DeviceDisconnectedError",
    "DeviceError",
    "DeviceNotFoundError",
    "DevicePermissionError",
    "DeviceProtocolError",
    "DeviceRefusedError",
    "DeviceTimeoutError",
    "DriverBrokenError",
    "DriverMissingError",
    "EdusenseError",
    "FindingError",
    "FindingLimitedError",
    "FindingSilencedError",
    "HubError",
    "HubRefusedError",
    "HubUnavailableError",
    "InternalError",
    "LedgerDamagedError",
    "LedgerError",
    "LedgerLockedError",
    "LedgerStorageError",
    "LedgerVersionError",
    "MessageRefusedError",
    "PermissionDeniedError",
    "PictureDamagedError",
    "PictureDeclinedError",
    "RosterError",
    "RosterStorageError",
    "SessionClosedError",
    "SiteDuplicateError",
    "SiteEncodingError",
    "SiteError",
    "SiteFileError",
    "SiteReferenceError",
    "SiteSecretError",
    "SiteSyntaxError",
    "SiteUnknownKeyError",
    "SiteValueError",
    "StreamError",
    "StreamLostError",
    "StreamProtocolError",
    "StreamRefusedError",
    "StreamTimeoutError",
    "UsageError",
    "VideoError",
    "VideoSourceError",
    "class_of",
    "walk",
]


class EdusenseError(Exception):
    """Anything that edusense raises on purpose.

    Args:
        message: what went wrong and where: one sentence, values in backquotes.
        hint: what to do next: one sentence; None where there is nothing to do.
    """

    code: ClassVar[str] = "error"
    """Stable name of this kind of error, in kebab-case."""
    exit_status: ClassVar[int] = 1
    """What `$?` is when a command ends with it (see design: exit statuses)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__))

    def to_json(self) -> dict[str, Any]:
        """The error as the command line prints it with `--json`.

        >>> DeviceTimeoutError("no answer", hint="is it on?").to_json()
        {'error': 'device-timeout', 'message': 'no answer', 'hint': 'is it on?'}
        """
        return {"error": self.code, "message": self.message, "hint": self.hint}


def _rebuild(cls: type[EdusenseError], message: str, hint: str | None, state: dict[str, Any]) -> EdusenseError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.message, error.hint = message, hint
    error.__dict__.update(state)
    return error


class UsageError(EdusenseError):
    """A command or a function was called with arguments that make no sense together.

    For example: a password inside a URL on the command line.
    """

    code = "usage"
    exit_status = 2


class CardError(EdusenseError, ValueError):
    """A text or some bytes cannot be the number of a card; the message says what was expected.

    For example: an EM4100 number of six bytes, `09,59822x`, an empty UID.
    """

    code = "card"
    exit_status = 2


class SiteError(EdusenseError, ValueError):
    """Something is wrong with the site file. Where it is known, `path`, `line` and `column` (from 1) say where.

    Args:
        message: what is wrong.
        hint: what was meant, or how to mend it.
        path: the file.
        line: line, counted from 1.
        column: column in characters, counted from 1.

    Attributes:
        others: the further errors of the same file, in its order: a file is checked to its end.
    """

    code = "site"
    exit_status = 3

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.others: tuple[SiteError, ...] = ()

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" if place else self.message

    def to_json(self) -> dict[str, Any]:
        """As the base class, with `path`, `line` and `column`; `others` where there are more errors."""
        here = {**super().to_json(), "path": self.path, "line": self.line, "column": self.column}
        return {**here, "others": [other.to_json() for other in self.others]} if self.others else here


class SiteFileError(SiteError):
    """The site file cannot be read: it does not exist, is a folder, or may not be opened."""

    code = "site-file"


class SiteSyntaxError(SiteError):
    """The site file is not TOML."""

    code = "site-syntax"


class SiteEncodingError(SiteError):
    """The site file is not UTF-8."""

    code = "site-encoding"


class SiteUnknownKeyError(SiteError):
    """A key that edusense does not know; the hint names the nearest one that it does."""

    code = "site-unknown-key"


class SiteValueError(SiteError):
    """A value of the wrong type or outside its limits."""

    code = "site-value"


class SiteReferenceError(SiteError):
    """A room, reader, credential or camera is named that does not exist."""

    code = "site-reference"


class SiteDuplicateError(SiteError):
    """Two cameras, rooms, readers or terminals have one id or number."""

    code = "site-duplicate"


class SiteSecretError(SiteError):
    """A secret stands in the site file itself, or what a secret's place points to cannot be used.

    For example: `password = "hunter2"`; a file that everybody may read; an environment variable that is not set.
    """

    code = "site-secret"


class DeviceError(EdusenseError):
    """Something went wrong with one device."""

    code = "device"
    exit_status = 4


class DeviceTimeoutError(DeviceError, TimeoutError):
    """The device did not answer in time.

    For example: the camera reboots, the reader's baud rate is wrong, a firewall drops UDP 3702.
    """

    code = "device-timeout"


class DeviceNotFoundError(DeviceError, FileNotFoundError):
    """There is no device at that address.

    For example: the port does not exist, no USB reader with that VID:PID, connection refused.
    """

    code = "device-not-found"


class DeviceBusyError(DeviceError):
    """Another process holds the device; the message says which."""

    code = "device-busy"


class DeviceDisconnectedError(DeviceError, ConnectionError):
    """The device was there and went away: unplugged, power lost, connection closed."""

    code = "device-disconnected"


class DeviceProtocolError(DeviceError):
    """The device sent what its protocol does not allow; the message carries the bytes' coordinates."""

    code = "device-protocol"


class DeviceRefusedError(DeviceError):
    """The device answered, and refused: wrong user or password, operation not allowed."""

    code = "device-refused"
    exit_status = 5


class DevicePermissionError(DeviceError, PermissionError):
    """This user may not open the device; the message says which group or udev rule is missing."""

    code = "device-permission"
    exit_status = 7


class DriverMissingError(DeviceError):
    """No installed driver has that name.

    For example: `edusense` was installed without `edusense-drivers`.
    """

    code = "driver-missing"


class DriverBrokenError(DeviceError):
    """A driver is installed but cannot be loaded; the message says why."""

    code = "driver-broken"


class SessionClosedError(DeviceError):
    """A reader or camera was used after it was closed: by this program, not by the device."""

    code = "session-closed"


class CardGoneError(DeviceError):
    """The card that a command was for no longer lies on the reader."""

    code = "card-gone"


class StreamError(EdusenseError):
    """Something went wrong with a camera's stream."""

    code = "stream"
    exit_status = 4


class StreamTimeoutError(StreamError, TimeoutError):
    """The camera accepted the connection and said nothing, or stopped sending."""

    code = "stream-timeout"


class StreamLostError(StreamError, ConnectionError):
    """The connection could not be made or broke off."""

    code = "stream-lost"


class StreamRefusedError(StreamError):
    """The camera refused the user or password, or has no such stream."""

    code = "stream-refused"
    exit_status = 5


class StreamProtocolError(StreamError):
    """What came over the connection is not RTSP or RTP as the standards have it."""

    code = "stream-protocol"


class BoxError(EdusenseError):
    """Something went wrong with the running box."""

    code = "box"
    exit_status = 4


class BoxNotRunningError(BoxError, ConnectionError):
    """Nobody answers at the box's socket."""

    code = "box-not-running"


class BoxBusyError(BoxError):
    """Another box runs on this site already (the message says which process), or this one has no room for a client."""

    code = "box-busy"
    exit_status = 5


class BoxTimeoutError(BoxError, TimeoutError):
    """The box did not answer in time, or the device that was asked through it did not."""

    code = "box-timeout"


class BoxUnknownError(BoxError, LookupError):
    """The box knows no such camera, terminal or event, or has deleted it already to make room."""

    code = "box-unknown"


class BoxProtocolError(BoxError):
    """A request to the box, or its answer, is not what the protocol allows."""

    code = "box-protocol"


class VideoError(EdusenseError, ValueError):
    """Something is wrong with pictures or a file of pictures."""

    code = "video"
    exit_status = 6


class VideoSourceError(VideoError):
    """A file is not video, has no video stream, or is damaged so that nothing of it can be read."""

    code = "video-source"


class PictureDeclinedError(VideoError):
    """No decoder takes this picture; the message gives each one's reason."""

    code = "picture-declined"


class PictureDamagedError(VideoError):
    """A picture's bytes are not what its standard allows; the message names unit, syntax element and bit."""

    code = "picture-damaged"


class LedgerError(EdusenseError):
    """Something is wrong with a ledger of meals."""

    code = "ledger"
    exit_status = 6


class LedgerLockedError(LedgerError):
    """Another process writes to this ledger; the message says which."""

    code = "ledger-locked"
    exit_status = 5


class LedgerDamagedError(LedgerError):
    """Records in the middle of a ledger are damaged; the message names the first. Nothing was overwritten."""

    code = "ledger-damaged"


class LedgerStorageError(LedgerError, OSError):
    """The disk refused: full, read-only, or it failed to write through."""

    code = "ledger-storage"


class LedgerVersionError(LedgerError):
    """The ledger was written by a newer edusense."""

    code = "ledger-version"


class BatchError(LedgerError, ValueError):
    """Bytes that should be a signed batch, an acknowledgement, a proof or a key are none: cut, altered, or others."""

    code = "batch"


class BatchRefusedError(BatchError):
    """A batch, acknowledgement or proof is sound, but not what is trusted here.

    For example: another school's, signed with another key, or of other records than the ledger's.
    """

    code = "batch-refused"
    exit_status = 5


class CameraListError(EdusenseError, ValueError):
    """A line of a list of cameras is wrong; the message names line, column, value and what was expected.

    Attributes:
        others: the further errors of the same file, in its order: it is checked to its end, and nothing of it taken.
    """

    code = "camera-list"
    exit_status = 6

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.others: tuple[CameraListError, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the base class, with `others` where there are more errors."""
        here = super().to_json()
        return {**here, "others": [other.to_json() for other in self.others]} if self.others else here


class RosterError(EdusenseError, ValueError):
    """A line of the roster is wrong; the message names line, column, value and what was expected."""

    code = "roster"
    exit_status = 6


class RosterStorageError(RosterError):
    """The roster's database cannot be used: damaged, of a newer edusense, on a full disk, or in use for too long."""

    code = "roster-storage"


class BenchError(EdusenseError):
    """Something is wrong with what `edusense bench` was given, or with what it wrote."""

    code = "bench"
    exit_status = 6


class BenchPlanError(BenchError, ValueError):
    """A plan or profile is wrong: no TOML, an unknown case, figure or option, a value of the wrong type.

    Where it is known, `path`, `line` and `column` (from 1) say where.

    Args:
        message: what is wrong.
        hint: what was meant, or how to mend it.
        path: the file.
        line: line, counted from 1.
        column: column in characters, counted from 1.

    Attributes:
        others: the further errors of the same file, in its order: a file is checked to its end.
    """

    code = "bench-plan"
    exit_status = 2

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.others: tuple[BenchPlanError, ...] = ()

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" if place else self.message

    def to_json(self) -> dict[str, Any]:
        """As the base class, with `path`, `line` and `column`; `others` where there are more errors."""
        here = {**super().to_json(), "path": self.path, "line": self.line, "column": self.column}
        return {**here, "others": [other.to_json() for other in self.others]} if self.others else here


class BenchReportError(BenchError):
    """A folder holds no report that can be read.

    For example: there is none; it was made by another plan and would be overwritten; a newer edusense wrote it.
    """

    code = "bench-report"


class BenchNotMeasuredError(BenchError):
    """What a case needs to measure is not here: a device, a disk, a program, a right; the message says which.

    In a report it is no failure: the case stands there as not measured, with this reason.
    """

    code = "bench-not-measured"
    exit_status = 4


class AlertError(EdusenseError):
    """Something is wrong with findings, cases or the log of cases."""

    code = "alert"
    exit_status = 6


class AlertStorageError(AlertError, OSError):
    """The disk did not take an alert, or the database of cases cannot be used: full, read-only, of a newer edusense."""

    code = "alert-storage"
    is_full = False
    """Whether the disk is full."""


class AlertLogDamagedError(AlertError):
    """The log of cases was altered or damaged; the message names the first entry that does not follow from others."""

    code = "alert-log-damaged"


class FindingError(AlertError, ValueError):
    """What was handed in is no finding: a camera or zone that this site has not, boxes outside the picture, no kind."""

    code = "finding"
    exit_status = 2


class FindingLimitedError(AlertError):
    """One source hands in more findings than anybody could look at; further ones are left out for a while."""

    code = "finding-limited"
    exit_status = 5


class FindingSilencedError(AlertError):
    """The place of the finding is silenced: somebody has said so, by name and with an end. It is only counted."""

    code = "finding-silenced"
    exit_status = 5


class CaseUnknownError(AlertError, LookupError):
    """There is no such case."""

    code = "case-unknown"
    exit_status = 5


class CaseClosedError(AlertError):
    """The case is closed: it takes no further answers."""

    code = "case-closed"
    exit_status = 5


class DestinationError(EdusenseError):
    """Something went wrong with a place that alerts go to."""

    code = "destination"
    exit_status = 4


class DestinationUnavailableError(DestinationError, ConnectionError):
    """The destination cannot be reached, or says that it cannot take anything now; what waits for it is kept.

    Args:
        message: what went wrong.
        hint: what to do.
        retry_after_s: how long it asked to be left alone, in seconds.
    """

    code = "destination-unavailable"

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class DestinationRefusedError(DestinationError):
    """The destination refuses whatever it is sent: a bad certificate, a wrong secret, a redirect, no such address.

    What waits for it is kept, and it is tried again now and then.
    """

    code = "destination-refused"
    exit_status = 5


class MessageRefusedError(DestinationError):
    """The destination refused this message and takes others; it is set aside, and `edusense alerts show` says so."""

    code = "message-refused"
    exit_status = 5


class HubError(EdusenseError):
    """Something went wrong with the hub that a school's records go to."""

    code = "hub"
    exit_status = 4


class HubUnavailableError(HubError, ConnectionError):
    """The hub cannot be reached, or says that it cannot take anything now; the ledger keeps what waits for it.

    Args:
        message: what went wrong.
        hint: what to do.
        retry_after_s: how long it asked to be left alone, in seconds.
    """

    code = "hub-unavailable"

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class HubRefusedError(HubError):
    """The hub refuses what it is sent, or what it answers cannot be believed.

    For example: it does not know this school's key, wants a token, answers what no hub answers, or signed with another
    key than the one in the site file. What waits is kept, and it is tried again now and then.
    """

    code = "hub-refused"
    exit_status = 5


class PermissionDeniedError(EdusenseError, PermissionError):
    """This user may not read or write a folder or file that edusense needs."""

    code = "permission-denied"
    exit_status = 7


class InternalError(EdusenseError):
    """A bug of ours: something happened that the code holds to be impossible."""

    code = "internal"
    exit_status = 70


def walk(cls: type[EdusenseError] = EdusenseError) -> list[type[EdusenseError]]:
    """`cls` and every class below it.

    >>> DeviceTimeoutError in walk()
    True
    """
    return [cls, *(found for child in cls.__subclasses__() for found in walk(child))]


def class_of(code: str) -> type[EdusenseError]:
    """The class whose code this is; `InternalError` for a code that nobody knows.

    >>> class_of("stream-timeout").__name__
    'StreamTimeoutError'
    """
    return next((cls for cls in walk() if cls.code == code), InternalError)
