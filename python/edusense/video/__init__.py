"""Cameras' pictures: what moves in them, when, and clips of it.

Names are fetched when they are first asked for, so that importing the package costs neither NumPy nor FFmpeg.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense.video.cutting import Cut as Cut
    from edusense.video.cutting import cut as cut
    from edusense.video.engine import CameraSource as CameraSource
    from edusense.video.engine import Engine as Engine
    from edusense.video.engine import EngineEvent as EngineEvent
    from edusense.video.finding import MotionEvent as MotionEvent
    from edusense.video.finding import find_events as find_events
    from edusense.video.heat import HeatMap as HeatMap
    from edusense.video.heat import heat_map as heat_map
    from edusense.video.inspection import Inspection as Inspection
    from edusense.video.inspection import inspect as inspect
    from edusense.video.keys import keyframes as keyframes
    from edusense.video.luma_decoder import LumaDecoder as LumaDecoder
    from edusense.video.source import Damage as Damage
    from edusense.video.source import duration_s as duration_s
    from edusense.video.source import is_url as is_url
    from edusense.video.source import redacted as redacted
    from edusense.video.still import luma_at as luma_at
    from edusense.video.still import luma_frame as luma_frame
    from edusense.video.timeline import Timeline as Timeline

__all__ = [
    "CameraSource",
    "Cut",
    "Damage",
    "Engine",
    "EngineEvent",
    "HeatMap",
    "Inspection",
    "LumaDecoder",
    "MotionEvent",
    "Timeline",
    "cut",
    "duration_s",
    "find_events",
    "heat_map",
    "inspect",
    "is_url",
    "keyframes",
    "luma_at",
    "luma_frame",
    "redacted",
]

_HOME = {
    "CameraSource": "engine",
    "Cut": "cutting",
    "Damage": "source",
    "Engine": "engine",
    "EngineEvent": "engine",
    "HeatMap": "heat",
    "Inspection": "inspection",
    "LumaDecoder": "luma_decoder",
    "MotionEvent": "finding",
    "Timeline": "timeline",
    "cut": "cutting",
    "duration_s": "source",
    "find_events": "finding",
    "heat_map": "heat",
    "inspect": "inspection",
    "is_url": "source",
    "keyframes": "keys",
    "luma_at": "still",
    "luma_frame": "still",
    "redacted": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edusense.video' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"edusense.video.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
