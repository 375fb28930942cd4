"""The parts of watching, each by itself: for benches, and for whoever wants one of them without the others.

`Detector` looks at pictures, `Inspector` is the gate over access units, `h264_intra` and `jpeg_eighth` decode one key
picture. `find_events` and `Engine` are made of them, and are what most people want.
"""

from __future__ import annotations

from edusense import _native

__all__ = ["Detector", "Inspector", "h264_intra", "jpeg_eighth"]

Detector = _native.Detector
Inspector = _native.Inspector
h264_intra = _native.h264_intra
jpeg_eighth = _native.jpeg_eighth
