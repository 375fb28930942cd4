"""A desk with two zones, two destinations and clocks that move when they are told to."""

from __future__ import annotations

from pathlib import Path

from edusense import Site
from edusense.alerts import Desk, Finding
from edusense.alerts.database import Database

SITE = """
[site]
id = "school-51"
number = 51001
[[rooms]]
id = "attic"
kind = "attic"
[[rooms]]
id = "yard"
kind = "grounds"
[[cameras]]
id = "stairs-3"
room = "attic"
url = "rtsp://10.0.0.1/a"
[[cameras]]
id = "yard-1"
room = "yard"
url = "rtsp://10.0.0.1/b"
[[zones]]
id = "attic-door"
camera = "stairs-3"
polygon = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.1, 0.9]]
kind = "forbidden"
alert = ["centre", "guard"]
[[destinations]]
id = "centre"
driver = "https-json"
url = "https://ops.example.kz/alerts"
[[destinations]]
id = "guard"
driver = "https-json"
url = "https://guard.example.kz/alerts"
"""
NOW = 1_790_000_000.0


class Clocks:
    """Two clocks that move when they are told to."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 1000.0

    def forward(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def make_desk(folder: Path, clocks: Clocks, told: list, site: str = SITE, **more) -> Desk:
    return Desk(
        Database(folder / "alerts"),
        Site.loads(site),
        told=told.append,
        clock=lambda: clocks.wall,
        monotonic=lambda: clocks.steady,
        **more,
    )


def entry(**change) -> Finding:
    given = {"kind": "forbidden-entry", "camera": "stairs-3", "start_s": NOW, "rule": "forbidden-zone", "version": "1"}
    return Finding.of(given | {"zone": "attic-door", "severity": "severe"} | change)


def waiting(desk: Desk, destination: str) -> list[dict]:
    """The messages that wait for a destination, in the order in which they would go."""
    found = []
    while (item := desk.outbox.next(destination, most_rank=2)) is not None:
        found.append(item.message or {"type": item.attachment.name, "case": item.stream})
        desk.delivered(item)
    return found
