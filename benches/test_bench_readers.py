"""What readers cost: the cases `reader-frames` and `reader-latency` of `edusense bench`; how soon a verdict shows."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from edusense.bench import reader_frames, reader_latency
from edusense.devices import open_reader
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_osdp import VirtualOsdp

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.bench.figure import Figure

ROUNDS = 5
FRAMES_FLOOR = 20_000  # frames a second of a core
TAP_P99_US = 2_000
IDLE_PERCENT = 0.5
VERDICT_MS = 50
IDLE_MACHINE_US = 500  # a bare read within this at p99: nobody else keeps this machine busy


def by_id(rounds: list[list[Figure]]) -> dict[str, tuple[float, float | None]]:
    """Each figure's median over the rounds, and its peer's."""
    found = {}
    for figure in rounds[0]:
        same = [other for figures in rounds for other in figures if other.id == figure.id]
        peers = [other.peer_value for other in same if other.peer_value is not None]
        found[figure.id] = (
            statistics.median(other.value for other in same),
            statistics.median(peers) if peers else None,
        )
        print(f"{figure.what}: {found[figure.id][0]:.6g} {figure.unit}; {figure.peer}: {found[figure.id][1]}")  # noqa: T201
    return found


def test_frames_of_a_core_beside_bare_loops_of_pyserial():
    found = by_id([reader_frames.measure().figures for _ in range(ROUNDS)])
    for name in ("tags", "held", "lines"):
        ours, bare = found[name]
        assert ours >= FRAMES_FLOOR, (name, ours)
        assert bare is None or ours > bare, (name, ours, bare)


def test_a_tap_within_two_milliseconds_and_readers_that_cost_nothing_while_nobody_comes():
    found = by_id([reader_latency.measure(cards=1000).figures for _ in range(ROUNDS)])
    ours, bare = found["tap-p99"]
    if bare is not None and bare <= IDLE_MACHINE_US:
        assert ours <= TAP_P99_US, (ours, bare)
    assert found["idle"][0] < IDLE_PERCENT, found["idle"]


@pytest.mark.parametrize("kind", ["ccid", "osdp"])
def test_a_verdict_is_shown_within_50_ms(kind: str, tmp_path: Path):
    """From `signal` to the reader's own light, by the virtual reader's clock."""
    if kind == "osdp":
        pytest.importorskip("osdp")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(bytes(range(16)).hex())
    made = VirtualCcid() if kind == "ccid" else VirtualOsdp(key=bytes(range(16)))
    spent = []
    with made as device, open_reader(f"{device.address}{'' if kind == 'ccid' else f'&key=file:{key}'}") as reader:
        for number in range(40):
            shown = len(device.shown())
            began = time.perf_counter()
            assert reader.signal(granted=number % 2 == 0, timeout=5.0)
            while len(device.shown()) == shown:
                time.sleep(0.0005)
            spent.append(1000 * (time.perf_counter() - began))
            time.sleep(0.1)
    print(f"{kind}: from the verdict to the light {statistics.median(spent):.1f} ms, {max(spent):.1f} ms at most")  # noqa: T201
    assert statistics.median(spent) <= VERDICT_MS
