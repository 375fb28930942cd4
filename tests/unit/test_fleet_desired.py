"""What is enough, what a camera can be told, and the site's values in a template."""

from __future__ import annotations

import pytest

from edusense import Site
from edusense.devices.camera import Offer
from edusense.errors import SiteReferenceError, SiteValueError
from edusense.fleet.desired import Wanted, choose_value, posix_zone, satisfied, wanted_of
from edusense.fleet.templates import Template

SITE = """
[site]
id = "school"
number = 1
timezone = "Asia/Tokyo"
[[rooms]]
id = "205"
kind = "classroom"
[[cameras]]
id = "205-front"
room = "205"
address = "10.0.0.1"
"""


def wanted(key, want, low=None, high=None, otherwise="report"):
    name = {"gop": "gop_s"}.get(key, key)
    return Wanted(f"main.{name}", "main", key, want, low, high, otherwise, "why it is so")


@pytest.mark.parametrize(
    ("one", "actual", "enough"),
    [
        (wanted("fps", 25.0, 20.0, 25.0), 20, True),
        (wanted("fps", 25.0, 20.0, 25.0), 26, False),
        (wanted("kbit", 4000), 4000, True),
        (wanted("kbit", 4000), None, False),
        (wanted("kbit", 1), True, False),
        (wanted("gop", 2.0, 1.0, 2.0), 2.083, True),  # 25 pictures at 12 a second
        (wanted("gop", 2.0, 1.0, 2.0), 2.2, False),
        (wanted("size", [640, 360], [480, 270], [800, 600]), [704, 576], True),
        (wanted("size", [640, 360], [480, 270], [800, 600]), [1280, 720], False),
        (wanted("timezone", "<+05>-5"), "UTC-05:00", True),
        (wanted("timezone", "<+05>-5"), "KZT-5:00:00", True),
        (wanted("timezone", "<+05>-5"), "UTC+5", False),
        (wanted("timezone", "<+05>-5"), "UTC-6", False),
        (wanted("timezone", "CET-1CEST,M3.5.0,M10.5.0/3"), "CET-1", False),
        (wanted("timezone", "JST-9"), None, False),
        (wanted("ntp", True), False, False),
        (wanted("servers", []), [], True),
        (wanted("servers", []), ["10.0.0.1"], False),
    ],
)
def test_what_is_enough(one, actual, enough):
    assert satisfied(one, actual) is enough


@pytest.mark.parametrize(
    ("one", "offer", "value", "note"),
    [
        (wanted("fps", 12.5, 10.0, 25.0), Offer(low=1, high=30, whole=True), 13, "12.5 becomes 13"),
        (wanted("fps", 25.0, 20.0, 25.0), Offer(values=(30, 15, 20)), 20, "25 becomes 20"),
        (wanted("kbit", 4000, 2000, 6000), Offer(low=64, high=3000), 3000, "4000 becomes 3000"),
        (wanted("kbit", 4000), Offer(low=64, high=3000), None, "4000 becomes 3000"),
        (wanted("kbit", 4000, otherwise="nearest"), Offer(low=64, high=3000), 3000, "becomes"),
        (wanted("kbit", 4000), None, 4000, ""),
        (wanted("gop", 2.0, 1.0, 2.0), Offer(low=1, high=30, whole=True), 30, "30 pictures at 25 a second"),
        (wanted("size", [640, 360], [480, 270], [800, 600]), Offer(values=((800, 450), (704, 9))), [800, 450], "x450"),
        (wanted("size", [640, 360], [640, 360], [640, 360]), Offer(values=((1920, 1080),)), None, "1920x1080"),
        (wanted("profile", "Main", otherwise="nearest"), Offer(values=("Baseline",)), "Baseline", "no Main"),
        (wanted("encoding", "H264"), Offer(values=("H265",)), None, "offers only H265"),
        (wanted("rate_control", "vbr"), Offer(values=("vbr", "cbr")), "vbr", ""),
    ],
)  # fmt: skip
def test_what_a_camera_is_told(one, offer, value, note):
    choice = choose_value(one, offer, 25)
    assert choice.value == value
    assert note in choice.note
    assert bool(note) == bool(choice.note)


def test_a_gop_needs_a_rate():
    assert choose_value(wanted("gop", 2.0), None, None).value is None


def test_a_template_is_filled_in_and_put_in_order():
    site = Site.loads(SITE)
    why = 'why = "because it is so"'
    template = Template.loads(
        'summary = "x"\n'
        f'[network.discoverable]\nwant = true\n{why}\n[main.fps]\nwant = 25.0\n{why}\n'
        f'[identity.name]\nwant = "{{room.kind}} {{camera.id}} of {{site.id}}"\n{why}\n'
        f'[identity.hostname]\nwant = "{{room.kind}}_{{camera.id}}."\n{why}\n'
        f'[clock.timezone]\nwant = "{{site.timezone}}"\n{why}\n[clock.ntp]\nwant = ["10.0.0.1"]\n{why}\n'
    )  # fmt: skip
    found = wanted_of(site, site.cameras[0], template)
    assert [one.setting for one in found] == [
        "clock.time", "clock.timezone", "clock.daylight", "clock.follow_ntp", "clock.ntp", "identity.name", "main.fps",
        "identity.hostname", "network.discoverable",
    ]  # fmt: skip
    want = {one.setting: one.want for one in found}
    assert want["identity.name"] == "classroom 205-front of school"
    assert want["identity.hostname"] == "classroom-205-front"
    assert want["clock.timezone"] == "JST-9"
    needs_mac = Template.loads(f'summary = "x"\n[identity.name]\nwant = "{{camera.mac}}"\n{why}\n')
    with pytest.raises(SiteReferenceError, match=r"camera\.mac"):
        wanted_of(site, site.cameras[0], needs_mac)


def test_time_zones_come_from_this_machine():
    assert posix_zone("UTC") == "UTC0"
    assert posix_zone("Europe/Berlin") == "CET-1CEST,M3.5.0,M10.5.0/3"
    with pytest.raises(SiteValueError, match="Asia/Nowhere"):
        posix_zone("Asia/Nowhere")
