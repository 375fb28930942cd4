"""Devices: what a card is, what every reader promises, which drivers are installed, and opening a device by its
address.

>>> from edusense.devices import Card
>>> Card.parse("em4100:010063E9AE").dec10
'0006547886'
"""

from __future__ import annotations

from edusense.devices.address import Address
from edusense.devices.camera import (
    Camera,
    CameraClock,
    CameraEvent,
    CameraFound,
    CameraInformation,
    CameraProfile,
    CameraSettings,
)
from edusense.devices.card import ASSURANCES, TECHNOLOGIES, Card, CardId
from edusense.devices.card_forms import readings
from edusense.devices.card_index import CardIndex
from edusense.devices.clock import Clock, SystemClock
from edusense.devices.debounce import Debounce
from edusense.devices.fault_hints import FAULT_HINTS, fault_hint
from edusense.devices.port_scan import Holder, Port, holders, ports
from edusense.devices.pump import PumpedReader, Source
from edusense.devices.reader import Reader, ReaderStats, Trace
from edusense.devices.reconnect import ReaderChange, ReconnectingReader, reconnecting
from edusense.devices.registry import Driver, DriverRow, Model, drivers, find_driver, open_camera, open_reader
from edusense.devices.tally import Tally
from edusense.devices.wire import Heard, Vector

__all__ = [
    "ASSURANCES",
    "FAULT_HINTS",
    "TECHNOLOGIES",
    "Address",
    "Camera",
    "CameraClock",
    "CameraEvent",
    "CameraFound",
    "CameraInformation",
    "CameraProfile",
    "CameraSettings",
    "Card",
    "CardId",
    "CardIndex",
    "Clock",
    "Debounce",
    "Driver",
    "DriverRow",
    "Heard",
    "Holder",
    "Model",
    "Port",
    "PumpedReader",
    "Reader",
    "ReaderChange",
    "ReaderStats",
    "ReconnectingReader",
    "Source",
    "SystemClock",
    "Tally",
    "Trace",
    "Vector",
    "drivers",
    "fault_hint",
    "find_driver",
    "holders",
    "open_camera",
    "open_reader",
    "ports",
    "readings",
    "reconnecting",
]
