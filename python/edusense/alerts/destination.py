"""The contract of a destination: one small class that carries messages somewhere.

A destination never keeps anything: what it was asked to send it has either delivered when it returns, or it raises, and
the outbox keeps it. `edusense.alerts.contract` holds the tests that every destination passes.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edusense.alerts.outbox import Attachment

__all__ = ["Answers", "Destination", "GivenAnswer", "Settings"]


@dataclass(frozen=True)
class GivenAnswer:
    """An answer that a destination gave to a case.

    Attributes:
        id: the destination's own id of it; an id that was given before is not taken twice.
        case: the case's id.
        answer: `seen`, `taken`, `closed` or `false`.
        by: who.
        at_s: when, by the destination's clock, Unix seconds.
        note: in somebody's own words.
    """

    id: str
    case: str
    answer: str
    by: str
    at_s: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Answers:
    """What a destination answered since it was asked last.

    Attributes:
        given: in order.
        cursor: where the next ones begin; None where there is nothing new.
    """

    given: tuple[GivenAnswer, ...] = ()
    cursor: str | None = None


def _unpaced(count: int) -> None:
    """No budget: what is sent is sent at once."""


@dataclass(frozen=True)
class Settings:
    """What a destination is made of: its table of the site file, with the secret read.

    Attributes:
        id: the destination's id.
        url: where it is; None where its driver needs none.
        user: out of its credentials.
        password: out of its credentials; never shown.
        ca: a file of certificates that are trusted instead of the machine's.
        options: what is its driver's alone.
        school: `id` and `number` of the school.
        timezone: the school's.
        folder: where relative paths of the site file begin.
        pace: called with a number of bytes before they are sent; waits until the way out carries them.
        what: what it is, for messages.
    """

    id: str
    school: Mapping[str, Any]
    url: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "Asia/Almaty"
    folder: Path | None = None
    pace: Callable[[int], None] = _unpaced
    what: str = "destination"

    def tls(self) -> ssl.SSLContext:
        """What a connection is checked by: names and certificates, always; TLS 1.2 or newer.

        Raises:
            OSError: the file of certificates cannot be read.
            ssl.SSLError: it holds none.
        """
        import ssl

        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class Destination(abc.ABC):
    """One place that alerts go to. One thread uses it at a time; each lane has an object of its own.

    Raise `DestinationUnavailableError` where it may work later, `DestinationRefusedError` where somebody must mend
    something first, and `MessageRefusedError` where it is this message that is not taken. All three leave the message
    in the outbox but the last one, which sets it aside and says so.

    Args:
        settings: its table of the site file.
    """

    OPTIONS: ClassVar[Mapping[str, str]] = {}
    """Its driver's own options, each with a line of help; others are refused by name."""
    URLS: ClassVar[tuple[str, ...]] = ()
    """Schemes of its `url`; empty where it takes none."""
    CREDENTIALS: ClassVar[bool] = True
    """Whether it takes credentials."""
    ATTACHMENTS: ClassVar[tuple[str, ...]] = ()
    """Which attachments it takes: `still`, `clip`."""
    STILL_WITHIN_S: ClassVar[float] = 0.0
    """How long an alert may wait for its still, in seconds, where it must carry it: a letter cannot be amended."""
    ANSWERS: ClassVar[bool] = False
    """Whether answers come back."""
    HEARTBEATS: ClassVar[bool] = False
    """Whether it takes the box's heartbeat."""
    LANES: ClassVar[int] = 1
    """How many messages may be under way at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abc.abstractmethod
    def send(self, message: Mapping[str, Any], still: Attachment | None = None) -> None:
        """Delivers a message; returns when the destination has it for good.

        Args:
            message: JSON; `key` is the same each time that it is sent: a destination that knows it takes it once.
            still: its picture, where there is one and `STILL_WITHIN_S` asks for it.

        Raises:
            DestinationUnavailableError: it cannot be reached or cannot take anything now.
            DestinationRefusedError: it refuses whatever it is sent.
            MessageRefusedError: it refuses this message.
        """

    def attach(self, attachment: Attachment, stopping: threading.Event) -> None:
        """Delivers a picture or a clip; of what was sent before nothing is sent again.

        Args:
            attachment: the file, and the case that it belongs to.
            stopping: set when the box stops: what is not sent by then is sent after the next start.

        Raises:
            DestinationUnavailableError: as `send`; also where `stopping` was set in the middle.
            DestinationRefusedError: as `send`.
            MessageRefusedError: as `send`.
        """
        raise NotImplementedError

    def answers(self, cursor: str | None, wait_s: float) -> Answers:
        """What was answered since `cursor`; waits for it for at most `wait_s` seconds.

        Raises:
            DestinationUnavailableError: as `send`.
            DestinationRefusedError: as `send`.
        """
        raise NotImplementedError

    def heartbeat(self, message: Mapping[str, Any]) -> None:
        """Delivers the box's heartbeat. The newest is worth something, those before it are not.

        Raises:
            DestinationUnavailableError: as `send`.
            DestinationRefusedError: as `send`.
        """
        raise NotImplementedError

    def interrupt(self) -> None:  # noqa: B027 - most have nothing to do
        """Called from another thread when the box stops: ends what waits, where that can be done."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Lets go of connections; calling it twice is harmless."""
