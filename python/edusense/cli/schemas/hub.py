"""Rows about the city's hub: the virtual one, and what checks find out about any."""

from __future__ import annotations

from typing import Literal

from edusense.cli.schemas.base import Row

__all__ = ["CaseOfHubRow", "EvidenceRow", "HubCheckRow", "HubReady", "RecoveredRow", "SentRow"]


class HubReady(Row):
    """A virtual hub is ready."""

    kind: Literal["hub"]
    id: str
    """Its id."""
    url: str
    """What stands as `url` under [hub] in a box's site file."""
    port: int
    """Its port."""
    key: str
    """Its public key in hex, `key` under [hub]."""
    token_ref: str | None
    """Where its token is."""


class HubCheckRow(Row):
    """One check of a hub."""

    check: str
    """Its name."""
    ok: bool
    """Whether the hub passed."""
    asks: str
    """What the hub has to do."""
    found: str | None
    """What it did instead."""


class CaseOfHubRow(Row):
    """Something that does not add up at the hub."""

    case: int
    """Its number there."""
    kind: str
    """rolled-back, fork or served-twice."""
    school: int
    """National number of the school."""
    opened_s: float | None
    """When it was opened, Unix seconds of the hub's clock."""
    times: int | None
    """How often it was met."""
    message: str | None
    """What it is about."""
    decision: str | None
    """count or leave-out; null while it is open."""
    by: str | None
    """Who closed it."""
    decided_s: float | None
    """When, Unix seconds of the hub's clock."""
    why: str | None
    """Why, in their words."""


class EvidenceRow(Row):
    """A signed batch that a case rests on."""

    file: str
    """Where it was written."""
    holds: bool
    """Whether it is what its signature says."""
    told: str
    """Its name; or what is wrong with it."""


class RecoveredRow(Row):
    """What became of a damaged place of a ledger."""

    position: int
    """Number of the record in the ledger, from 0."""
    record: str | None
    """Its key."""
    outcome: Literal["recovered", "lost"]
    """Whether the hub had it."""


class SentRow(Row):
    """What became of a file that was brought to a hub."""

    file: str
    """The file."""
    outcome: str
    """taken or known; or why it was not: gap, fork, damaged, too-large, other-key, unknown-school."""
    told: str | None
    """The hub's own words."""
