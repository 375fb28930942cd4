"""How often a quiet camera raises an alert: hours of drawn quiet, by the box's rules and beside Frigate-like motion.

Quiet is made as the gate's measurements made it: backgrounds are medians of real clips, over them sensor
noise and one of six worlds (nothing more, brightness that drifts, mains flicker, a clock, a swaying plant, all at
once), encoded as cameras do by x264 without look-ahead, 480×270 at 25 pictures a second, with a variable rate, an
average one, a constant one and several slices. A zone covers the third of the picture in which the disturbance is; no
finding is right. Each piece is made, watched with `watch_file` (what `--look box` does) and deleted.

    python benches/false_alerts.py --hours 24 --peer-hours 6 --out false-alerts.json

Rates come with the upper end of their exact 95 % interval (Garwood), which for none in H hours is 3.0 / H: one-sided.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import math
import os
import sys
import tempfile
import time
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from edusense.alerts.rules import Sighting, rule_of
from edusense.site import Site
from edusense.video.watch import watch_file

WIDTH, HEIGHT, FPS = 480, 270, 25
RATE_KBIT = 250
"""4 Mbit/s at 1080p, by area."""
CLIPS = (
    "intel_one_by_one_person.mp4",
    "intel_bottle.mp4",
    "bgs_video.avi",
    "dvrscan_issue53_brightness_change.avi",
)
WORLDS = ("plain", "drift", "flicker", "clock", "sway", "all")
NOISES = (2, 4, 8)
"""FFmpeg's `noise=alls=`: a standard deviation of 1.73 times less."""
_X264 = (
    "bframes=0:ref=1:rc-lookahead=0:sync-lookahead=0:mbtree=0:sliced-threads=0:scenecut=0:weightp=0:threads=1:"
    "keyint=50:min-keyint=50:threads=1"
)
ENCODINGS = {
    "crf 27": {"crf": "27", "x264-params": f"{_X264}:vbv-maxrate=375:vbv-bufsize=750"},
    "crf 27, 4 slices": {"crf": "27", "x264-params": f"{_X264}:slices=4:vbv-maxrate=375:vbv-bufsize=750"},
    "average": {"x264-params": f"{_X264}:bitrate=250:vbv-maxrate=375:vbv-bufsize=500"},
    "constant": {"x264-params": f"{_X264}:bitrate=250:vbv-maxrate=250:vbv-bufsize=250:nal-hrd=cbr"},
}
SETTLED_S = 60.0
THIRDS = ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0))
_SITE = """
[site]
id = "quiet"
number = 1
[[rooms]]
id = "hall"
kind = "corridor"
[[cameras]]
id = "camera"
room = "hall"
url = "rtsp://127.0.0.1/none"
[[zones]]
id = "third"
camera = "camera"
kind = "forbidden"
polygon = [[{left}, 0], [{right}, 0], [{right}, 1], [{left}, 1]]
"""


@lru_cache(maxsize=4)
def background(path: str) -> np.ndarray:
    """What never moves in a clip, as luma."""
    with av.open(path) as opened:
        stream = opened.streams.video[0]
        every = max(1, (stream.frames or 500) // 60)
        pictures = [
            frame.reformat(WIDTH, HEIGHT, format="gray").to_ndarray()
            for number, frame in enumerate(opened.decode(stream))
            if number % every == 0
        ]
    return np.median(np.stack(pictures[:80]), axis=0).astype(np.float32)


class World:
    """A quiet place: its pictures, one after the other."""

    def __init__(self, ground: np.ndarray, kind: str, noise: int, third: int, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._ground, self._kinds = ground, set(WORLDS[1:5]) if kind == "all" else {kind}
        bank = self._chance.normal(0.0, noise / 1.73, (24, HEIGHT + 16, WIDTH + 16))
        self._noise = np.rint(bank).astype(np.int16)
        self._left = round(THIRDS[third][0] * WIDTH)
        self._flicker_hz = float(self._chance.uniform(0.4, 8.0))
        # A patch of a quarter of the picture's width and two fifths of its height, within the zone's third.
        self._patch = (slice(round(0.5 * HEIGHT), round(0.9 * HEIGHT)), slice(self._left + 20, self._left + 20 + 120))
        self._gust, self._phase = 0.0, 0.0
        self._clock: tuple[int, np.ndarray] = (-1, np.zeros((16, 140), np.float32))
        self._rows = np.arange(HEIGHT, dtype=np.float32)[:, None]

    def picture(self, number: int) -> np.ndarray:
        """The luma of a picture."""
        at_s = number / FPS
        picture = self._ground
        if "drift" in self._kinds:
            picture = picture * (1.0 + 0.1 * math.sin(2 * math.pi * at_s / 50.0))
        if "flicker" in self._kinds:
            wave = np.sin(2 * np.pi * (self._flicker_hz * at_s + self._rows / HEIGHT))
            picture = picture * (1.0 + 0.015 * wave)
        if picture is self._ground:
            picture = picture.copy()
        if "sway" in self._kinds:
            picture[self._patch] = self._swayed(picture)
        if "clock" in self._kinds:
            picture[6:22, self._left + 6 : self._left + 146] = self._text(int(at_s))
        down, right = self._chance.integers(0, 16, 2)
        noise = self._noise[self._chance.integers(len(self._noise)), down : down + HEIGHT, right : right + WIDTH]
        return np.clip(picture + noise, 0, 255).astype(np.uint8)

    def _swayed(self, picture: np.ndarray) -> np.ndarray:
        """The patch moved sideways by up to 1.2 pixels, in gusts."""
        if self._chance.random() < 1 / (6 * FPS):
            self._gust = 1.0
        self._gust *= 0.99
        self._phase += 2 * math.pi * 0.7 / FPS
        shift = 1.2 * (0.2 + 0.8 * self._gust) * math.sin(self._phase)
        whole = math.floor(shift)
        share = shift - whole
        rows, columns = self._patch
        # What comes in at its sides is what lies there: a patch that were turned round would flicker at its edges.
        near, far = (picture[rows, columns.start - one : columns.stop - one] for one in (whole, whole + 1))
        return (1 - share) * near + share * far

    def _text(self, second: int) -> np.ndarray:
        if self._clock[0] != second:
            told = datetime.datetime.fromtimestamp(1_790_000_000 + second, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
            image = Image.new("L", (140, 16), 16)
            ImageDraw.Draw(image).text((4, 2), told, fill=235)
            self._clock = (second, np.asarray(image, np.float32))
        return self._clock[1]


def encode(world: World, encoding: str, seconds: float, path: Path) -> None:
    """Writes a piece of quiet as a camera would send it."""
    with av.open(str(path), "w", format="mp4") as opened:
        stream: Any = opened.add_stream("libx264", rate=FPS, options={"preset": "veryfast", **ENCODINGS[encoding]})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * (plane.line_size * plane.height))
        stride = frame.planes[0].line_size
        luma = np.zeros((HEIGHT, stride), np.uint8)
        for number in range(round(seconds * FPS)):
            luma[:, :WIDTH] = world.picture(number)
            frame.planes[0].update(luma)
            frame.pts = number
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))


def zone_of(third: int) -> Any:
    """The zone, as a site file has it: with all its defaults."""
    left, right = THIRDS[third]
    return Site.loads(_SITE.format(left=left, right=right)).zone("third")


def sighting(event: str, at_s: float, start_s: float, boxes: list[tuple[float, ...]], *, over: bool) -> Sighting:
    """What a rule is shown."""
    local = datetime.datetime.fromtimestamp(1_790_000_000 + at_s, datetime.UTC)
    return Sighting("camera", event, at_s, start_s, local, tuple(boxes), over=over)  # type: ignore[arg-type]


def watched(path: Path, third: int) -> tuple[int, int]:
    """What the box says of a file: motion events that are confirmed, and alerts of the zone."""
    rule = rule_of(zone_of(third))
    assert rule is not None
    events, alerts, seen = 0, 0, set()
    for row in watch_file(path, followed=True):
        over = row["kind"] == "motion"
        events += over
        if not over and row["kind"] != "motion-moving":
            continue
        if over and row["id"] in seen:
            continue
        seen.add(row["id"])
        boxes = [(x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT) for x, y, w, h in row["regions"]]
        at_s = row["end_s"] if over else row["at_s"]
        alerts += rule.see(sighting(str(row["id"]), at_s, row["start_s"], boxes, over=over)) is not None
    return events, alerts


class FrigateLike:
    """Motion as Frigate's improved detector finds it with its defaults, on pictures of the size that it detects on.

    A hundred rows, contrast stretched between the mean 4th and 96th percentiles of the last fifty pictures, blurred;
    a difference above 30 from a running mean (weight 0.01; 0.2 while it settles, or when 0.8 of the picture changes),
    dilated; a contour of more than ten pixels is motion, and only persisting motion (ten pictures) enters the mean.
    """

    def __init__(self) -> None:
        import cv2

        self._cv: Any = cv2
        self._size = (100 * WIDTH // HEIGHT, 100)
        self._mean = np.zeros((100, self._size[0]), np.float32)
        self._contrast = np.tile(np.array([0.0, 255.0]), (50, 1))
        self._number, self._moved, self._settling = 0, 0, True

    def boxes(self, luma: np.ndarray) -> list[tuple[float, ...]]:
        """Where something moves, as shares of the picture."""
        cv = self._cv
        small = cv.resize(luma, self._size, interpolation=cv.INTER_NEAREST)
        low, high = (int(value) for value in np.percentile(small, (4, 96)))
        if low < high:
            self._contrast[self._number % 50] = low, high
            self._number += 1
            least, most = self._contrast.mean(axis=0)
            small = ((np.clip(small, least, most) - least) / (most - least) * 255).astype(np.uint8)
        small = cv.GaussianBlur(small, (3, 3), 1)
        changed = cv.threshold(cv.absdiff(small, cv.convertScaleAbs(self._mean)), 30, 255, cv.THRESH_BINARY)[1]
        contours, _ = cv.findContours(cv.dilate(changed, None, iterations=1), cv.RETR_EXTERNAL, cv.CHAIN_APPROX_SIMPLE)
        areas = [cv.contourArea(contour) for contour in contours]
        found = [cv.boundingRect(one) for one, area in zip(contours, areas, strict=True) if area > 10]
        share = sum(areas) / small.size
        if share < 0.05 and len(found) <= 4:
            self._settling = False
        if share > 0.8:
            self._settling = True
        self._moved = self._moved + 1 if found else 0
        if not found or self._moved >= 10:
            cv.accumulateWeighted(small, self._mean, 0.2 if self._settling else 0.01)
        width, height = self._size
        return [(x / width, y / height, w / width, h / height) for x, y, w, h in found]


def beside(path: Path, third: int) -> tuple[int, int]:
    """The same of Frigate-like motion, five pictures a second: what is less than 2 s apart is one event."""
    rule = rule_of(zone_of(third))
    assert rule is not None
    detector, events, alerts, last_s, start_s = FrigateLike(), 0, 0, -math.inf, 0.0
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(opened.decode(stream)):
            if number % (FPS // 5):
                continue
            boxes, at_s = detector.boxes(frame.to_ndarray(format="gray")), number / FPS
            # It starts with an empty mean, which settles over some time constants of 20 s: not held against it.
            if not boxes or at_s < SETTLED_S:
                continue
            if at_s - last_s > 2.0:
                events, start_s = events + 1, at_s
            last_s = at_s
            alerts += rule.see(sighting(str(events), at_s, start_s, boxes, over=False)) is not None
    return events, alerts


def most(count: int, hours: float) -> float:
    """The upper end of the exact 95 % interval of a rate, one-sided: events an hour."""
    low, high = float(count), count + 10.0 * math.sqrt(count + 1.0) + 10.0
    for _ in range(80):
        middle = (low + high) / 2
        below = sum(math.exp(-middle + k * math.log(middle) - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high / hours


def said(name: str, count: int, hours: float) -> str:
    """A rate in words."""
    return f"{name}: {count} in {hours:.2f} h, {count / hours:.3f} an hour, at most {most(count, hours):.3f} (95 %)"


def tell(rows: list[dict[str, Any]]) -> None:
    """The result of all pieces, on stdout."""
    hours = sum(row["seconds"] for row in rows) / 3600
    both = [row for row in rows if "peer_alerts" in row]
    beside_h = sum(row["seconds"] for row in both) / 3600
    sys.stdout.write(said("alerts", sum(row["alerts"] for row in rows), hours) + "\n")
    sys.stdout.write(said("confirmed motion", sum(row["events"] for row in rows), hours) + "\n")
    if both:
        sys.stdout.write(said("same pieces, alerts", sum(row["alerts"] for row in both), beside_h) + "\n")
        sys.stdout.write(said("Frigate-like, alerts", sum(row["peer_alerts"] for row in both), beside_h) + "\n")
        sys.stdout.write(said("Frigate-like, motion", sum(row["peer_events"] for row in both), beside_h) + "\n")
    for world in WORLDS:
        mine = [row for row in rows if row["world"] == world]
        if mine:
            sys.stdout.write(
                said(f"  {world}", sum(row["alerts"] for row in mine), sum(row["seconds"] for row in mine) / 3600)
                + "\n"
            )


def main() -> int:
    """Makes and watches all pieces; the result on stdout, progress on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=24.0, help="camera-hours of quiet")
    parser.add_argument("--peer-hours", type=float, default=6.0, help="of these, through Frigate-like motion too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="K/N: only each Nth piece from the Kth on, for N at once")
    parser.add_argument("--out", type=Path, help="file for the result as JSON, written after each piece")
    parser.add_argument(
        "--merge", type=Path, nargs="+", help="make nothing: the result of parts that were written before"
    )
    given = parser.parse_args()
    if given.merge:
        tell([row for path in given.merge for row in json.loads(path.read_text("utf-8"))["pieces"]])
        return 0
    shared = Path(os.environ.get("EDUSENSE_SHARED", "../shared")) / "footage"
    if not shared.is_dir():
        sys.stderr.write(f"{shared} is not there: set EDUSENSE_SHARED to where the footage is\n")
        return 2
    pieces = list(itertools.product(CLIPS, WORLDS, ENCODINGS))
    seconds = 3600.0 * given.hours / len(pieces)
    part, parts = (int(number) for number in given.part.split("/"))
    rows: list[dict[str, Any]] = []
    every = max(1, round(given.hours / max(given.peer_hours, 1e-9)))
    for number, (clip, world, encoding) in enumerate(pieces):
        if number % parts != part - 1:
            continue
        noise, third = NOISES[(number // len(ENCODINGS) + number) % 3], (number * 7 // 5) % 3
        began = time.process_time()
        with tempfile.TemporaryDirectory(prefix="edusense-quiet-") as made:
            path = Path(made) / "quiet.mp4"
            ground = background(str(shared / clip))
            encode(World(ground, world, noise, third, given.seed * 1000 + number), encoding, seconds, path)
            encoded = time.process_time()
            events, alerts = watched(path, third)
            row = {"clip": clip, "world": world, "encoding": encoding, "noise": noise, "seconds": seconds}
            row |= {"events": events, "alerts": alerts, "kbit": round(path.stat().st_size / 125 / seconds)}
            row |= {"encode_cpu_s": round(encoded - began, 1), "watch_cpu_s": round(time.process_time() - encoded, 1)}
            # A Latin square: each world and each encoding gets its share.
            if (number // len(ENCODINGS) + number) % every == 0:
                row["peer_events"], row["peer_alerts"] = beside(path, third)
        rows.append(row)
        sys.stderr.write(json.dumps(row) + "\n")
        if given.out is not None:
            given.out.write_text(json.dumps({"seed": given.seed, "pieces": rows}, indent=1), "utf-8")
    tell(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
