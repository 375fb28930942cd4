"""Real footage with labels, where it is there: it stays outside of the repository."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from edusense import video

FOOTAGE = Path(os.environ.get("EDUSENSE_SHARED", "../shared")).resolve() / "footage"
INTERVALS = {
    "intel_bottle.mp4": 1,
    "intel_one_by_one_person.mp4": 0,
    "bgs_video.avi": 0,
    "opencv_vtest.avi": 0,
    "furg_house6.mp4": 0,
}
"""Files, and how many events may lie where nothing is labelled: in one, the shadow of somebody out of view wanders."""

pytestmark = pytest.mark.skipif(not FOOTAGE.is_dir(), reason="the labelled footage is not on this machine")


def labels(name: str) -> list[tuple[float, float, str]]:
    with (FOOTAGE / "labels.csv").open(encoding="utf-8") as lines:
        return [
            (float(row["start_s"]), float(row["end_s"]), row["what"].partition(":")[0])
            for row in csv.DictReader(lines)
            if row["file"] == name
        ]


@pytest.mark.parametrize("name", INTERVALS)
def test_every_labelled_motion_is_found(name: str):
    found = list(video.find_events(FOOTAGE / name))
    told = labels(name)
    for start_s, end_s, what in told:
        if what == "motion":
            assert any(event.start_s < end_s and start_s < event.end_s for event in found), (start_s, end_s, found)
    # Half a second of tolerance: labels are good to 0.1 s, and shadows come before people.
    beside = [
        event
        for event in found
        if not any(event.start_s < end_s + 0.5 and start_s - 0.5 < event.end_s for start_s, end_s, _ in told)
    ]
    assert len(beside) <= INTERVALS[name], beside


def test_a_street_that_becomes_brighter():
    found = list(video.find_events(FOOTAGE / "dvrscan_issue53_brightness_change.avi"))
    # Neither trees that sway nor the change of light after 3.2 s may be reported.
    assert not found
