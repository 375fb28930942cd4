"""What reaches Rust from outside by way of Python: no panic, no hang, whatever it is."""

from __future__ import annotations

import contextlib
import math
import random
import subprocess
import sys

import pytest

from edusense import _native
from edusense.errors import PictureDamagedError, PictureDeclinedError, SiteSyntaxError, SiteValueError

BESIDE = """
import threading
from edusense import _native
from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding

clip = library_clip("room", Encoding(width=320, height=240, fps=10.0, gop_s=1.0), seconds=20.0)
watch = _native.Watch("h264", look_cores=8.0)
done = threading.Event()

def ask():
    while not done.is_set():
        watch.counts()

askers = [threading.Thread(target=ask) for _ in range(3)]
for asker in askers:
    asker.start()
for index, picture in enumerate(clip.pictures):
    watch.push(picture.annex_b(), index * 9000, picture.key)
watch.finish()
done.set()
for asker in askers:
    asker.join()
assert watch.counts()["pictures_looked_at"] > 50
print("well")
"""

DROPPED = """
from edusense import _native

for _ in range(5):
    engine = _native.Engine(pool_threads=2)
    engine.update([("a", "rtsp://127.0.0.1:1/", None, None, None)])
    engine.next_event(0.05)
    del engine
print("well")
"""


@pytest.mark.parametrize("script", [BESIDE, DROPPED], ids=["asked-while-it-decodes", "dropped-without-a-close"])
def test_the_interpreter_and_locks_never_wait_for_each_other(script: str) -> None:
    # A process of its own: what hangs with the interpreter in its hand cannot be stopped from inside.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "well\n", done.stderr


def test_times_that_are_no_numbers_are_no_panic() -> None:
    engine = _native.Engine(pool_threads=0)
    for timeout in (math.nan, -math.inf, -1.0):
        assert engine.next_event(timeout) is None
    engine.stop()
    watch = _native.Watch("h264", look_cores=1.0, step_s=1e300, long_gop_s=0.0, area=3e38)
    for pts in (0, -(2**63), 2**63 - 1, 0, 2**62, -(2**62)):
        watch.push(b"\0\0\0\1\x65" + bytes(60), pts, True)
        watch.push(b"\0\0\0\1\x41" + bytes(60), pts, False)
    watch.finish()


@pytest.mark.parametrize("codec", ["h264", "h265", "jpeg"])
def test_rubbish_is_decoded_to_nothing(codec: str) -> None:
    chance = random.Random(codec)
    watch = _native.Watch(codec, look_cores=8.0)
    inspector = _native.Inspector(codec)
    heads = {"h264": b"\0\0\0\1\x67", "h265": b"\0\0\0\1\x42\1", "jpeg": b"\xff\xd8\xff\xc0"}
    for index in range(300):
        data = heads[codec] + chance.randbytes(chance.randrange(400))
        watch.push(data, index * 3600, chance.random() < 0.3)
        with contextlib.suppress(PictureDamagedError, PictureDeclinedError):
            inspector.push(data, False)
    watch.finish()
    assert watch.counts()["pictures_looked_at"] == 0


DEPTH = 100_000
DEEP = {
    "arrays": "a=" + "[" * DEPTH + "]" * DEPTH,
    "inline tables": "a=" + "{a=" * DEPTH + "1" + "}" * DEPTH,
    "dotted key": "a." * DEPTH + "a=1",
    "table": "[" + "a." * DEPTH + "a]",
    "array of tables": "[[" + "a." * DEPTH + "a]]",
    "dotted key in an inline table": "a={" + "a." * DEPTH + "a=1}",
    "tables below each other": "".join(f"[{'.'.join('a' * depth)}]\n" for depth in range(1, 400)),
}


@pytest.mark.parametrize("what", DEEP)
def test_toml_nested_without_end_is_a_syntax_error(what: str) -> None:
    with pytest.raises(SiteSyntaxError, match="recurs"):
        _native.parse_toml(DEEP[what])
    with pytest.raises(SiteSyntaxError, match="recurs"):
        _native.edit_toml(DEEP[what], [])


def test_toml_of_rubbish_is_parsed_or_refused_with_its_place() -> None:
    chance = random.Random(5)
    words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "\n",
        "\r",
        "\r\n",
        '"',
        "'''",
        '"""',
        "\\u00e9",
        "#",
        "a",
        "ä",
    ]
    words += ["1e999", "0x", "nan", "2026-02-30", "23:59:60", "9" * 40, "\ufeff", "\0", "𝄞", "true"]
    for _ in range(20_000):
        text = "".join(chance.choices(words, k=chance.randrange(1, 30)))
        with contextlib.suppress(SiteSyntaxError, SiteValueError):
            data, keys, values = _native.parse_toml(text)
            assert set(keys) <= set(values) or not data
            assert all(line >= 1 and column >= 1 for line, column in values.values())
