"""All that a demo leaves behind: rows, pictures and costs; and whether it adds up."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edusense.cli.demo.account import MotionAccount, TapAccount, account_for_motion, account_for_taps
from edusense.cli.demo.alarms import AlertAccount, account_for_alerts
from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from edusense.cli.demo.alarms import DemoCentre
    from edusense.cli.demo.school import Box, VirtualSchool

__all__ = ["Result", "collect"]

Row = dict[str, Any]


@dataclass
class Result:
    """One demo, as it was."""

    seed: int
    took_s: float
    began_s: float
    """Unix time at which the box answered."""
    cameras: list[Row]
    terminals: list[Row]
    motion_staged: list[Row]
    motion_found: list[Row]
    taps_answered: list[Row]
    motion: MotionAccount
    taps: TapAccount
    verify: Row
    """What `edusense meals verify --json` printed."""
    verify_status: int
    snapshots: dict[str, bytes] = field(default_factory=dict)
    """The last picture of each camera, JPEG."""
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    """The picture of each event with its boxes, JPEG."""
    uptime_s: float = 0.0
    box_cpu_s: float = 0.0
    box_peak_bytes: int = 0
    box_status: int | None = None
    rooms: dict[str, str] = field(default_factory=dict)
    """Room of each camera."""
    paused_s: dict[str, float] = field(default_factory=dict)
    """Seconds in all for which virtual cameras paused, where this machine drew their pictures too late."""
    alerts: AlertAccount = field(default_factory=AlertAccount)
    script_over: bool = True
    """Whether the virtual school came to the end of its script."""

    @property
    def cameras_up(self) -> int:
        """Cameras whose stream was playing at the end."""
        return sum(row["state"] == "playing" for row in self.cameras)

    @property
    def decoders(self) -> Counter[str]:
        """Pictures decoded, by decoder."""
        total: Counter[str] = Counter()
        for row in self.cameras:
            total.update(row.get("decoders") or {})
        return total

    @property
    def adds_up(self) -> bool:
        """Whether nothing was missed, invented, lost or doubled, and the box stopped cleanly."""
        return not self.problems()

    def problems(self) -> list[str]:
        """What does not add up, a sentence each."""
        found = []
        if not self.script_over:
            found.append("this machine was too busy to draw its virtual cameras to the end: fewer with --cameras")
        if self.cameras_up < len(self.cameras):
            down = [
                f"{row['id']} ({row.get('reason') or row['state']})"
                for row in self.cameras
                if row["state"] != "playing"
            ]
            found.append(f"cameras not up: {', '.join(down)}")
        found += [
            f"missed: {event['what']} at {event['camera']}, {event['share']:.1%} of the picture, "
            f"{event['end_s'] - event['start_s']:.1f} s, {self.clock(event['start_s'])}"
            for event in self.motion.missed
        ]
        found += [
            f"invented: event {event['id']} at {event['camera']}, {event['end_s'] - event['start_s']:.1f} s, "
            f"{self.clock(event['start_s'])}: {event['why']}"
            for event in self.motion.invented
        ]
        found += [
            f"tap not answered: {tap['card']} at {tap['terminal']}, {self.clock(tap['at_s'])}" for tap in self.taps.lost
        ]
        found += [
            f"tap wrongly answered: {tap['card']} at {tap['terminal']}: {tap['reason']} instead of {tap['expected']}"
            for tap in self.taps.wrong
        ]
        found += [f"verdict without a tap: {tap['card']} at {tap['terminal']}" for tap in self.taps.invented]
        found += [f"served twice: pupil {pupil}, {day}, {slot}" for pupil, day, slot in self.taps.doubled]
        if self.taps.records != self.taps.granted:
            found.append(f"{self.taps.granted} green lights, but {self.taps.records} meals in the ledger")
        found += self.alerts.problems()
        if self.verify_status:
            found.append(f"`edusense meals verify` ended with {self.verify_status}")
        if self.box_status not in (0, None):
            found.append(f"the box ended with status {self.box_status}")
        return found

    def clock(self, unix_s: float) -> str:
        """Seconds since the box was up, as the page's axis shows them."""
        return f"at {unix_s - self.began_s:.1f} s"

    def after_stop(self, box: Box | None) -> None:
        """Takes what only the stopped process tells: its real cost and its exit status."""
        if box is not None:
            self.box_status = box.process.status
            self.box_cpu_s = box.process.cpu_s or self.box_cpu_s
            self.box_peak_bytes = box.process.peak_bytes or self.box_peak_bytes

    def summary(self) -> list[tuple[str, str]]:
        """The account in lines of (name, text)."""
        received, looked, decoded = (
            sum(row[key] for row in self.cameras)
            for key in ("pictures_received", "pictures_looked_at", "pictures_decoded")
        )
        by = ", ".join(f"{count:,} by {name}" for name, count in self.decoders.most_common()) or "none"
        refused = ", ".join(f"{count} {reason}" for reason, count in self.taps.refused.most_common()) or "none"
        delays = sorted(self.motion.delays_s)
        delay = f"; start found {delays[len(delays) // 2]:+.2f} s from the staged one (median)" if delays else ""
        lines = [
            ("cameras up", f"{self.cameras_up} of {len(self.cameras)}"),
            (
                "pictures",
                f"{received:,} received, {looked:,} looked at, {decoded:,} decoded ({by})"
                # Few cameras: see "The budget" in docs/concepts/watching.md.
                + ("; time was left, so quiet cameras were looked at too" if decoded > received / 2 else ""),
            ),
            (
                "motion events",
                f"{self.motion.staged} staged, {len(self.motion.found)} found ({self._events()}), "
                f"{len(self.motion.missed)} missed, {len(self.motion.invented)} invented{delay}",
            ),
            ("taps", f"{self.taps.granted + self.taps.refused.total()} answered, {self.taps.granted} meals granted"),
            ("refused", refused),
            (
                "ledger",
                f"{self.taps.records} meals; "
                f"verify: {'every byte accounted for' if not self.verify_status else 'DAMAGED'}",
            ),
            ("alerts", self.alerts.summary()),
            ("link to the centre", self.alerts.cut_summary()),
            (
                "box alone",
                f"{self.box_cpu_s:.1f} s CPU in {self.uptime_s:.0f} s "
                f"({1000 * self.box_cpu_s / max(1.0, self.uptime_s * len(self.cameras)):.1f} ms a camera-second), "
                f"{self.box_peak_bytes / 1e6:.0f} MB at most",
            ),
            ("seed", f"{self.seed} (repeat: edusense demo --seed {self.seed})"),
        ]
        if self.paused_s:
            camera, seconds = max(self.paused_s.items(), key=lambda item: item[1])
            paused = f"{len(self.paused_s)} virtual cameras, {camera} most: {seconds:.1f} s; this machine was busy"
            lines.insert(1, ("paused", paused))
        problems = self.problems()
        lines += [("does not add up" if index == 0 else "", problem) for index, problem in enumerate(problems)]
        if not problems:
            lines.append(("verdict", "everything adds up"))
        return lines

    def _events(self) -> str:
        """By how many events of the box the staged ones were found, and which were found in pieces."""
        told = f"in {self.motion.events} events of the box"
        if self.motion.pieces:
            told += f"; {len(self.motion.pieces)} in up to {max(self.motion.pieces.values())} pieces"
        return told

    def to_json(self) -> Row:
        """The account for programs."""
        return {
            "seed": self.seed,
            "adds_up": self.adds_up,
            "problems": self.problems(),
            "cameras": len(self.cameras),
            "cameras_up": self.cameras_up,
            "pictures_received": sum(row["pictures_received"] for row in self.cameras),
            "pictures_looked_at": sum(row["pictures_looked_at"] for row in self.cameras),
            "pictures_decoded": sum(row["pictures_decoded"] for row in self.cameras),
            "decoders": dict(self.decoders),
            "motion_staged": self.motion.staged,
            "motion_found": len(self.motion.found),
            "motion_events": self.motion.events,
            "motion_in_pieces": len(self.motion.pieces),
            "motion_missed": len(self.motion.missed),
            "motion_invented": len(self.motion.invented),
            "taps_granted": self.taps.granted,
            "taps_refused": dict(self.taps.refused),
            "ledger_meals": self.taps.records,
            "ledger_sound": self.verify_status == 0,
            **self.alerts.to_json(),
            "box_cpu_s": round(self.box_cpu_s, 3),
            "box_peak_bytes": self.box_peak_bytes,
            "uptime_s": round(self.uptime_s, 3),
            "cameras_paused_s": {camera: round(seconds, 3) for camera, seconds in self.paused_s.items()},
        }


def collect(school: VirtualSchool, box: Box, centre: DemoCentre, *, seed: int, took_s: float) -> Result:
    """Asks the running box for all that the page shows, and matches it with what was staged."""
    from edusense.meals import Ledger
    from edusense.site import Site

    assert school.site is not None
    site = Site.load(school.site)
    status = box.client.status()
    of_box: Row = next((row for row in status if row["kind"] == "box"), {})
    motion = box.of_kind("motion")
    taps = box.of_kind("tap")
    folder = site.data_folder() / "ledger"
    records = Ledger.open(folder, read_only=True).records()
    meals = [
        {"pupil": record["pupil"], "day": record["day"], "slot": bytes(record["slot"]).rstrip(b"\0")}
        for record in records[records["kind"] == Ledger.KIND_MEAL]
    ]
    verified = subprocess.run(
        [sys.executable, "-m", "edusense", "meals", "verify", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    paused: Counter[str] = Counter()
    for pause in school.staged("pause"):
        paused[pause["camera"]] += pause["end_s"] - pause["start_s"]
    result = Result(
        seed=seed,
        took_s=took_s,
        began_s=datetime.datetime.now(datetime.UTC).timestamp() - of_box.get("uptime_s", took_s),
        cameras=[row for row in status if row["kind"] == "camera"],
        terminals=[row for row in status if row["kind"] == "terminal"],
        motion_staged=school.staged("motion"),
        motion_found=motion,
        taps_answered=taps,
        motion=account_for_motion(school.staged("motion"), motion),
        taps=account_for_taps(school.staged("tap"), taps, meals),
        verify=json.loads(verified.stdout.splitlines()[0]) if verified.stdout.strip() else {},
        verify_status=verified.returncode,
        uptime_s=of_box.get("uptime_s", took_s),
        box_cpu_s=of_box.get("cpu_s", 0.0),
        box_peak_bytes=of_box.get("rss_bytes", 0),
        rooms={camera.id: camera.room for camera in site.cameras},
        paused_s=dict(paused),
        script_over=school.ended,
        alerts=account_for_alerts(school, box, centre),
    )
    for camera in result.cameras:
        try:
            result.snapshots[camera["id"]] = box.client.snapshot(camera["id"], reason="edusense demo")
        except EdusenseError:
            continue  # a camera that never showed a picture: the page says so
    for event in motion:
        try:
            result.thumbnails[str(event["id"])] = box.client.thumbnail(event["id"], reason="edusense demo")
        except EdusenseError:
            continue
    return result
