"""A virtual camera's events: pull points, and what it has to tell.

Sources: ONVIF Core Specification 9 (event handling), OASIS WS-BaseNotification 1.3, WS-Addressing 1.0; topics from
ONVIF Imaging, Media and Device specifications.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_auth import utc
from edusense.sim.onvif_services import OPERATIONS, Operation, event_capabilities, operation
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer
    from edusense.sim.onvif_xml import Element

__all__ = ["Events", "Happening"]

SLOTS: Final = 8
QUEUE: Final = 100
LONGEST_S: Final = 3600.0
DEFAULT_S: Final = 60.0
MOTION: Final = "RuleEngine/CellMotionDetector/Motion"
TAMPER: Final = "VideoSource/GlobalSceneChange/ImagingService"
STORAGE: Final = "Device/HardwareFailure/StorageFailure"
REBOOT: Final = "Monitoring/OperatingTime/LastReboot"


@dataclass(frozen=True, slots=True)
class Happening:
    """What a camera tells.

    Args:
        topic: below `tns1:`.
        source: name and value of what it is about.
        data: name and value of what happened.
        operation: `Initialized`, `Changed` or `Deleted`.
        at_s: the camera's own clock.
    """

    topic: str
    source: tuple[str, str]
    data: tuple[str, str]
    operation: str
    at_s: float


@dataclass(slots=True)
class _Subscription:
    until: float
    waiting: deque[Happening] = field(default_factory=lambda: deque(maxlen=QUEUE))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Events:
    """Who has subscribed to a camera's events, and what the camera has told last."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, _Subscription] = {}
        self._last: dict[str, Happening] = {}
        self._number = 0
        self.created = 0
        """How many pull points were ever made."""
        self.pulls = 0
        """How often messages were asked for."""

    @property
    def open(self) -> int:
        """How many subscriptions there are."""
        self._clear()
        return len(self._subscriptions)

    def _clear(self) -> None:
        now = time.monotonic()
        for name in [name for name, one in self._subscriptions.items() if one.until <= now]:
            self._subscriptions.pop(name).arrived.set()

    def forget(self) -> None:
        """Ends every subscription, as a restart does."""
        for one in self._subscriptions.values():
            one.arrived.set()
        self._subscriptions.clear()

    def tell(self, happening: Happening) -> None:
        """Tells everybody who has subscribed; on the loop's thread."""
        self._last[happening.topic] = happening
        for one in self._subscriptions.values():
            one.waiting.append(happening)
            one.arrived.set()

    def subscribe(self, seconds: float, slots: int) -> str:
        """Makes a pull point; returns its number.

        Raises:
            Fault: there are too many.
        """
        self._clear()
        if len(self._subscriptions) >= slots:
            raise Fault(("wsnt:SubscribeCreationFailedFault",), "Subscribe creation failed fault", status=500)
        self._number += 1
        self.created += 1
        name = str(self._number)
        self._subscriptions[name] = _Subscription(time.monotonic() + seconds)
        self.synchronise(name)
        return name

    def of(self, name: str) -> _Subscription:
        """The pull point of that number.

        Raises:
            Fault: there is none, or no longer.
        """
        self._clear()
        if name not in self._subscriptions:
            raise Fault(("wsnt:ResourceUnknownFault",), "there is no such subscription", status=500)
        return self._subscriptions[name]

    def synchronise(self, name: str) -> None:
        """Tells one subscriber the state of everything again."""
        one = self.of(name)
        for happening in self._last.values():
            one.waiting.append(
                Happening(happening.topic, happening.source, happening.data, "Initialized", happening.at_s)
            )
        one.arrived.set()

    def end(self, name: str, *, everybody: bool = False) -> None:
        """Ends a subscription, or all of them."""
        self.of(name)
        if everybody:
            self.forget()
        else:
            self._subscriptions.pop(name).arrived.set()


_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d*)?S)?)?")


def _seconds(said: str, server: OnvifServer, default: float) -> float:
    """How long is asked for: a duration, or a moment of the camera's clock."""
    if not said:
        return default
    match = _DURATION.fullmatch(said)
    if match is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        wanted = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        wanted = wanted / 10 if "short-subscriptions" in server.faults else wanted
    else:
        try:
            wanted = datetime.fromisoformat(said).timestamp() - server.now()
        except (ValueError, OverflowError):
            raise Fault(("ter:InvalidArgVal",), f"`{said[:40]}` is no time") from None
    if wanted <= 0:
        raise Fault(("wsnt:UnacceptableInitialTerminationTimeFault",), "that is over already", status=500)
    return min(LONGEST_S, wanted)


def _granted(server: OnvifServer, said: str) -> float:
    wanted = _seconds(said, server, DEFAULT_S)
    return DEFAULT_S if "ignores-period" in server.faults else wanted


def _time(server: OnvifServer, at_s: float) -> str:
    said = utc(at_s).strftime("%Y-%m-%dT%H:%M:%SZ")
    return said.replace("T", "T-", 1) if "odd-times" in server.faults else said


def _times(server: OnvifServer, seconds: float) -> str:
    now = server.now()
    return (
        f"<wsnt:CurrentTime>{utc(now):%Y-%m-%dT%H:%M:%SZ}</wsnt:CurrentTime>"
        f"<wsnt:TerminationTime>{utc(now + seconds):%Y-%m-%dT%H:%M:%SZ}</wsnt:TerminationTime>"
    )


@operation("tev:GetServiceCapabilities", anonymous=True)
def _get_capabilities(server: OnvifServer, _: Request, __: Element) -> str:
    return event_capabilities(server)


@operation("tev:GetEventProperties")
def _get_properties(_: OnvifServer, __: Request, ___: Element) -> str:
    return (
        "<tev:TopicNamespaceLocation>http://www.onvif.org/onvif/ver10/topics/topicns.xml</tev:TopicNamespaceLocation>"
        "<wsnt:FixedTopicSet>true</wsnt:FixedTopicSet><wstop:TopicSet><tns1:RuleEngine><CellMotionDetector>"
        '<Motion wstop:topic="true"/></CellMotionDetector></tns1:RuleEngine><tns1:VideoSource><GlobalSceneChange>'
        '<ImagingService wstop:topic="true"/></GlobalSceneChange></tns1:VideoSource><tns1:Device><HardwareFailure>'
        '<StorageFailure wstop:topic="true"/></HardwareFailure></tns1:Device></wstop:TopicSet>'
        "<wsnt:TopicExpressionDialect>http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet</wsnt:TopicExpressionDialect>"
        "<tev:MessageContentFilterDialect>http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
        "</tev:MessageContentFilterDialect>"
    )


@operation("tev:CreatePullPointSubscription")
def _create(server: OnvifServer, request: Request, asked: Element) -> str:
    lies = server.faults
    if "hangs-on-pullpoint" in lies:
        raise server.hanging
    seconds = _granted(server, asked.value("InitialTerminationTime"))
    server.tell_states()
    name = server.events.subscribe(seconds, 2 if "few-subscriptions" in lies else SLOTS)
    address = server.address_of("wsnt", request)
    if "relative-subscription" in lies:
        address = "/" + address.partition("://")[2].partition("/")[2]
    if "reference-parameters" in lies:
        more = f"<wsa5:ReferenceParameters><axis:SubscriptionId>{name}</axis:SubscriptionId></wsa5:ReferenceParameters>"
    else:
        address, more = f"{address}/{name}", ""
    return (
        f"<tev:SubscriptionReference><wsa5:Address>{escape(address)}</wsa5:Address>{more}</tev:SubscriptionReference>"
        + _times(server, seconds)
    )


def _named(request: Request, header: Element | None, server: OnvifServer) -> str:
    """The subscription that a request is about."""
    if "reference-parameters" in server.faults:
        return header.value("SubscriptionId") if header else ""
    return request.path.rpartition("/")[2]


def _about(
    name: str, response: str
) -> Callable[[Callable[[OnvifServer, str, Element], Awaitable[str]]], Callable[..., Awaitable[str]]]:
    """Registers an operation on a subscription, which is named by the address or by a header."""

    def register(content: Callable[[OnvifServer, str, Element], Awaitable[str]]) -> Callable[..., Awaitable[str]]:
        async def answer(server: OnvifServer, request: Request, asked: Element) -> str:
            header = server.header_of(request)
            if "needs-addressing" in server.faults and (header is None or header.find("Action") is None):
                raise Fault(("ter:InvalidArgVal",), "WS-Addressing is missing", status=400)
            said = await content(server, _named(request, header, server), asked)
            return f"<{response}>{said}</{response}>"

        OPERATIONS[name] = Operation(answer, False, "wsnt")
        return answer

    return register


@_about("tev:PullMessages", "tev:PullMessagesResponse")
async def _pull(server: OnvifServer, name: str, asked: Element) -> str:
    server.events.pulls += 1
    subscription = server.events.of(name)
    wait_s = _seconds(asked.value("Timeout"), server, 10.0) if asked.value("Timeout") not in ("", "PT0S") else 0.0
    limit = max(1, int(asked.value("MessageLimit") or 100)) if (asked.value("MessageLimit") or "1").isdecimal() else 1
    if not subscription.waiting and "hasty-pull" not in server.faults:
        subscription.arrived.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(subscription.arrived.wait(), min(wait_s, LONGEST_S))
    told = "".join(
        _message(server, subscription.waiting.popleft()) for _ in range(min(limit, len(subscription.waiting)))
    )
    now = server.now()
    left = subscription.until - time.monotonic()
    return (
        f"<tev:CurrentTime>{utc(now):%Y-%m-%dT%H:%M:%SZ}</tev:CurrentTime>"
        f"<tev:TerminationTime>{utc(now + left):%Y-%m-%dT%H:%M:%SZ}</tev:TerminationTime>{told}"
    )


def _message(server: OnvifServer, one: Happening) -> str:
    def item(pair: tuple[str, str]) -> str:
        return f'<tt:SimpleItem Name="{escape(pair[0])}" Value="{escape(pair[1])}"/>'

    end = "//." if "odd-topics" in server.faults else ""
    return (
        '<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
        f"tns1:{escape(one.topic)}{end}</wsnt:Topic><wsnt:Message>"
        f'<tt:Message UtcTime="{_time(server, one.at_s)}" PropertyOperation="{one.operation}">'
        f"<tt:Source>{item(one.source)}</tt:Source><tt:Data>{item(one.data)}</tt:Data></tt:Message></wsnt:Message>"
        "</wsnt:NotificationMessage>"
    )


@_about("tev:SetSynchronizationPoint", "tev:SetSynchronizationPointResponse")
async def _synchronise(server: OnvifServer, name: str, _: Element) -> str:
    server.events.synchronise(name)
    return ""


@_about("wsnt:Renew", "wsnt:RenewResponse")
async def _renew(server: OnvifServer, name: str, asked: Element) -> str:
    subscription = server.events.of(name)
    seconds = _granted(server, asked.value("TerminationTime"))
    subscription.until = time.monotonic() + seconds
    now = server.now()
    return (
        f"<wsnt:TerminationTime>{utc(now + seconds):%Y-%m-%dT%H:%M:%SZ}</wsnt:TerminationTime>"
        f"<wsnt:CurrentTime>{utc(now):%Y-%m-%dT%H:%M:%SZ}</wsnt:CurrentTime>"
    )


@_about("wsnt:Unsubscribe", "wsnt:UnsubscribeResponse")
async def _unsubscribe(server: OnvifServer, name: str, _: Element) -> str:
    server.events.end(name, everybody="unsubscribe-ends-all" in server.faults)
    return ""
