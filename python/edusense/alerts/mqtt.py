"""The destination `mqtt`: alerts to a broker, by ONVIF's topic names for whoever knows those, and whole for the rest.

```text
PREFIX/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/&CAMERA/edusense/ZONE     ONVIF's JSON event
PREFIX/edusense/cases/CASE/SEQUENCE                                              the message (docs/reference/alerts.md)
PREFIX/edusense/cases/CASE/still                                                 its picture, JPEG
PREFIX/edusense/heartbeat, PREFIX/edusense/online                                retained
```

Topics and payload of ONVIF events: ONVIF Core Specification 26.06, event broker, "Topic Structure" and "JSON Event
Payload", which Profile M asks for. What is told with QoS 1 (MQTT 5.0, section 4.3.2) is delivered when the broker
acknowledges it, and when somebody gets it: a broker without a subscriber throws it away and says so.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from edusense.alerts.destination import Destination
from edusense.errors import (
    DestinationRefusedError,
    DestinationUnavailableError,
    DriverMissingError,
    MessageRefusedError,
)
from edusense.site.fields import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.alerts.destination import Settings
    from edusense.alerts.outbox import Attachment

__all__ = ["Mqtt", "onvif_event"]

CONNECT_S: Final = 10.0
ANSWER_S: Final = 15.0
KEEP_ALIVE_S: Final = 30
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_TOPICS: Final = {
    "forbidden-entry": "RuleEngine/FieldDetector/ObjectsInside",
    "movement": "RuleEngine/FieldDetector/ObjectsInside",
    "line-crossed": "RuleEngine/LineDetector/Crossed",
}
"""ONVIF's topic of each finding that has one, without the namespace's prefix, which MQTT does not know."""
_OTHER: Final = "RuleEngine/edusense:Finding"
_REFUSED: Final = frozenset({"Bad user name or password", "Not authorized", "Client identifier not valid", "Banned"})
_OLD: Final = "Unsupported protocol version"


def onvif_event(message: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """A message as ONVIF's event: the topic behind the prefix, and its payload; None where it is none.

    A test is none: who listens to ONVIF's topics could not tell it from the real thing.

    >>> topic, told = onvif_event({
    ...     "type": "alert", "status": "actual", "finding": "line-crossed", "start_s": 1_790_000_000.0,
    ...     "place": {"camera": "gate-1", "zone": "fence"}, "rule": {"name": "line-crossing"}, "case": "fence-1",
    ...     "confidence": 0.9,
    ... })
    >>> topic, told["UtcTime"], told["Source"]["Rule"]
    ('onvif-ej/RuleEngine/LineDetector/Crossed/&gate-1/edusense/fence', '2026-09-21T14:13:20.000Z', 'fence')
    """
    if message["type"] != "alert" or message.get("status") == "test":
        return None
    place = message.get("place") or {}
    camera = str(place.get("camera") or "none")
    rule = str(place.get("zone") or (message.get("rule") or {}).get("name") or message["finding"])
    finding = message["finding"]
    moment = datetime.datetime.fromtimestamp(message["start_s"], datetime.UTC)
    data: dict[str, Any] = {"IsInside": True} if _TOPICS.get(finding, "").endswith("ObjectsInside") else {}
    payload = {
        "UtcTime": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "Source": {"VideoSource": camera, "AnalyticsConfiguration": "edusense", "Rule": rule},
        "Data": data | {"edusense:Finding": finding, "edusense:Case": message["case"]},
    }
    source = "/".join(_plain(part) for part in (camera, "edusense", rule))
    return f"onvif-ej/{_TOPICS.get(finding, _OTHER)}/&{source}", payload


@dataclass
class _Link:
    """A connection to the broker, and what it has answered."""

    client: Any
    connected: threading.Event
    answers: dict[int, Any]
    fresh: threading.Condition
    refusal: str | None = None
    lost: bool = False


class Mqtt(Destination):
    """A broker, by MQTT 5 or, where it does not know that, 3.1.1."""

    URLS: ClassVar[tuple[str, ...]] = ("mqtts", "mqtt")
    ATTACHMENTS: ClassVar[tuple[str, ...]] = ("still",)
    HEARTBEATS: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._name = f"destination `{settings.id}`"
        parts = urlsplit(settings.url or "")
        self._host, self._secure = parts.hostname or "", parts.scheme == "mqtts"
        self._port = parts.port or _PORTS.get(parts.scheme, 1883)
        self._prefix = parts.path.strip("/") or f"edusense/{settings.school['id']}"
        # What follows a # is a fragment to whoever reads URLs.
        if parts.fragment or any(sign in (settings.url or "") for sign in "+#$"):
            raise DestinationRefusedError(
                f"{self._name}: `{(settings.url or '')[:80]}` ends in no prefix of topics: +, # and $ mean more there",
                hint=f"mqtts://{self._host}/school-51",
            )
        if settings.password is not None and not self._secure and not is_loopback(self._host):
            raise DestinationRefusedError(
                f"{self._name}: its password would go to `{self._host}` in clear", hint=f"mqtts://{self._host}"
            )
        try:
            import paho.mqtt.client  # noqa: F401 - looked for
        except ImportError as error:
            raise DriverMissingError(
                f"{self._name} needs a package that is not installed: {error.name}",
                hint="pip install 'edusense[mqtt]' into edusense's environment",
            ) from error
        self._link: _Link | None = None
        self._old = False
        """The broker knows nothing newer than MQTT 3.1.1."""

    def send(self, message: Mapping[str, Any], still: Attachment | None = None) -> None:
        """Publishes the message, and its ONVIF event where there is one; returns when somebody has one of them."""
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        told = [(f"edusense/cases/{_plain(message['case'])}/{message['sequence']}", body)]
        if (event := onvif_event(message)) is not None:
            told.append((event[0], json.dumps(event[1], ensure_ascii=False).encode()))
        # Both are told, also where the first has found somebody.
        heard = [self._publish(topic, payload) for topic, payload in told]
        if not any(heard):
            raise DestinationUnavailableError(
                f"{self._name}: nobody has subscribed to `{self._prefix}/#`: the broker threw the alert away",
                hint="a subscriber with a persistent session (clean start off, QoS 1) gets it also after a pause",
            )

    def attach(self, attachment: Attachment, stopping: threading.Event) -> None:
        """Publishes the still."""
        try:
            picture = attachment.read(0, attachment.size)
        except OSError as error:
            raise MessageRefusedError(f"the file of {attachment.key} is gone: {error.strerror}") from error
        self._publish(f"edusense/cases/{_plain(attachment.case)}/{attachment.name}", picture)

    def heartbeat(self, message: Mapping[str, Any]) -> None:
        """Publishes the box's state, retained; the broker says `false` at `online` when the box is gone."""
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        self._publish("edusense/heartbeat", body, retain=True, will=True)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False, will: bool = False) -> bool:
        """Whether somebody gets it, as far as the broker tells."""
        link = self._connected(will=will)
        self.settings.pace(len(payload) + len(topic) + 8)
        try:
            info = link.client.publish(f"{self._prefix}/{topic}", payload, qos=1, retain=retain)
            with link.fresh:
                told = link.fresh.wait_for(lambda: info.mid in link.answers or link.lost, ANSWER_S)
                code = link.answers.pop(info.mid, None)
        except ValueError as error:
            raise MessageRefusedError(f"{self._name}: a message of {len(payload)} bytes: {error}") from error
        if not told or code is None:
            # What was not acknowledged must not go out later by itself: the client and its queue are dropped.
            self.close()
            raise DestinationUnavailableError(f"{self._name}: the broker did not acknowledge in time")
        if code.is_failure:
            raise DestinationRefusedError(
                f"{self._name}: the broker refuses `{self._prefix}/{topic}`: {code}",
                hint="may this user publish there?",
            )
        return bool(code.getName() != "No matching subscribers")

    def _connected(self, *, will: bool) -> _Link:
        link = self._link
        if link is not None and not link.lost:
            return link
        self.close()
        link = self._connect(will)
        if link.refusal == _OLD and not self._old:
            self._old = True
            self.close()
            link = self._connect(will)
        if link.refusal is not None:
            self.close()
            kind = DestinationRefusedError if link.refusal in _REFUSED or self._old else DestinationUnavailableError
            raise kind(f"{self._name}: the broker says: {link.refusal}", hint="are user and password the broker's?")
        if not link.connected.is_set():
            self.close()
            raise DestinationUnavailableError(f"{self._name}: the broker did not answer in time")
        if will:
            link.client.publish(f"{self._prefix}/edusense/online", b"true", qos=1, retain=True)
        return link

    def _connect(self, will: bool) -> _Link:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"edusense-{self.settings.school['id']}-{secrets.token_hex(4)}"[:60],
            protocol=paho.MQTTv311 if self._old else paho.MQTTv5,
            reconnect_on_failure=False,
        )
        link = _Link(client, threading.Event(), {}, threading.Condition())

        def on_connect(_: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
            link.refusal = str(code) if code.is_failure else None
            link.connected.set()

        def on_publish(_: Any, __: Any, number: int, code: Any, ___: Any) -> None:
            with link.fresh:
                link.answers[number] = code
                link.fresh.notify_all()

        def on_disconnect(*_: Any) -> None:
            with link.fresh:
                link.lost = True
                link.fresh.notify_all()
            link.connected.set()

        client.on_connect, client.on_publish, client.on_disconnect = on_connect, on_publish, on_disconnect
        client.connect_timeout = CONNECT_S
        if self._secure:
            client.tls_set_context(self.settings.tls())
        if self.settings.user is not None:
            client.username_pw_set(self.settings.user, self.settings.password)
        if will:
            client.will_set(f"{self._prefix}/edusense/online", b"false", qos=1, retain=True)
        try:
            client.connect(self._host, self._port, keepalive=KEEP_ALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise DestinationRefusedError(
                f"{self._name}: its certificate is not to be trusted: {error.verify_message}",
                hint="have it renewed; a certificate of your own authority is named by `ca`",
            ) from error
        except ssl.SSLError as error:
            raise DestinationRefusedError(
                f"{self._name}: no TLS with it: {error.reason or error}", hint="mqtt:// or mqtts://?"
            ) from error
        except OSError as error:
            told = error.strerror or ("it did not answer in time" if isinstance(error, TimeoutError) else str(error))
            raise DestinationUnavailableError(f"{self._name}: {told}", hint="is the link up?") from error
        self._link = link
        client.loop_start()
        link.connected.wait(CONNECT_S)
        if link.lost and link.refusal is None:
            self.close()
            raise DestinationUnavailableError(f"{self._name}: the broker hung up", hint="is it MQTT at that port?")
        return link

    def interrupt(self) -> None:
        """Ends what waits in another thread."""
        link = self._link
        if link is None:
            return
        with link.fresh:
            link.lost = True
            link.fresh.notify_all()
        with contextlib.suppress(OSError, AttributeError):
            link.client.socket().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hangs up; what was not acknowledged is not sent any more."""
        link, self._link = self._link, None
        if link is None:
            return
        with contextlib.suppress(OSError, ValueError):
            link.client.disconnect()
        link.client.loop_stop()


def _plain(text: str) -> str:
    """A text as one level of a topic."""
    return "".join("-" if sign in "/+#" else sign for sign in text)
