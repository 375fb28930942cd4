"""Rows of `alerts`, and of the virtual operations centre."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from edusense.cli.schemas.base import Row

__all__ = ["CaseRow", "CentreCheckRow", "CentreReady", "EntryRow", "HopRow", "LogVerified", "SilenceRow", "TestHopRow"]


class CaseRow(Row):
    """One case."""

    kind: Literal["case"]
    case: str
    """Its id, unique for ever."""
    number: int
    """Its number in this box."""
    state: Literal["new", "sent", "seen", "taken", "closed", "false"]
    """How far it is."""
    severity: Literal["minor", "moderate", "severe", "extreme"]
    """How grave it is, in the words of the Common Alerting Protocol."""
    finding: str
    """What was found, in kebab-case."""
    camera: str | None
    """The camera that saw it."""
    room: str | None
    """The camera's room."""
    zone: str | None
    """The zone that it is about."""
    start_s: float
    """When it began, Unix seconds."""
    last_s: float
    """When it was last seen to go on."""
    clock_error_s: float
    """By how much these may be wrong."""
    opened_s: float
    """When the box opened the case."""
    count: int
    """Findings in it."""
    confidence: float
    """0 to 1, of the clearest finding."""
    boxes: list[list[float]]
    """[left, top, width, height] as shares of the picture."""
    rule: str
    """What made the first finding."""
    version: str
    """Its version."""
    source: str
    """Who ran it."""
    text: str | None
    """A sentence for people."""
    event: str | None
    """The motion event that it rests on."""
    destinations: list[str]
    """Where it goes."""
    test: bool
    """It is a test."""
    sequence: int
    """Number of the last message about it."""
    escalated: int
    """How often nobody answered in time."""
    answered_by: str | None
    """Who answered last."""
    answered_s: float | None
    """When."""
    seen_s: float | None
    """When somebody first said `seen`."""
    taken_s: float | None
    """When somebody first said `taken`."""
    closed_s: float | None
    """When it was closed."""
    attachments: dict[str, dict[str, Any]]
    """By name (`still`, `clip`): media_type, bytes, sha256."""


class EntryRow(Row):
    """One entry of the case log."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["entry"]
    position: int
    """Its place in the log of all cases."""
    entry: str
    """opened, again, attached, sent, answer, escalated, refused, expired, …"""
    at_s: float
    """When, by the box's clock, Unix seconds."""


class HopRow(Row):
    """One part of a case on its way to one destination."""

    kind: Literal["hop"]
    destination: str
    """Where it goes."""
    part: str
    """A message's number, `still` or `clip`."""
    state: Literal["waiting", "delivered", "refused", "expired"]
    """What became of it."""
    attempts: int
    """How often it was tried."""
    created_s: float
    """When it was put into the outbox."""
    settled_s: float | None
    """When it was delivered or set aside."""
    reason: str | None
    """Why it was set aside."""


class TestHopRow(Row):
    """One hop of a test alert."""

    case: str
    """The case's id."""
    hop: str
    """on the disk, still, DESTINATION: message, …"""
    told: str
    """What happened."""
    at_s: float
    """When, Unix seconds."""
    after_s: float
    """Seconds after the command began it."""


class SilenceRow(Row):
    """A zone or camera whose findings open no case for a while."""

    kind: Literal["silence"]
    id: int
    """Its number in this box."""
    zone: str | None
    """The zone; null where the whole camera is silenced."""
    camera: str
    """The camera."""
    since_s: float
    """Since when, Unix seconds."""
    until_s: float
    """Until when."""
    by: str
    """Who said so."""
    reason: str | None
    """Why, in their words."""
    count: int
    """Findings that were left out."""
    over: bool
    """It has ended."""


class LogVerified(Row):
    """The case log, followed from its first entry."""

    ok: bool
    """Whether each entry follows from those before it."""
    entries: int
    """How many there are."""
    head: str
    """SHA-256 of the last one: fixes all before it."""


class CentreCheckRow(Row):
    """One check of an operations centre."""

    check: str
    """Its name."""
    state: Literal["passed", "failed", "skipped"]
    """Whether the centre passed; `skipped` where that could not be tried."""
    found: str
    """What the centre did, or why nothing was tried."""
    asks: str
    """What the contract asks for."""


class CentreReady(Row):
    """A virtual operations centre is ready."""

    kind: Literal["ops-centre"]
    id: str
    """Its id."""
    url: str
    """What stands as `url` in a box's site file."""
    page: str
    """Its page for people."""
    port: int
    """Its port."""
    user: str
    """Who signs: the user of the destination's credentials."""
    password_ref: str
    """Where the secret is."""
    ca: str | None
    """The authority that its certificate is checked by."""
