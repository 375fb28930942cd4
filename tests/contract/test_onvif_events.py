"""Events: pulled as long as they are wanted, whatever a camera makes of subscriptions, and none left behind."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
import requests

from edusense import devices
from edusense.errors import (
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense_drivers.onvif import events, session, topics
from edusense_drivers.onvif.policies import (
    AddressingPolicy,
    Policies,
    PullPolicy,
    RenewPolicy,
    UnsubscribePolicy,
)
from edusense_drivers.onvif.times import moment_of

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")


@contextlib.contextmanager
def camera(*faults, policies=None, timeout_s=3.0, **settings):
    session._remembered.clear()
    server = OnvifServer(Identity(), [MAIN], "edusense", "secret", faults=faults, **settings)
    with (
        server,
        devices.open_camera(
            f"onvif:{server.url}", user="edusense", password="secret", timeout_s=timeout_s, policies=policies
        ) as opened,
    ):
        yield opened, server


def watched(opened, server, seconds=2.0, *, cover_after=0.2):
    """What is told while somebody covers the lens."""
    told = threading.Timer(
        cover_after, server.tell, ["VideoSource/GlobalSceneChange/ImagingService", ("Source", "1"), ("State", "true")]
    )
    found = list(opened.events(seconds, on_start=told.start))
    told.cancel()
    return found


def test_what_it_is_and_what_happens_is_told():
    with camera() as (opened, server):
        found = watched(opened, server)
        assert [(one.kind, one.active, one.operation) for one in found] == [
            ("motion", False, "Initialized"),
            ("tamper", False, "Initialized"),
            ("storage-failure", False, "Initialized"),
            ("tamper", True, "Changed"),
        ]
        assert abs(found[-1].at.timestamp() - time.time()) < 5
        assert found[0].source == {"VideoSourceConfigurationToken": "source-1-configuration"}
        assert (server.events.open, server.events.created) == (0, 1)
    with camera("disk-full", "covered") as (opened, _):
        assert {one.kind for one in opened.events(0.3) if one.active} == {"storage-failure", "tamper"}


def test_a_hasty_camera_is_asked_in_peace():
    with camera("hasty-pull") as (opened, server):
        found = watched(opened, server, 3.0)
        assert found[-1].active
        assert server.events.pulls <= 3.0 / events.PACE_S + 2


def test_no_subscription_is_left_behind():
    with camera("few-subscriptions") as (opened, server):
        for _ in range(5):
            for _one in opened.events(5.0):
                break  # whoever loses interest has unsubscribed all the same
        assert server.events.open == 0
        with contextlib.suppress(ZeroDivisionError):
            for _one in opened.events(5.0):
                raise ZeroDivisionError
        assert server.events.open == 0
        server.events.subscribe(60, 9)
        server.events.subscribe(60, 9)
        with pytest.raises(DeviceRefusedError, match="Subscribe creation failed"):
            list(opened.events(1.0))


def test_other_peoples_subscriptions_live_on():
    with camera("unsubscribe-ends-all") as (opened, server):
        theirs = server.events.subscribe(60, 9)
        list(opened.events(0.3))
        with pytest.raises(Exception, match="no such subscription"):
            server.events.of(theirs)
    with camera("unsubscribe-ends-all", policies=Policies(unsubscribe=UnsubscribePolicy.EXPIRE)) as (opened, server):
        theirs = server.events.subscribe(60, 9)
        list(opened.events(0.3))
        assert server.events.of(theirs)


@pytest.mark.parametrize("fault", ["claims-no-pullpoint", "vendor-services", "no-services", "relative-subscription"])
def test_pull_points_are_tried_whatever_a_camera_says(fault):
    with camera(fault) as (opened, server):
        assert watched(opened, server)[-1].active


def test_reference_parameters_are_echoed():
    with camera("reference-parameters") as (opened, server):
        assert watched(opened, server)[-1].active
        assert server.events.open == 0


def test_addressing_is_sent_with_events_and_nowhere_else():
    with camera("needs-addressing", "refuses-addressing") as (opened, server):
        assert watched(opened, server)[-1].active
        assert opened.information()
        assert server.events.open == 0
    with (
        camera("needs-addressing", policies=Policies(addressing=AddressingPolicy.NEVER)) as (opened, _),
        pytest.raises(DeviceRefusedError, match="WS-Addressing"),
    ):
        list(opened.events(30.0))


def test_a_life_that_is_misread_is_asked_for_as_a_moment():
    with camera("short-subscriptions", "wrong-clock") as (opened, server):
        puller = events._Puller(opened._session)
        one = puller.subscribe()
        assert puller.absolute
        assert one.life_s > 50
        puller.end()
        assert server.events.open == 0
    with camera("ignores-period") as (opened, _):
        assert events._Puller(opened._session).subscribe().life_s == pytest.approx(60, abs=2)


@pytest.mark.parametrize("fault", [None, "refuses-renew"])
def test_a_subscription_that_cannot_be_renewed_is_made_anew(fault):
    with camera(*([fault] if fault else [])) as (opened, server):
        puller = events._Puller(opened._session)
        one = puller.subscribe()
        one.born -= 55.0
        again = puller.keep_alive(one)
        assert (again is one) == (fault is None)
        assert puller.pull(again, 1.0) is not None
        assert server.events.open == 1
        puller.end()
        assert server.events.open == 0
    with camera(policies=Policies(renew=RenewPolicy.ANEW)) as (opened, server):
        puller = events._Puller(opened._session)
        one = puller.subscribe()
        one.born -= 55.0
        assert puller.keep_alive(one) is not one
        assert (server.events.created, server.events.open) == (2, 1)


def test_a_subscription_lost_by_a_restart_is_made_anew():
    with camera(reboot_s=0.5) as (opened, server):
        threading.Timer(0.4, server.go_down).start()
        threading.Timer(
            4.0, server.tell, ["Device/HardwareFailure/StorageFailure", ("Token", "1"), ("Failed", "true")]
        ).start()
        found = list(opened.events(6.0))
        assert found[-1].active
        assert server.events.created >= 2
        assert server.events.open == 0


def test_topics_are_read_without_their_odd_ends():
    with camera("odd-topics") as (opened, server):
        assert [one.kind for one in watched(opened, server)] == ["motion", "tamper", "storage-failure", "tamper"]
    assert topics.plain("tns1:Device/tnsh:Trigger/Relay/.") == "Device/Trigger/Relay"
    assert topics.kind_of(topics.plain("tns1:RuleEngine/MyRuleDetector/PeopleDetect")) == "person"
    assert topics.kind_of("VideoSource/ImageTooDark/AnalyticsService") == "too-dark"
    assert topics.kind_of("Anything/Else") is None


def test_times_that_are_none_are_mended():
    with camera("odd-times") as (opened, server):
        assert all(one.at is not None for one in watched(opened, server))
    assert moment_of("2023-05-15T-07:10:32Z").hour == 7
    assert moment_of("2010-01-01-00:00:00").year == 2010
    assert moment_of("2024-01-01T00:61:16Z").minute == 1
    assert moment_of("2024-01-01T05:00:00.25+05:00").hour == 0
    for nonsense in (None, "", "0000-00-00T00:00:00Z", "yesterday", "9999-12-31T99:99:99Z", "2024-13-01T00:00:00Z"):
        assert moment_of(nonsense) is None


def test_events_are_asked_for_only_where_they_are_wanted():
    with camera("hangs-on-pullpoint", timeout_s=0.6) as (opened, server):
        opened.information()
        opened.profiles()
        opened.read_settings("users")
        assert server.events.created == 0
        with pytest.raises(DeviceTimeoutError, match="asked for events") as caught:
            list(opened.events(2.0))
        assert 'pull = "never"' in caught.value.hint
    with camera("hangs-on-pullpoint", policies=Policies(pull=PullPolicy.NEVER)) as (opened, server):
        before = server.requests
        with pytest.raises(DeviceRefusedError, match="is not asked for events"):
            list(opened.events(2.0))
        assert server.requests == before


def test_an_events_service_where_nobody_is_is_told():
    with camera("events-dead") as (opened, _), pytest.raises((DeviceNotFoundError, DeviceDisconnectedError)):
        list(opened.events(2.0))


def test_a_stranger_may_hold_its_own_pull_point():
    """What stock onvif-zeep leaves behind counts against the camera's few slots, and expires by itself."""
    with camera() as (_, server):
        envelope = (
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><CreatePullPointSubscription '
            'xmlns="http://www.onvif.org/ver10/events/wsdl"><InitialTerminationTime>PT1S</InitialTerminationTime>'
            "</CreatePullPointSubscription></s:Body></s:Envelope>"
        )
        url = server.url.replace("device_service", "event_service")
        login = requests.auth.HTTPDigestAuth("edusense", "secret")
        answer = requests.post(url, data=envelope, auth=login, timeout=5, proxies={"http": ""})
        assert answer.status_code == 200
        assert server.events.open == 1
        time.sleep(1.1)
        assert server.events.open == 0


def test_hostile_answers_about_events_are_errors():
    for fault in ("half-answer", "not-xml", "other-answer"):
        with camera(fault, timeout_s=1.0) as (opened, _), pytest.raises(DeviceError):
            list(opened.events(2.0))
