"""Plan, apply and audit against virtual cameras that keep state, each way in which a camera lies included."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
import time
from collections import Counter

import pytest

from edusense import Site, fleet
from edusense.errors import UsageError
from edusense.fleet import applying
from edusense.fleet.planning import Plan
from edusense.fleet.templates import template
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

MAIN = Profile("p1", "mainStream", 1920, 1080, 30, 8000, "H264", "rtsp://127.0.0.1:8554/main", gop=120)
SUB = Profile("p2", "subStream", 704, 576, 25, 2000, "H264", "rtsp://127.0.0.1:8554/sub", gop=100)
HEAD = """
[site]
id = "{site}"
number = 1
timezone = "Asia/Tokyo"
data = "data"
[credentials.cameras]
user = "edusense"
password = "env:EDUSENSE_TEST_CAMERA"
[[rooms]]
id = "205"
kind = "classroom"
"""
CAMERA = """
[[cameras]]
id = "{id}"
room = "205"
address = "127.0.0.1:{port}"
credentials = "cameras"
template = "generic/onvif-t"
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setenv("EDUSENSE_TEST_CAMERA", "secret")
    monkeypatch.setattr(applying, "SETTLE_S", 0.3)
    monkeypatch.setattr(applying, "RETURN_S", 0.6)
    monkeypatch.setattr(applying, "HOLD_S", 0.0)


@contextlib.contextmanager
def school(tmp_path, *faults, **settings):
    """Virtual cameras with these faults, `c0`, `c1` …, and their site."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                OnvifServer(
                    Identity(mac=f"02:ed:00:00:01:{index:02x}"),
                    [MAIN, SUB],
                    "edusense",
                    "secret",
                    faults=names,
                    reboot_s=0.3,
                    **settings,
                )
            )
            for index, names in enumerate(faults)
        ]
        text = HEAD.format(site="school") + "".join(
            CAMERA.format(id=f"c{index}", port=one.port) for index, one in enumerate(servers)
        )
        (tmp_path / "school.toml").write_text(text)
        yield Site.load(tmp_path / "school.toml"), servers


def rows(plan, action=None):
    return {row["setting"]: row for row in plan.rows() if action in (None, row["action"])}


@pytest.mark.parametrize("media2", [True, False], ids=["media2", "media1"])
def test_a_plan_says_what_is_and_what_should_be_and_changes_nothing(tmp_path, media2):
    with school(tmp_path, [], media2=media2) as (site, (server,)):
        plan = fleet.plan(site)
        assert server.state.sets == []
        told = rows(plan)
        assert (told["main.fps"]["actual"], told["main.fps"]["planned"]) == (30, 25)
        assert (told["main.gop_s"]["actual"], told["main.gop_s"]["planned"]) == (4, 2)
        assert told["main.size"]["action"] == "keep"
        assert told["sub.size"]["action"] == "keep"  # 704 x 576 is within the template's limits
        if media2:
            assert (told["main.rate_control"]["actual"], told["main.rate_control"]["action"]) == ("cbr", "change")
            assert told["sub.fps"]["action"] == "keep"
        else:
            assert told["main.rate_control"]["action"] == "unknown"
        assert told["clock.timezone"]["planned"] == "JST-9"
        assert told["clock.time"]["action"] == "keep"
        assert told["identity.hostname"]["planned"] == "c0"
        assert told["imaging.noise_reduction"]["action"] == "change"
        assert told["main.smart_codec"]["action"] == "unknown"
        order = [row["setting"] for row in plan.rows() if row["action"] == "change"]
        assert order.index("clock.timezone") == 0
        assert order[-1] == "identity.hostname"
        assert all(row["why"] for row in plan.rows())


@pytest.mark.parametrize("media2", [True, False], ids=["media2", "media1"])
def test_apply_sets_reads_back_and_then_there_is_nothing_left(tmp_path, media2):
    with school(tmp_path, [], ["wrong-clock"], media2=media2) as (site, servers):
        before = fleet.audit(site)
        assert [one.state for one in before] == ["drifted", "drifted"]
        done = fleet.apply(fleet.plan(site))
        assert Counter(one.outcome for one in done) == {"changed": len(done)}
        assert all(server.state.encoder(MAIN).gop == 50 for server in servers)
        assert servers[0].state.sets[0] == "SetSystemDateAndTime"
        assert servers[0].state.sets[-1] == "SetHostname"
        assert abs(servers[1].now() - time.time()) < 2
        assert all(server.state.follows_ntp for server in servers)
        after = fleet.audit(site)
        assert [one.state for one in after] == ["as-planned", "as-planned"]
        assert fleet.plan(site).changes == 0
        assert not any(server.login_failures for server in servers)


ABOUT = {
    "ignores-gop": ("accepted-but-not-applied", {"main.gop_s", "sub.gop_s"}),
    "ignores-rate-control": (
        "accepted-but-not-applied",
        {"main.rate_control", "sub.rate_control", "main.kbit", "sub.kbit"},
    ),
    "ignores-hostname": ("accepted-but-not-applied", {"identity.hostname"}),
    "ignores-imaging": (
        "accepted-but-not-applied",
        {"imaging.noise_reduction", "imaging.wide_dynamic_range", "imaging.ir_cut"},
    ),
    "ignores-ntp-switch": ("accepted-but-not-applied", {"clock.follow_ntp"}),
    "always-daylight": ("accepted-but-not-applied", {"clock.daylight"}),
    "refuses-ntp": ("refused", {"clock.ntp"}),
    "ignores-dns": ("accepted-but-not-applied", {"network.dns"}),
    "ignores-gateway": ("accepted-but-not-applied", {"network.gateway"}),
    "network-after-reboot": (
        "accepted-but-not-applied",
        {"network.dns", "network.gateway", "identity.name", "identity.location"},
    ),
    "own-timezone-only": ("refused", {"clock.timezone"}),
    "letters-in-timezone": (None, set()),
    "slow-sets": (None, set()),
}
"""What comes of the settings that a lie is about; all others are changed."""
MORE = """
[network.dns]
want = ["10.20.0.1"]
why = "the school's own server"
[network.gateway]
want = "10.20.0.1"
why = "the way out of the school"
"""


@pytest.mark.parametrize("media2", [True, False], ids=["media2", "media1"])
def test_each_lie_about_a_setting_has_the_outcome_that_is_true(tmp_path, media2, monkeypatch):
    monkeypatch.setattr(applying, "SETTLE_S", 2.0)
    monkeypatch.setattr(applying, "RETURN_S", 4.0)
    folder = tmp_path / "firmware_configs/cameras"
    folder.mkdir(parents=True)
    text = template("generic/onvif-t").path.read_text().replace("want = []", 'want = ["10.20.0.1"]')
    (folder / "own.toml").write_text(text + MORE)
    with school(tmp_path, *([lie] for lie in ABOUT), media2=media2, ntp=False) as (site, servers):
        site = Site.loads((tmp_path / "school.toml").read_text().replace("generic/onvif-t", "own"), path=site.path)
        done = fleet.apply(fleet.plan(site))
        for index, (lie, (outcome, about)) in enumerate(ABOUT.items()):
            told = {one.setting: one.outcome for one in done if one.camera == f"c{index}"}
            others = {setting for setting, one in told.items() if one != "changed"}
            assert others <= about, lie
            assert {told[setting] for setting in others} <= {outcome}, lie
            assert bool(others) == (outcome is not None), lie
        assert servers[0].state.encoder(MAIN).gop == 120


LIES = {
    "ignores-sets": {"accepted-but-not-applied"},
    "refuses-sets": {"refused"},
    "after-reboot": {"pending-reboot"},
    "after-reboot-silently": {"accepted-but-not-applied"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_camera_that_lies_is_found_out(tmp_path, lie):
    with school(tmp_path, [lie], media2=False) as (site, (server,)):
        done = fleet.apply(fleet.plan(site, limit="c0"))
        assert {one.outcome for one in done} == LIES[lie]
        assert all(one.after != one.desired for one in done)
        assert server.state.encoder(MAIN).gop == 120


def test_media2_has_no_place_to_say_that_a_restart_is_needed(tmp_path):
    with school(tmp_path, ["after-reboot"]) as (site, _):
        told = {one.setting: one.outcome for one in fleet.apply(fleet.plan(site))}
        assert told["clock.timezone"] == "pending-reboot"
        assert told["main.fps"] == "accepted-but-not-applied"


@pytest.mark.parametrize("lie", ["after-reboot", "after-reboot-silently", "ignores-sets"])
def test_a_restart_brings_out_what_waited_for_it(tmp_path, lie, monkeypatch):
    monkeypatch.setattr(applying, "REBOOT_S", 6.0)
    monkeypatch.setattr(applying, "GOING_S", 1.0)
    with school(tmp_path, [lie]) as (site, (server,)):
        done = fleet.apply(fleet.plan(site), reboot=True)
        assert {one.outcome for one in done} == {"accepted-but-not-applied" if lie == "ignores-sets" else "changed"}
        assert server.state.reboots == (lie != "ignores-sets")


def test_what_holds_only_for_a_moment_is_not_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(applying, "HOLD_S", 1.0)
    with school(tmp_path, ["reverts"], []) as (site, (server, _)):
        done = fleet.apply(fleet.plan(site))
        lying = {one.outcome for one in done if one.camera == "c0"}
        assert lying == {"accepted-but-not-applied"}
        assert all("held for a moment" in one.note for one in done if one.camera == "c0")
        assert {one.outcome for one in done if one.camera == "c1"} == {"changed"}
        assert server.state.encoder(MAIN).gop == 120


def test_too_many_failures_stop_the_others(tmp_path):
    with school(tmp_path, *[["refuses-sets"]] * 6, *[[]] * 6) as (site, servers):
        plan = fleet.plan(site)
        done = fleet.apply(plan, max_failed=0.3, workers=1)
        tried = {one.camera for one in done if one.outcome is not None}
        assert tried == {f"c{n}" for n in range(4)}
        # The fifth may have been begun, and broken off, before the fourth was counted.
        note = next(one.note for one in done if one.camera == "c7")
        assert re.search("[45] cameras had failed, `c0`", note), note
        assert all(server.state.sets == [] for server in servers[4:])
        assert {one.camera for one in fleet.apply(plan, workers=2) if one.outcome is not None} == {
            f"c{n}" for n in range(12)
        }


def test_one_deadline_holds_for_all(tmp_path):
    with school(tmp_path, *[["slow"]] * 4, []) as (site, _):
        begun = time.monotonic()
        plan = fleet.plan(site, workers=1, deadline_s=1.5)
        assert time.monotonic() - begun < 10
        late = [one for one in plan.cameras if one.problem]
        assert late
        assert late[-1].camera == "c4"
        assert "within the 1.5 s that all of them had" in late[-1].problem
        assert late[-1].code == "device-timeout"
        states = [one.state for one in fleet.audit(site, workers=1, deadline_s=1.5)]
        assert states[-1] == "problem"
    with school(tmp_path, *[[]] * 3) as (site, _):
        done = fleet.apply(fleet.plan(site), workers=1, deadline_s=0.01)
        assert all(one.outcome is None for one in done if one.camera == "c2")
        assert "were over" in done[-1].note


def test_how_far_a_broken_off_plan_came_is_read_from_its_journals(tmp_path):
    with school(tmp_path, [], [], []) as (site, _):
        plan = fleet.plan(site)
        folder = tmp_path / "journal"
        with applying.Journal(folder, plan.id, "c0") as one:
            one.begin("clock", {})
            one.done("clock", {})
        with applying.Journal(folder, plan.id, "c1") as one:
            one.begin("clock", {})
        far = fleet.progress_of(folder, plan.id, ["c0", "c1", "c2"])
        assert (far.done, far.interrupted, far.untouched) == (["c0"], ["c1"], ["c2"])


def test_rounding_that_nobody_announced_is_told(tmp_path):
    with school(tmp_path, ["rounds"]) as (site, (server,)):
        done = {one.setting: one for one in fleet.apply(fleet.plan(site))}
        assert (done["main.kbit"].outcome, done["main.kbit"].after) == ("changed", 3840)  # within 2000 to 6000
        assert done["main.kbit"].note == "the camera made 3840 of 4000, which will do"
        assert server.state.encoder(MAIN).kbit == 3840


def test_a_camera_that_goes_away_is_reported_and_left(tmp_path):
    with school(tmp_path, ["goes-away"]) as (site, (server,)):
        server.state.discoverable = False
        done = {one.setting: one for one in fleet.apply(fleet.plan(site))}
        assert done["main.fps"].outcome == "changed"
        assert done["identity.hostname"].outcome == "unreachable-after"
        assert done["network.discoverable"].outcome is None
        assert "the camera is gone" in done["network.discoverable"].note


def test_no_pair_of_lies_makes_a_wrong_changed(tmp_path):
    names = [*LIES, "rounds", "goes-away", "wrong-clock", "letters-in-timezone", "few-rights"]
    pairs = list(itertools.combinations(names, 2))
    with school(tmp_path, *pairs) as (site, servers):
        done = fleet.apply(fleet.plan(site))
        assert {one.camera for one in done} >= {f"c{index}" for index in range(len(pairs))} - {None}
        wrong = []
        for one in done:
            state = servers[int(one.camera[1:])].state
            if one.outcome == "changed":
                real = {
                    "identity.hostname": state.hostname,
                    "identity.name": state.name,
                    "main.fps": state.encoder(MAIN).fps,
                    "main.kbit": state.encoder(MAIN).kbit,
                    "clock.timezone": state.timezone,
                    "clock.follow_ntp": state.follows_ntp,
                }
                if one.setting in real and real[one.setting] != one.after:
                    wrong.append(one)
        assert wrong == []


def test_a_plan_is_saved_reviewed_and_refused_where_things_have_changed(tmp_path):
    with school(tmp_path, [], []) as (site, servers):
        made = fleet.plan(site)
        made.save(tmp_path / "plan.json")
        assert "secret" not in (tmp_path / "plan.json").read_text()
        plan = Plan.load(tmp_path / "plan.json", site)
        assert plan.id == made.id
        assert list(plan.rows()) == list(made.rows())
        servers[0].state.hostname = "somebody-else"
        servers[1].identity = Identity(mac="02:ed:00:00:09:09")
        done = fleet.apply(plan)
        told = {one.setting: one for one in done if one.camera == "c0"}
        assert told["identity.hostname"].outcome is None
        assert "has changed since the plan" in told["identity.hostname"].note
        assert told["main.fps"].outcome == "changed"
        others = [one for one in done if one.camera == "c1"]
        assert {one.outcome for one in others} == {None}
        assert "at its address" in others[0].note
        assert servers[1].state.sets == []
        other = Site.loads(HEAD.format(site="another"))
        with pytest.raises(UsageError, match="a plan for `school`"):
            Plan.load(tmp_path / "plan.json", other)
    for text in ("", "{}", "[]", '{"edusense_plan": 9, "site": "school", "number": 1}', '{"edusense_plan": 1}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UsageError, match="plan"):
            Plan.load(tmp_path / "bad.json", site)


def test_an_interrupted_apply_goes_on(tmp_path):
    with school(tmp_path, []) as (site, (server,)):
        plan = fleet.plan(site)
        # The power fails after the journal's line and before the camera has heard of it.
        journal = tmp_path / "data/fleet/journal" / plan.id / "c0.jsonl"
        real = applying._Visit._set_and_read

        def stops(self, group, name, todo, before):
            if group == "main":
                self._journal.begin(group, {})
                raise KeyboardInterrupt
            return real(self, group, name, todo, before)

        applying._Visit._set_and_read = stops
        try:
            with pytest.raises(KeyboardInterrupt):
                fleet.apply(plan)
        finally:
            applying._Visit._set_and_read = real
        assert server.state.timezone == "JST-9"
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        assert entries[-1]["state"] == "begin"
        with journal.open("a") as file:
            file.write('{"state": "be')  # torn
        done = {one.setting: one for one in fleet.apply(plan)}
        assert {one.outcome for one in done.values()} == {"changed"}
        assert done["clock.timezone"].note == "set by an earlier run of this plan"
        assert "secret" not in journal.read_text()
        # Carried out whole, it gives no right to undo what somebody changed since.
        server.state.hostname = "somebody-else"
        again = {one.setting: one for one in fleet.apply(plan)}
        assert again["identity.hostname"].outcome is None
        assert server.state.hostname == "somebody-else"


def test_a_canary_that_fails_stops_the_others(tmp_path):
    with school(tmp_path, ["ignores-sets"], [], []) as (site, servers):
        done = fleet.apply(fleet.plan(site), canary=1)
        assert {one.outcome for one in done if one.camera != "c0"} == {None}
        assert "canary `c0` failed" in next(one.note for one in done if one.camera == "c1")
        assert [server.state.sets for server in servers[1:]] == [[], []]
        servers[0].set_faults([])
        done = fleet.apply(fleet.plan(site), canary=1, limit="c[01]")
        assert {one.outcome for one in done} == {"changed"}
        assert servers[2].state.sets == []


def test_cameras_that_cannot_be_asked_are_told_with_their_reason(tmp_path):
    with school(tmp_path, ["silent"], ["not-xml"], ["refuse-auth"], []) as (site, servers):
        begun = time.monotonic()
        plan = fleet.plan(site, visit_s=1.0)
        assert time.monotonic() - begun < 6
        codes = [one.code for one in plan.cameras]
        assert codes == ["device-timeout", "device-protocol", "device-refused", None]
        states = [one.state for one in fleet.audit(site, visit_s=1.0)]
        assert states == ["problem", "problem", "problem", "drifted"]
        done = fleet.apply(plan, visit_s=5.0)
        assert {one.camera for one in done if one.outcome is None} == {"c0", "c1", "c2"}
        assert sum(one.outcome == "changed" for one in done) == plan.changes
        assert servers[2].login_failures <= 3  # one attempt a visit
    with pytest.raises(UsageError, match="no camera fits"):
        fleet.plan(site, limit="nothing-*")


def test_many_cameras_at_once(tmp_path):
    counted, lock = [], threading.Lock()

    def progress(done, total):
        with lock:
            counted.append((done, total))

    with school(tmp_path, *[[] for _ in range(40)]) as (site, servers):
        begun = time.process_time()
        assert {one.state for one in fleet.audit(site, progress=progress)} == {"drifted"}
        assert (time.process_time() - begun) / 40 < 0.3  # both halves, WSDLs parsed once
        assert counted[-1] == (40, 40)
        assert not any(server.state.sets for server in servers)


def test_clocks_are_set_without_a_template(tmp_path):
    with school(tmp_path, ["wrong-clock"], [], ["wrong-clock", "ignores-sets"], ["silent"]) as (site, servers):
        done = fleet.set_time(site, ["*"], visit_s=2.0)
        assert [one.outcome for one in done] == ["changed", "unchanged", "accepted-but-not-applied", None]
        assert abs(servers[0].now() - time.time()) < 2
        assert servers[0].state.follows_ntp  # given back
        assert servers[1].state.sets == []
        with pytest.raises(UsageError, match="no camera fits `x`"):
            fleet.set_time(site, ["c0", "x"])


def test_cameras_are_restarted_and_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(applying, "GOING_S", 0.5)
    with school(tmp_path, [], ["ignores-sets"], ["refuses-sets"], []) as (site, servers):
        servers[3].reboot_s = 60.0
        done = fleet.reboot(site, ["c*"], wait_s=2.0)
        assert [one.state for one in done] == ["back", "stayed", "failed", "away"]
        assert [server.state.reboots for server in servers] == [1, 0, 0, 1]
