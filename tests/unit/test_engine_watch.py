"""A file watched as the box watches a camera, and what hostile bytes do to it."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from edusense import _native
from edusense.errors import VideoSourceError
from edusense.sim.clips import Clip, library_clip
from edusense.sim.encode import Encoding
from edusense.video.clip import TICKS, mp4_of
from edusense.video.watch import watch_file

ENCODING = Encoding(width=480, height=270, fps=12.5, gop_s=2.0)


def seconds(clip: Clip) -> list[tuple[float, float]]:
    """When something moves, for the eye of a person: shadows that only distract are left out."""
    fps = clip.encoding.fps
    return [(one.first / fps, (one.last + 1) / fps) for one in clip.staged if not one.lure]


def write(clip: Clip, path: Path) -> Path:
    step = TICKS / clip.encoding.fps
    units = [
        (picture.annex_b(), round(index * step), picture.key, 1.7e9) for index, picture in enumerate(clip.pictures)
    ]
    path.write_bytes(mp4_of("h264", units))
    return path


def of_kind(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, Path]:
    clip = library_clip("corridor", ENCODING, seconds=60.0, seed=3)
    return clip, write(clip, tmp_path_factory.mktemp("files") / "corridor.mp4")


def test_a_file_that_is_followed_tells_look_by_look_where_who_is(corridor: tuple[Clip, Path]) -> None:
    _, path = corridor
    quiet = list(watch_file(path))
    rows = list(watch_file(path, followed=True))
    assert not of_kind(quiet, "motion-moving")
    assert [row for row in rows if row["kind"] != "motion-moving"] == quiet
    events = {row["id"]: row for row in of_kind(rows, "motion")}
    for event in events.values():
        looks = [row for row in of_kind(rows, "motion-moving") if row["id"] == event["id"]]
        times = [row["at_s"] for row in looks]
        assert times == sorted(times)
        assert len(looks) >= 2
        assert event["start_s"] - 0.5 <= times[0]
        assert times[-1] <= event["end_s"] + 1.0
        for row in looks:
            assert len(row["tracks"]) == len(row["regions"]) == len(set(row["tracks"]))
    # One who walks through is one track for most of the way.
    longest = max(events.values(), key=lambda event: event["end_s"] - event["start_s"])
    looks = [row for row in of_kind(rows, "motion-moving") if row["id"] == longest["id"]]
    numbers = [number for row in looks for number in row["tracks"]]
    assert max(numbers.count(number) for number in set(numbers)) >= len(looks) / 2


def test_with_time_to_spare_everything_staged_is_found_and_nothing_else(corridor: tuple[Clip, Path]) -> None:
    clip, path = corridor
    rows = list(watch_file(path))
    found = [(row["start_s"], row["end_s"]) for row in of_kind(rows, "motion")]
    staged = seconds(clip)
    assert len(staged) >= 4
    for start, end in staged:
        assert any(first < end and last > start for first, last in found), f"{start}: {found}"
    for first, last in found:
        assert any(first < end + 0.5 and last > start - 0.5 for start, end in staged), f"{first} invented: {staged}"
    ids = [row["id"] for row in of_kind(rows, "motion")]
    assert ids == sorted(set(ids))
    assert {row["id"] for row in of_kind(rows, "motion-confirmed")} == set(ids)


def test_without_time_to_spare_the_gate_finds_most_by_itself(corridor: tuple[Clip, Path]) -> None:
    """Nothing is looked at but what the gate asks for; its first six groups go into learning."""
    clip, path = corridor
    rows = list(watch_file(path, look_cores=0.0))
    suspected = {row["id"] for row in of_kind(rows, "motion-suspected")}
    confirmed = {row["id"] for row in of_kind(rows, "motion-confirmed")}
    withdrawn = {row["id"] for row in of_kind(rows, "motion-withdrawn")}
    assert confirmed, "the gate asked for nothing"
    assert confirmed <= suspected
    assert suspected == confirmed | withdrawn, "a suspicion is confirmed or withdrawn"
    staged = [when for when in seconds(clip) if when[0] > 14.0]
    found = [(row["start_s"], row["end_s"]) for row in of_kind(rows, "motion")]
    hit = [when for when in staged if any(first < when[1] and last > when[0] for first, last in found)]
    assert len(hit) >= len(staged) - 1, f"{staged}: {found}"
    # The beginning is not lost: looks begin at the buffered key picture, not where the gate fired.
    assert all(any(abs(first - start) < 1.0 for first, _ in found) for start, end in hit if end - start > 1.0), (
        f"{hit}: {found}"
    )


def test_hostile_bytes_are_refused_with_a_reason() -> None:
    rng = random.Random(11)
    clip = library_clip("corridor", ENCODING, seconds=20.0, seed=3)
    whole = [picture.annex_b() for picture in clip.pictures[:50]]
    for trial in range(12):
        watch = _native.Watch("h264")
        for index, data in enumerate(whole):
            hostile = bytearray(data)
            if index % 5 == trial % 5:
                for _ in range(rng.randrange(1, 40)):
                    hostile[rng.randrange(len(hostile))] = rng.randrange(256)
                if trial % 3 == 0:
                    del hostile[rng.randrange(len(hostile)) :]
            watch.push(bytes(hostile), index * 7200, index % 25 == 0)
        watch.finish()
        counts = watch.counts()
        assert counts["pictures_received"] == 50
    for codec in ("h264", "h265", "jpeg"):
        watch = _native.Watch(codec)
        for index in range(60):
            watch.push(rng.randbytes(rng.randrange(2000)), rng.randrange(-(2**62), 2**62), index % 10 == 0)
        watch.finish()
        counts = watch.counts()
        assert counts["pictures_looked_at"] == 0
        assert counts["trouble"].startswith("no decoder took it: ")
        assert "pyav: " in counts["trouble"]


def test_a_codec_that_no_camera_sends_is_an_error(tmp_path: Path) -> None:
    import av

    path = tmp_path / "vp9.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(VideoSourceError, match="mpeg4"):
        list(watch_file(path))


def test_settings_are_checked() -> None:
    with pytest.raises(TypeError, match="no setting `colour`"):
        _native.Watch("h264", colour=1.0)
    with pytest.raises(ValueError, match="codec"):
        _native.Watch("vp8")
    assert {"look_cores", "pool_threads", "buffer_s"} <= {name for name, _ in _native.ENGINE_SETTINGS}


def as_jpeg(clip: Clip) -> list[bytes]:
    """The clip as a camera sends it that sends nothing but JPEG, five pictures in two of its own."""
    decoder: Any = av.CodecContext.create("h264", "r")
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = clip.encoding.width, clip.encoding.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "4", "qmax": "8"}
    encoder.color_range = 2
    units: list[bytes] = []
    packets = [av.Packet(picture.annex_b()) for picture in clip.pictures]
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            frame = frame.reformat(format="yuvj420p")
            frame.pts = None
            units += [bytes(part) for part in encoder.encode(frame)]
    return units


def test_jpeg_is_looked_at_an_eighth_of_its_size(corridor: tuple[Clip, Path]) -> None:
    clip, _ = corridor
    units = as_jpeg(clip)
    assert len(units) == len(clip.pictures)
    damaged = {100, 230}
    watch = _native.Watch("jpeg")
    rows: list[dict[str, Any]] = []
    for index, unit in enumerate(units):
        data = unit[: len(unit) // 2] if index in damaged else unit
        rows += watch.push(data, round(index * TICKS / clip.encoding.fps), True)
    rows += watch.finish()
    counts = watch.counts()
    assert set(counts["decoders"]) <= {"jpeg-eighth", "pyav"}
    assert counts["decoders"]["jpeg-eighth"] > 200
    found = of_kind(rows, "motion")
    for start, end in seconds(clip):
        assert any(row["start_s"] < end and row["end_s"] > start for row in found), f"{start}: {found}"
    for row in found:
        around = [
            (start, end) for start, end in seconds(clip) if row["start_s"] < end + 0.5 and row["end_s"] > start - 0.5
        ]
        assert around, f"{row} invented"
        for x, y, width, height in row["regions"]:
            assert 0 <= x < x + width <= 480
            assert 0 <= y < y + height <= 270
