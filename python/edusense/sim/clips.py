"""Clips that can be shown in a loop: drawn and encoded once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edusense.sim.acts import Staged
from edusense.sim.encode import NAL_PPS, NAL_SPS, Encoder, Encoding, Picture, split_nals
from edusense.sim.scenes import Rect, Scene
from edusense.sim.script import Script
from edusense.sim.spoiling import spoiled
from edusense.sim.stage import Disturbance, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VERSION", "Clip", "cache_folder", "library_clip"]

VERSION = 2
"""Raised whenever scenes, acts or encoding change, so that nobody is shown a clip that no longer fits its truth."""


@dataclass(frozen=True)
class Clip:
    """Encoded pictures from a key picture on, and what happens in them.

    Attributes:
        encoding: how they were encoded.
        pictures: in order; the first is a key picture.
        staged: what happens, by picture numbers.
    """

    encoding: Encoding
    pictures: tuple[Picture, ...]
    staged: tuple[Staged, ...] = ()

    @property
    def seconds(self) -> float:
        """How long one turn takes."""
        return len(self.pictures) / self.encoding.fps

    @property
    def parameter_sets(self) -> tuple[bytes, bytes]:
        """SPS and PPS."""
        nals = self.pictures[0].nals
        return (
            next(nal for nal in nals if nal[0] & 31 == NAL_SPS),
            next(nal for nal in nals if nal[0] & 31 == NAL_PPS),
        )

    def annex_b(self) -> bytes:
        """The elementary stream, as `cam.h264` has it."""
        return b"".join(picture.annex_b() for picture in self.pictures)

    @classmethod
    def draw(
        cls,
        kind: str,
        encoding: Encoding,
        *,
        seconds: float,
        seed: int,
        events: bool = True,
        lights: bool = False,
        disturbance: Disturbance | None = None,
        spoil: str | None = None,
    ) -> Clip:
        """Draws and encodes a clip whose end fits its beginning."""
        scene = Scene.draw(kind, width=encoding.width, height=encoding.height, seed=seed)
        count = max(1, round(seconds / encoding.gop_s)) * encoding.gop
        script = Script.draw(
            scene,
            seed=seed,
            fps=encoding.fps,
            begin_s=1.0,
            end_s=count / encoding.fps - 2.0,
            loops=True,
            pause_s=2.0,
            lights=lights,
        )
        kind_of = disturbance or Disturbance(drift_s=count / encoding.fps)
        stage = Stage(scene, script if events else script.quiet(), disturbance=kind_of, seed=seed)
        encoder = Encoder(encoding)
        paint = stage.paint if spoil is None else spoiled(stage.paint, spoil)
        pictures = tuple(encoder.encode(paint) for _ in range(count))
        return cls(encoding, pictures, tuple(stage.staged))

    @classmethod
    def read(cls, stream: bytes, encoding: Encoding) -> Clip:
        """An H.264 elementary stream of one slice a picture, such as a file of somebody else's camera."""
        pictures: list[Picture] = []
        waiting: list[bytes] = []
        for nal in split_nals(stream):
            waiting.append(nal)
            # first_mb_in_slice is the first ue(v) of a slice header: one set bit says 0, the first slice of a picture.
            if nal[0] & 31 in {1, 5}:
                if len(nal) > 1 and not nal[1] & 0x80 and pictures:
                    before = pictures.pop()
                    pictures.append(before._replace(nals=(*before.nals, *waiting)))
                else:
                    pictures.append(Picture(len(pictures), nal[0] & 31 == 5, tuple(waiting)))
                waiting = []
        return cls(encoding, tuple(pictures))


def cache_folder() -> Path:
    """Where clips are kept: `$XDG_CACHE_HOME/edusense`, or `~/.cache/edusense`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "edusense" / "clips"


def library_clip(
    kind: str = "room",
    encoding: Encoding | None = None,
    *,
    seconds: float = 20.0,
    seed: int = 1,
    events: bool = True,
    lights: bool = False,
    noise: float | None = None,
    spoil: str | None = None,
    drawing: Callable[[], None] | None = None,
) -> Clip:
    """A clip out of the cache; drawn now where it is not there yet.

    Args:
        kind: a scene (`edusense.sim.scenes.KINDS`).
        encoding: how to encode; `Encoding()` by default.
        seconds: about how long; whole GOPs are taken.
        seed: of scene and script.
        events: whether anything happens.
        lights: whether the light is switched, too.
        noise: the sensor's, in levels; the usual mixture by default.
        spoil: what is wrong with the pictures: a name out of `edusense.sim.spoiling.SPOILS`.
        drawing: called before it is drawn, which takes some seconds.
    """
    encoding = encoding or Encoding()
    names = {
        "version": VERSION,
        "kind": kind,
        "encoding": asdict(encoding),
        "seconds": seconds,
        "seed": seed,
        "events": events,
        "lights": lights,
        "noise": noise,
        **({} if spoil is None else {"spoil": spoil}),
    }
    digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / f"{kind}-{encoding.width}x{encoding.height}-{digest}.clip"
    found = _load(path, names, encoding)
    if found is not None:
        return found
    if drawing is not None:
        drawing()
    disturbance = None if noise is None else Disturbance(noise=noise, drift_s=seconds)
    clip = Clip.draw(
        kind, encoding, seconds=seconds, seed=seed, events=events, lights=lights, disturbance=disturbance, spoil=spoil
    )
    _save(path, names, clip)
    return clip


def _save(path: Path, names: dict[str, Any], clip: Clip) -> None:
    staged = [asdict(one) for one in clip.staged]
    data = [picture.annex_b() for picture in clip.pictures]
    head = json.dumps(
        {
            "names": names,
            "staged": staged,
            "pictures": [[p.key, len(d)] for p, d in zip(clip.pictures, data, strict=True)],
        }
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(head.encode() + b"\n" + b"".join(data))
        Path(file.name).replace(path)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else


def _load(path: Path, names: dict[str, Any], encoding: Encoding) -> Clip | None:
    try:
        head, _, data = path.read_bytes().partition(b"\n")
        known = json.loads(head)
        if known["names"] != names or sum(size for _, size in known["pictures"]) != len(data):
            return None
        pictures: list[Picture] = []
        at = 0
        for index, (key, size) in enumerate(known["pictures"]):
            pictures.append(Picture(index, key, tuple(split_nals(data[at : at + size]))))
            at += size
        staged = tuple(Staged(**{**one, "box": Rect(**one["box"])}) for one in known["staged"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Clip(encoding, tuple(pictures), staged)
