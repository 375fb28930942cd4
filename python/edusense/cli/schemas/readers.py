"""Rows of `reader`: card readers, their ports and drivers, and the cards that they read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edusense.cli.schemas.base import Row

__all__ = [
    "BytesRow",
    "CardRow",
    "DriverOfReaders",
    "EnrolmentRow",
    "ModelOfDriver",
    "PortHolder",
    "PortRow",
    "ProtocolRow",
    "ReaderFaultRow",
    "ReaderKeyRow",
    "ReaderOfSite",
    "ReaderTestRow",
    "ReadingRow",
    "VectorRow",
]


class ReaderOfSite(Row):
    """A reader of the site file."""

    kind: Literal["reader"]
    id: str
    """Its id."""
    address: str
    """What `edusense reader listen` takes."""
    driver: str
    """Its driver."""
    problem: str | None
    """Why its driver cannot be used."""


class ModelOfDriver(Row):
    """A device that a driver was made for."""

    name: str
    """Maker and model."""
    works: str
    """What of it works."""
    checked: str
    """How that was checked."""
    options: str
    """Options of the address that it needs."""
    usb_id: str | None
    """VID:PID where it has its own."""
    cards: list[str]
    """Technologies that it reads; empty for all of its driver's."""


class DriverOfReaders(Row):
    """An installed driver, or one that cannot be loaded."""

    kind: Literal["driver"]
    id: str
    """Its name."""
    address: str | None
    """How its addresses look."""
    driver: str
    """Its name."""
    summary: str | None
    """Which devices, by what protocol."""
    usb_ids: list[str]
    """VID:PID of devices it may be behind."""
    models: list[ModelOfDriver]
    """Devices it was made for."""
    cards: list[str]
    """Technologies that it reads."""
    can: list[str]
    """What it can beyond reading numbers: light, sound, apdu."""
    carrier: str | None
    """How its devices are plugged in."""
    extra: str | None
    """The extra of its package that it needs."""
    options: dict[str, str]
    """Options in addresses."""
    distribution: str
    """The package that brings it."""
    problem: str | None
    """Why it cannot be loaded."""


class PortHolder(Row):
    """A process that has a port open."""

    pid: int
    """Its number."""
    program: str
    """Its name."""


class PortRow(Row):
    """One port that a reader may be plugged into."""

    path: str
    """The device node."""
    kind: Literal["serial", "usb", "input"]
    """Whether it is spoken to as a serial port, by USB, or poses as a keyboard."""
    by_id: str | None
    """The path that stays the same after replugging."""
    usb_id: str | None
    """VID:PID."""
    product: str | None
    """What the device calls itself."""
    drivers: list[str]
    """Drivers that may fit."""
    address: str | None
    """What to write into the site file, if the first of them fits."""
    holders: list[PortHolder]
    """Who has it open."""
    problem: str | None
    """What keeps this user from opening it."""
    hint: str | None
    """What to do about it."""
    rule: str | None
    """The udev rule that gives the right for good."""


class CardRow(Row):
    """A card that was laid on a reader."""

    kind: Literal["card"]
    reader: str
    """The reader, as it was named."""
    card: str
    """Technology and number: `em4100:010063E9AE`."""
    technology: str
    """em4100, iso14443a, …"""
    product: str | None
    """What the reader says that it is beyond that: mifare-classic, ntag, …"""
    id: str
    """The number in upper-case hex, wire order, full width."""
    dec10: str | None
    """The ten decimal digits that may be printed on it."""
    facility: str | None
    """The form 099,59822 that may be printed on it."""
    forms: dict[str, str]
    """Every way in which its number may be written, by the name of the form."""
    assurance: str
    """How hard the card is to copy."""
    random_id: bool
    """The number is drawn anew at each reading: it identifies nobody."""
    at_s: float | None
    """When, in Unix seconds."""
    raw: str
    """The frame it came in, in hex."""


class ReadingRow(Row):
    """A card that a number may mean."""

    kind: Literal["reading"]
    card: str
    """Technology and number: `em4100:010063E9AE`."""
    technology: str
    """em4100, iso14443a, …"""
    partial: bool
    """Only a part of the number is known: several cards may end so."""
    random_id: bool
    """The number is drawn anew at each reading: it identifies nobody."""
    forms: dict[str, str]
    """Every way in which it may be written, by the name of the form."""
    other_forms: str
    """The same in words, without the hex digits."""


class BytesRow(Row):
    """With --verbose: bytes to or from a reader."""

    kind: Literal["bytes"]
    reader: str
    """The reader, as it was named."""
    direction: str
    """in or out, or what was wrong."""
    data: str
    """The bytes, in hex."""
    text: str
    """What they mean."""
    reason: str | None
    """For a frame that was dropped: the word that such frames are counted by."""
    hint: str | None
    """What to do about that."""
    at_s: float | None
    """When, in Unix seconds."""


class ProtocolRow(Row):
    """A protocol that fits what a port says."""

    kind: Literal["protocol"]
    driver: str
    """The driver that speaks it."""
    address: str
    """What to write into the site file."""
    cards: list[str]
    """The cards that were read, each once."""
    explained: float
    """Share of the bytes that are good frames, 0 to 1."""
    bad_frames: int
    """Frames that were begun and dropped."""
    evidence: str
    """The same in words."""


class ReaderTestRow(Row):
    """What an acceptance test of a reader found."""

    kind: Literal["reader-test"]
    reader: str
    """The reader, as it was named."""
    address: str
    """Its address."""
    at_s: float
    """When, in Unix seconds."""
    wanted: int
    """Cards that were to be read."""
    cards: int
    """Cards that were read."""
    different: int
    """Different ones among them."""
    random_ids: int
    """Those whose number is drawn anew at each reading."""
    repeats: int
    """Good frames of cards that still lay there."""
    bad_frames: int
    """Frames that were dropped."""
    bad_by_reason: dict[str, int]
    """The same by reason."""
    noise_bytes: int
    """Bytes outside any frame."""
    read_rate: float | None
    """Share of good frames among all."""
    latency_median_s: float | None
    """Seconds from the last byte of a card to the card: median."""
    latency_max_s: float | None
    """The same: the longest."""
    failure: str | None
    """Why the reader stopped before the end."""
    faults: list[str]
    """What speaks against the reader."""
    passed: bool
    """The verdict."""


class EnrolmentRow(Row):
    """What became of a card that was given, refused or taken back."""

    kind: Literal["enrolled", "undone", "refused"]
    pupil: int | None
    """The child that was due."""
    name: str | None
    """Its name."""
    form: str | None = Field(alias="class")
    """Its class."""
    card: str | None
    """The card."""
    cards: list[str]
    """The child's cards now."""
    others: list[int]
    """Pupils whose card it is, or may be."""
    text: str
    """What happened, in words."""
    hint: str | None
    """What to do about it."""
    left: int
    """Children that are due."""


class VectorRow(Row):
    """A published frame, and what a driver makes of it."""

    kind: Literal["vector"]
    driver: str
    """The driver."""
    options: str
    """The dialect, as the options of an address."""
    source: str
    """Who published it."""
    wire: str
    """The bytes, in hex."""
    expected: str | None
    """The card in it; null for a frame that must be refused."""
    found: str | None
    """The card that the driver reads."""
    problem: str | None
    """What the driver has against it."""
    ok: bool
    """Whether that is as published."""


class ReaderKeyRow(Row):
    """A reader was given its key."""

    kind: Literal["reader-key"]
    reader: str
    """The reader, as it was named."""
    key_ref: str
    """Where the key is."""
    given: bool
    """Whether it answered with it."""


class ReaderFaultRow(Row):
    """Something that virtual readers can be told to do wrong."""

    fault: str
    """Its name."""
    does: str
    """What happens."""
    readers: list[str]
    """The virtual readers that have it."""
