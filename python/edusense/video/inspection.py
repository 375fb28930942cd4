"""What a file or stream is made of, and what that means for finding motion in it. One key picture is decoded."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edusense import _native
from edusense.errors import PictureDamagedError, PictureDeclinedError, VideoSourceError
from edusense.video.source import open_source, redacted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from edusense.video.source import Damage, OpenSource

__all__ = ["DECODERS", "Inspection", "inspect"]

DECODERS: dict[tuple[str, str], tuple[str, str]] = {
    ("h264", "any"): (
        "pyav",
        "FFmpeg decodes every H.264 stream; key pictures looked at alone are offered to h264-intra first",
    ),
    ("h264", "taken"): (
        "pyav",
        "FFmpeg decodes every H.264 stream; key pictures looked at alone are decoded by h264-intra",
    ),
    ("h264", "declined"): ("pyav", "FFmpeg decodes every H.264 stream; h264-intra declines its key pictures: {}"),
    ("h265", "any"): ("pyav", "FFmpeg decodes every H.265 stream; there is no smaller decoder for it yet"),
    ("jpeg", "any"): ("jpeg-eighth", "an eighth of the size is enough to see motion; FFmpeg takes what it declines"),
    ("other", "any"): ("pyav", "only FFmpeg knows this codec; the box does not watch it"),
}
"""(codec, reason) to decoder and why: the order in which decoders are asked, as data."""

LONG_GOP_S = 4.0
"""Longer groups of pictures are suspected to be a camera's "smart codec": what looks at key pictures sees little."""

CONSTANT_SPREAD = 0.022
"""Relative spread of the sizes of groups of pictures; a quiet room at variable rate has 0.03 to 0.1."""


@dataclass
class _Group:
    """One group of pictures while it is counted."""

    start_s: float
    pictures: int = 0
    bits: int = 0


@dataclass
class Inspection:
    """What was seen of a source.

    Attributes:
        source: the file or URL, without a password.
        codec: `h264`, `h265`, `jpeg`, or FFmpeg's name for any other.
        profile: as the stream says.
        level: as in 3.1.
        entropy_coder: `CABAC` or `CAVLC`; None where there is only one, or it is not read.
        width: in pixels, cropped.
        height: in pixels, cropped.
        chroma: 4:2:0 and so on; None where it is not read.
        bit_depth: bits of a luma sample.
        interlaced: fields may be coded.
        seconds: how much of it was looked at.
        pictures: how many.
        rate: pictures a second, as measured.
        bitrate_kbit: mean, of the video alone.
        rate_kind: `variable`, `constant`, or `unknown` when too few groups were seen.
        gop_pictures: shortest, median and longest whole group of pictures; None where there was none.
        gop_s: the same in seconds.
        qp: lowest, median and highest slice QP of pictures that are no key pictures; None where it is not read.
        slices: most slices of a picture.
        b_pictures: there are pictures that refer to later ones.
        filler_share: share of the bits that only fill.
        gate: `learning`, `trusted`, `helper`, `off`: whether motion can be told from the bits alone.
        gate_words: what that means, and what to do.
        noise: N: median bits of a quiet picture a macroblock, at QP 26; None while that is not known.
        decoder: which decoder would be asked first.
        decoder_reason: why that one.
        notes: what is unusual, in words.
        faults: how many pictures had something that could not be read.
        first_fault: the first of these, with its place.
        damage: damaged parts, in words.
    """

    source: str
    codec: str
    profile: str | None = None
    level: float | None = None
    entropy_coder: str | None = None
    width: int = 0
    height: int = 0
    chroma: str | None = None
    bit_depth: int | None = None
    interlaced: bool | None = None
    seconds: float = 0.0
    pictures: int = 0
    rate: float | None = None
    bitrate_kbit: float | None = None
    rate_kind: str = "unknown"
    gop_pictures: tuple[float, float, float] | None = None
    gop_s: tuple[float, float, float] | None = None
    qp: tuple[float, float, float] | None = None
    slices: int | None = None
    b_pictures: bool | None = None
    filler_share: float = 0.0
    gate: str = "off"
    gate_words: str = ""
    noise: float | None = None
    decoder: str = ""
    decoder_reason: str = ""
    notes: list[str] = field(default_factory=list)
    faults: int = 0
    first_fault: str | None = None
    damage: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The row that `edusense video inspect --json` prints."""
        row = dict(vars(self))
        for name in ("gop_pictures", "gop_s", "qp"):
            row[name] = None if row[name] is None else [round(value, 3) for value in row[name]]
        for name in ("seconds", "rate", "bitrate_kbit", "filler_share", "noise", "level"):
            row[name] = None if row[name] is None else round(row[name], 3)
        return row


def inspect(
    source: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    user: str | None = None,
    password: str | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Inspection:
    """Looks at how a source is compressed.

    Args:
        source: a path, `rtsp://…`, or `-` for standard input.
        seconds: how much of it; None reads a file to its end, and 20 s of a stream.
        user: for a URL.
        password: for a URL.
        on_progress: called now and then with the seconds that have been read.

    Raises:
        VideoSourceError: the source cannot be read as video, or holds no picture.
        StreamError: the stream cannot be opened or was lost.
    """
    damage: list[Damage] = []
    with open_source(source, user=user, password=password, on_damage=damage.append) as opened:
        limit_s = seconds if seconds is not None or not opened.live else 20.0
        context = opened.stream.codec_context
        found = Inspection(redacted(source), opened.codec or context.name, width=context.width, height=context.height)
        found.profile = context.profile
        count = _Count(found)
        if opened.codec is not None:
            _read(opened, count, limit_s, on_progress)
        else:
            _count_packets(opened, count, limit_s)
    count.conclude()
    found.damage = [str(part) for part in damage]
    if not found.pictures:
        raise VideoSourceError(
            f"`{found.source}` has no picture in it" + (f": {found.first_fault}" if found.first_fault else "")
        )
    verdict = count.verdict if (opened.codec, count.verdict) in DECODERS else "any"
    found.decoder, words = DECODERS[(opened.codec or "other", verdict)]
    found.decoder_reason = words.format(count.declined)
    return found


class _Count:
    """Adds pictures up."""

    def __init__(self, found: Inspection) -> None:
        self.found = found
        self.groups: list[tuple[int, float, int]] = []
        self.group: _Group | None = None
        self.first_s = self.last_s = 0.0
        self.bits = self.filler = 0
        self.qps: list[float] = []
        self.keys = 0
        self.intra_elsewhere = 0
        self.verdict = "any"
        self.declined = ""

    def picture(self, at_s: float, key: bool, bits: int) -> None:
        if not self.found.pictures:
            self.first_s = at_s
        self.last_s = max(self.last_s, at_s)
        self.found.pictures += 1
        self.bits += bits
        if key:
            self.keys += 1
            if self.group is not None:
                self.groups.append((self.group.pictures, at_s - self.group.start_s, self.group.bits))
            self.group = _Group(at_s)
        if self.group is not None:
            self.group.pictures += 1
            self.group.bits += bits

    def conclude(self) -> None:
        found = self.found
        span_s = self.last_s - self.first_s
        if found.pictures > 1 and span_s > 0:
            found.rate = (found.pictures - 1) / span_s
            found.seconds = span_s + 1 / found.rate
            found.bitrate_kbit = self.bits / found.seconds / 1000
        if self.groups:
            pictures, times, bits = ([group[part] for group in self.groups] for part in range(3))
            found.gop_pictures = (min(pictures), statistics.median(pictures), max(pictures))
            found.gop_s = (min(times), statistics.median(times), max(times))
            # An encoder that holds its rate makes groups of one size, once its buffer has settled.
            settled = bits[2:]
            if len(settled) >= 4 and min(pictures) > 1:
                spread = statistics.pstdev(settled) / max(statistics.fmean(settled), 1)
                found.rate_kind = "constant" if spread < CONSTANT_SPREAD else "variable"
        if self.qps:
            found.qp = (min(self.qps), statistics.median(self.qps), max(self.qps))
        found.filler_share = self.filler / max(self.bits + self.filler, 1)
        self._note()

    def _note(self) -> None:
        found, notes = self.found, self.found.notes
        if found.filler_share > 0.01:
            found.rate_kind = "constant"
            notes.append(f"{found.filler_share:.0%} of the bits only fill up a constant rate")
        longest_s = max(found.gop_s[2] if found.gop_s else 0.0, self.last_s - self.group.start_s if self.group else 0.0)
        if longest_s > LONG_GOP_S:
            notes.append(
                f"{longest_s:.0f} s between key pictures: a smart codec is suspected; set a key picture every 1 to 2 s"
            )
        if not self.keys:
            notes.append("no key picture was seen: nothing can be decoded from here")
        if self.intra_elsewhere:
            notes.append(f"{self.intra_elsewhere} intra slices outside of key pictures: scene cuts or intra refresh")
        if found.b_pictures:
            notes.append("B-pictures: not a camera's stream; the gate was made for streams without them")


def _ask(count: _Count, unit: bytes) -> None:
    """What our own decoder says of a key picture."""
    try:
        _native.h264_intra(unit)
    except PictureDeclinedError as error:
        count.verdict, count.declined = "declined", str(error)
    except PictureDamagedError:
        return
    else:
        count.verdict = "taken"


def _read(
    opened: OpenSource, count: _Count, limit_s: float | None, on_progress: Callable[[float], None] | None
) -> None:
    found = count.found
    inspector = _native.Inspector(found.codec)
    for data, at_s, key in opened.units():
        try:
            facts = inspector.push(data, key)
        except PictureDamagedError as error:
            found.faults += 1
            found.first_fault = found.first_fault or f"{at_s:.2f} s: {error}"
            continue
        if facts.fault is not None:
            found.faults += 1
            found.first_fault = found.first_fault or f"{at_s:.2f} s: {facts.fault}"
        if facts.key and found.codec == "h264" and count.verdict == "any":
            _ask(count, data)
        count.picture(at_s, facts.key, 8 * len(data) - facts.filler_bits)
        count.filler += facts.filler_bits
        found.slices = max(found.slices or 1, facts.slices)
        if facts.qp is not None:
            found.b_pictures = bool(found.b_pictures) or "B" in facts.kinds
            if not facts.key:
                count.qps.append(facts.qp)
                count.intra_elsewhere += "I" in facts.kinds
        if on_progress is not None:
            on_progress(at_s)
        if limit_s is not None and at_s - count.first_s >= limit_s:
            break
    described = inspector.description()
    if described is not None:
        for name in ("profile", "level", "entropy_coder", "width", "height", "chroma", "bit_depth", "interlaced"):
            setattr(found, name, described[name])
    found.gate, found.gate_words, found.noise = inspector.gate()


def _count_packets(opened: OpenSource, count: _Count, limit_s: float | None) -> None:
    """A codec that is not read here: what the container says must do."""
    for packet in opened.packets():
        at_s = opened.seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
        count.picture(at_s, bool(packet.is_keyframe), 8 * packet.size)
        if limit_s is not None and at_s - count.first_s >= limit_s:
            break
    count.found.gate_words = "the gate reads H.264, H.265 and JPEG only"
