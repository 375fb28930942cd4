"""The destination `mqtt` held to its promises with a real broker: Debian's mosquitto."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.mqtt_broker import Topics

from edusense.alerts import Settings
from edusense.alerts.contract import PASSWORD, DestinationContract, message
from edusense.alerts.mqtt import Mqtt
from edusense.alerts.registry import make_destination
from edusense.errors import DestinationRefusedError, DestinationUnavailableError

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]


class Mosquitto(Topics):
    """A broker with a password file, and a subscriber with a persistent session."""

    destination = Mqtt

    def __init__(self, folder: Path) -> None:
        if shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None:
            pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        users = folder / "users"
        users.touch(mode=0o600)
        subprocess.run(["mosquitto_passwd", "-b", str(users), "edusense", PASSWORD], check=True, capture_output=True)
        subprocess.run(["mosquitto_passwd", "-b", str(users), "reader", "reader"], check=True, capture_output=True)
        acl = folder / "acl"
        acl.write_text("user edusense\ntopic write school/#\nuser reader\ntopic read #\n")
        users.chmod(0o700)
        (folder / "conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\nacl_file {acl}\n"
            f"persistence true\npersistence_location {folder}/\nuser root\n"
        )
        self.got: list[tuple[str, bytes, bool]] = []
        self.start()
        self.listen()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(self.folder / "conf")], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def listen(self) -> None:
        self.reader = paho.Client(CallbackAPIVersion.VERSION2, client_id="reader", clean_session=False)
        self.reader.username_pw_set("reader", "reader")
        ready = []
        self.reader.on_subscribe = lambda *_: ready.append(True)
        self.reader.on_message = lambda _, __, one: self.got.append((one.topic, one.payload, one.retain))
        self.reader.connect("127.0.0.1", self.port)
        self.reader.subscribe("school/#", qos=1)
        self.reader.loop_start()
        deadline = time.monotonic() + 10
        while not ready:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def settings(self, **change) -> Settings:
        school = {"id": "school-51", "number": 51001}
        given = {"url": f"mqtt://127.0.0.1:{self.port}/school", "user": "edusense", "password": PASSWORD} | change
        return Settings(id="broker", school=school, **given)

    def told(self) -> list[tuple[str, bytes]]:
        time.sleep(0.3)  # what was acknowledged is on its way to the subscriber
        return [(topic, payload) for topic, payload, _ in self.got]

    def go_down(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def come_back(self) -> None:
        self.start()
        deadline = time.monotonic() + 20
        while not self.reader.is_connected():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        self.reader.disconnect()
        self.reader.loop_stop()
        self.go_down()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    yield made
    made.close()


class TestMosquitto(DestinationContract):
    @pytest.fixture
    def rig(self, broker: Mosquitto) -> Mosquitto:
        return broker


def test_onvif_names_it_and_a_test_alert_is_not_among_them(broker: Mosquitto) -> None:
    destination = make_destination(Mqtt, broker.settings())
    destination.send(message())
    destination.send(message(case="attic-door-2", status="test"))
    destination.close()
    time.sleep(0.3)
    (found,) = [(topic, json.loads(payload)) for topic, payload, _ in broker.got if "onvif-ej" in topic]
    assert found[0] == "school/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/&stairs-3/edusense/attic-door"
    assert found[1]["Source"] == {"VideoSource": "stairs-3", "AnalyticsConfiguration": "edusense", "Rule": "attic-door"}


def test_a_broker_without_a_subscriber_has_delivered_nothing(broker: Mosquitto) -> None:
    broker.reader.unsubscribe("school/#")
    time.sleep(0.3)
    destination = make_destination(Mqtt, broker.settings())
    with pytest.raises(DestinationUnavailableError, match="nobody has subscribed"):
        destination.send(message())
    destination.close()


def test_a_wrong_password_and_a_topic_that_is_not_allowed_are_refused(broker: Mosquitto) -> None:
    destination = make_destination(Mqtt, broker.settings(password="wrong"))
    with pytest.raises(DestinationRefusedError, match="Not authorized"):
        destination.send(message())
    destination.close()
    destination = make_destination(Mqtt, broker.settings(url=f"mqtt://127.0.0.1:{broker.port}/elsewhere"))
    with pytest.raises(DestinationRefusedError, match="refuses `elsewhere/"):
        destination.send(message())
    destination.close()


def test_the_broker_says_that_the_box_is_gone(broker: Mosquitto) -> None:
    destination = make_destination(Mqtt, broker.settings())
    destination.heartbeat({"key": "heartbeat/1", "school": {"id": "school-51"}})
    destination.interrupt()  # as a box that is killed: no goodbye
    deadline = time.monotonic() + 10
    while ("school/edusense/online", b"false", False) not in broker.got:
        assert time.monotonic() < deadline, broker.got
        time.sleep(0.05)
    destination.close()
