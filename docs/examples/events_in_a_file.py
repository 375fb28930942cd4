"""The motion events of a video file, without a box: when, how clear, where.

python docs/examples/events_in_a_file.py recording.mp4
"""

import argparse

from edusense.video import find_events

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--look", choices=["full", "box"], default="full")
told = parser.parse_args()

for event in find_events(told.file, look=told.look):
    where = ", ".join(f"{width}x{height} at {x},{y}" for x, y, width, height in event.regions)
    print(f"{event.start_s:8.2f} to {event.end_s:8.2f} s  score {event.score:.2f}  {where}")
