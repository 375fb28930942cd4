"""The demo's alerts: forbidden zones, an operations centre that answers, and a link that is cut for a while."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edusense.sim.ops_centre import VirtualOpsCentre

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.cli.demo.school import Box, VirtualSchool

__all__ = ["AlertAccount", "DemoCentre", "account_for_alerts"]

Row = dict[str, Any]

_KINDS = ("corridor", "entrance", "gym")
"""Rooms in which nobody may be during the demo."""
CUT = (0.45, 0.65)
"""The link is cut between these shares of the demo: the ten minutes of a digger, shortened."""
ARM_S = 3.0
"""By then a running box has taken a new zone over."""
ANSWER_S = 1.0
"""The centre looks at a case for so long before it answers."""


@dataclass
class AlertAccount:
    """What became of each entry into a forbidden zone."""

    staged: int = 0
    """Zones that somebody entered."""
    raised: int = 0
    """Of these, the ones that the box opened a case for."""
    delivered: int = 0
    """Of these, the ones whose message and still the centre has."""
    answered: int = 0
    """Of these, the ones whose answer is back at the school."""
    doubled: int = 0
    """Cases that are at the centre more than once, or that nobody staged."""
    delays_s: list[float] = field(default_factory=list)
    """From the first moving picture to the still at the centre, of entries while the link was up."""
    cut_s: float = 0.0
    """How long the link was cut."""
    in_cut: int = 0
    """Entries that were raised while it was."""
    after_cut_s: list[float] = field(default_factory=list)
    """How long after the link was back their stills were at the centre."""
    stills: list[bytes] = field(default_factory=list)
    """The centre's stills, JPEG."""

    def problems(self) -> list[str]:
        """What does not add up, a sentence each."""
        found = []
        if self.raised < self.staged:
            found.append(f"{self.staged - self.raised} entries into forbidden zones raised no alert")
        if self.delivered < self.raised:
            found.append(f"{self.raised - self.delivered} alerts are not at the operations centre with their still")
        if self.answered < self.delivered:
            found.append(f"{self.delivered - self.answered} answers of the centre are not at the school")
        if self.doubled:
            found.append(f"{self.doubled} alerts are at the centre twice, or nobody staged them")
        return found

    def summary(self) -> str:
        """One line for people."""
        told = (
            f"{self.staged} entries into forbidden zones staged, {self.raised} raised, {self.delivered} delivered, "
            f"{self.answered} answered, {self.doubled} doubled"
        )
        if self.delays_s:
            ordered = sorted(self.delays_s)
            told += (
                f"; still at the centre {ordered[len(ordered) // 2]:.1f} s after the first moving picture "
                f"(median, {ordered[-1]:.1f} s at most)"
            )
        return told

    def cut_summary(self) -> str:
        """One line about the link's cut."""
        told = f"cut for {self.cut_s:.0f} s; {self.in_cut} alerts waited"
        return told + (f", the last one was there {max(self.after_cut_s):.1f} s after it" if self.after_cut_s else "")

    def to_json(self) -> Row:
        """For programs."""
        return {
            "alerts_staged": self.staged,
            "alerts_raised": self.raised,
            "alerts_delivered": self.delivered,
            "alerts_answered": self.answered,
            "alerts_doubled": self.doubled,
            "alerts_delays_s": [round(delay, 3) for delay in self.delays_s],
            "alerts_after_cut_s": [round(delay, 3) for delay in self.after_cut_s],
        }


class DemoCentre:
    """A virtual operations centre, and zones in the virtual school's site file that are forbidden.

    Args:
        site: the site file; zones, destination and credentials are added to it.
        seconds: how long the demo lasts.
    """

    def __init__(self, site: Path, seconds: float) -> None:
        from edusense.site import Site

        loaded = Site.load(site)
        kinds = {room.id: room.kind for room in loaded.rooms}
        self.cameras = [camera.id for camera in loaded.cameras if kinds[camera.room] in _KINDS][:4]
        self.cameras = self.cameras or [camera.id for camera in loaded.cameras][:1]
        self.late = self.cameras[1::2]
        """Cameras whose zones are drawn only when the link is cut, so that there is something that has to wait."""
        self.armed_s = float("inf")
        """When that was, Unix seconds."""
        self._site = site
        self._cut = tuple(share * seconds for share in CUT)
        self.cut_at: tuple[float, float] | None = None
        """When the link was cut and when it was back, Unix seconds."""
        self._centre = VirtualOpsCentre().start()
        secret = site.parent / "secrets" / "centre.secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{self._centre.secret}\n", "utf-8")
        self._add(self._destination() + self._zones([one for one in self.cameras if one not in self.late]))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo centre", daemon=True)

    @property
    def page(self) -> str:
        """The centre's page."""
        return self._centre.page

    def start(self) -> None:
        """The demo begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; harmless when repeated."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(3.0)
        self._centre.stop()

    def _add(self, tables: str) -> None:
        # Whole or not at all: the box looks at the file every second.
        making = self._site.with_suffix(".part")
        making.write_text(self._site.read_text("utf-8") + tables, "utf-8")
        making.replace(self._site)

    def _destination(self) -> str:
        text = json.dumps
        lines = [
            "",
            "[credentials.centre]",
            f"user = {text(self._centre.user)}",
            'password = "file:secrets/centre.secret"',
        ]
        lines += ["", "[[destinations]]", 'id = "ops-centre"', 'driver = "https-json"']
        lines += [f"url = {text(self._centre.url)}", 'credentials = "centre"']
        return "\n".join([*lines, ""])

    @staticmethod
    def _zones(cameras: list[str]) -> str:
        text, lines = json.dumps, list[str]()
        for camera in cameras:
            lines += ["", "[[zones]]", f"id = {text(f'{camera}-after-hours')}", f"camera = {text(camera)}"]
            lines += ["polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]", 'kind = "forbidden"', 'alert = ["ops-centre"]']
        return "\n".join([*lines, ""])

    def _run(self) -> None:
        began, answered = time.monotonic(), dict[str, float]()
        cut_s: float | None = None
        while not self._stopping.wait(0.1):
            after = time.monotonic() - began
            if cut_s is None and after >= self._cut[0]:
                cut_s = time.time()
                self._centre.set_faults("down")
                self._add(self._zones(self.late))
                self.armed_s = cut_s + ARM_S
            if cut_s is not None and self.cut_at is None and after >= self._cut[1]:
                self._centre.set_faults()
                self.cut_at = (cut_s, time.time())
            for case in self._centre.store.cases():
                due = answered.setdefault(case["case"], time.monotonic() + ANSWER_S)
                if time.monotonic() >= due and not case["given"]:
                    self._centre.answer(case["case"], "taken", by="ЦОУ")

    def cases(self) -> list[Row]:
        """What the centre has."""
        return self._centre.store.cases()

    def still(self, case: str) -> bytes | None:
        """A case's still, as it arrived."""
        found = self._centre.store.file(case, "still")
        return None if found is None else found[0].read_bytes()


def account_for_alerts(school: VirtualSchool, box: Box, centre: DemoCentre) -> AlertAccount:
    """Matches who entered a forbidden zone with the box's cases and with what the centre has."""
    account = AlertAccount()
    staged = [row for row in school.staged("motion") if row["camera"] in centre.cameras]
    # What begins in one place within ten minutes is one case, not one for each step.
    first: dict[str, Row] = {}
    for row in sorted(staged, key=lambda row: row["start_s"]):
        if row["camera"] not in centre.late or row["start_s"] >= centre.armed_s:
            first.setdefault(row["camera"], row)
    # Who was on their way while a zone was drawn may or may not have been seen in it.
    perhaps = {row["camera"] for row in staged}
    account.staged = len(first)
    raised = {case["camera"]: case for case in box.client.cases(most=10_000)}
    account.raised = sum(camera in raised for camera in first)
    cut = centre.cut_at
    if cut is not None:
        account.cut_s = cut[1] - cut[0]
    there: dict[str, Row] = {}
    for case in centre.cases():
        camera = case["place"]["camera"]
        account.doubled += camera in there or camera not in perhaps
        there[camera] = case
    for camera, row in first.items():
        case = there.get(camera, {})
        at_s = case.get("files", {}).get("still", {}).get("completed_s")
        if at_s is None:
            continue
        account.delivered += 1
        with contextlib.suppress(OSError):
            still = centre.still(case["case"])
            account.stills += [] if still is None else [still]
        account.answered += raised.get(camera, {}).get("answered_by") == "ЦОУ"
        if cut is not None and cut[0] <= case["opened_s"] <= cut[1]:
            account.in_cut += 1
            account.after_cut_s.append(at_s - cut[1])
        elif case["start_s"] <= row["end_s"]:
            account.delays_s.append(at_s - row["start_s"])
    return account
