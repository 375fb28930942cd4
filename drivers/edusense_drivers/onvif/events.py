"""Events: pulled from a camera as long as somebody wants them, and the subscription ended whatever happens.

Subscriptions are few (Profile T demands two) and cannot be listed: one that is left behind takes an event from the
school's recorder. So they are short-lived and always unsubscribed. Sources: ONVIF Core Specification 9, OASIS
WS-BaseNotification 1.3, WS-Addressing 1.0 (whose headers Reolink demands here and Meari refuses elsewhere).
onvif-zeep builds the requests that it knows; of `Renew` and `Unsubscribe` it has no binding.
"""

from __future__ import annotations

import copy
import re
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lxml import etree

from edusense.devices.camera import CameraEvent
from edusense.errors import (
    DeviceDisconnectedError,
    DeviceError,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from edusense_drivers.onvif import soap, topics, wsdl
from edusense_drivers.onvif.policies import (
    AddressingPolicy,
    PullPolicy,
    RenewPolicy,
    SubscriptionPolicy,
    UnsubscribePolicy,
)
from edusense_drivers.onvif.times import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense_drivers.onvif.session import Session

__all__ = ["LIFE_S", "PACE_S", "pull"]

LIFE_S: Final = 60.0
"""How long a subscription is asked to live: no camera grants less, and one that we could not end is soon gone."""
PULL_S: Final = 5.0
"""How long a camera may wait for something to tell."""
PACE_S: Final = 0.75
"""Between two pulls at least: some cameras answer at once, whatever they were asked."""
MESSAGES: Final = 100
FAILURES: Final = 4
"""So many times in a row may go wrong before we give up; the pauses between double from 1 s."""
_EVENTS: Final = "http://www.onvif.org/ver10/events/wsdl"
_WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
_WSA: Final = "http://www.w3.org/2005/08/addressing"
_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


@dataclass(slots=True)
class _Subscription:
    """One pull point.

    Args:
        address: where it is asked.
        parameters: what must be echoed in the header of everything about it.
        born: when it was made or renewed, monotonic seconds.
        life_s: how long it lives from then.
    """

    address: str
    parameters: list[etree._Element]
    born: float
    life_s: float


@dataclass(slots=True)
class _Puller:
    session: Session
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    absolute: bool = field(init=False)
    held: _Subscription | None = None

    def __post_init__(self) -> None:
        self.absolute = self.session.policies.subscription is SubscriptionPolicy.ABSOLUTE

    # ---- requests

    def _ask(self, request: wsdl.Request, to: _Subscription | None, wait_s: float = 0.0) -> etree._Element:
        address = to.address if to else self.session.address_of(_EVENTS)
        header = [copy.deepcopy(one) for one in to.parameters] if to else []
        for one in header:
            one.set(f"{{{_WSA}}}IsReferenceParameter", "true")
        if self.session.policies.addressing is AddressingPolicy.EVENTS:
            for name, text in (
                ("Action", request.action),
                ("MessageID", f"urn:uuid:{uuid.uuid4()}"),
                ("To", address),
            ):
                made = etree.Element(f"{{{_WSA}}}{name}", nsmap={"wsa5": _WSA})
                made.text = text
                header.append(made)
        return self.session.ask(_EVENTS, request, at=address, header=header, wait_s=wait_s)

    @staticmethod
    def _plain(operation: str, **texts: str) -> wsdl.Request:
        """A request of WS-BaseNotification."""
        envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"s": _ENVELOPE, "wsnt": _WSNT})
        asked = etree.SubElement(etree.SubElement(envelope, f"{{{_ENVELOPE}}}Body"), f"{{{_WSNT}}}{operation}")
        for name, text in texts.items():
            etree.SubElement(asked, f"{{{_WSNT}}}{name}").text = text
        action = f"http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/{operation}Request"
        return wsdl.Request(envelope, operation, action)

    # ---- life of a subscription

    def _wanted(self) -> str:
        if not self.absolute:
            return f"PT{LIFE_S:.0f}S"
        camera_s = self.session.our_time_s() + self.session.offset_s()
        return datetime.fromtimestamp(camera_s + LIFE_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def _granted(answer: etree._Element) -> float | None:
        until = moment_of(soap.text(answer, "TerminationTime"))
        now = moment_of(soap.text(answer, "CurrentTime"))
        return None if until is None or now is None else (until - now).total_seconds()

    def subscribe(self) -> _Subscription:
        """Makes a pull point; asks for its life as a moment where a duration was misread."""
        born = self.monotonic()
        request = wsdl.build("events", "CreatePullPointSubscription", {"InitialTerminationTime": self._wanted()})
        try:
            answer = self._ask(request, None)
        except DeviceTimeoutError as error:
            raise DeviceTimeoutError(
                f"{error.message}: it was asked for events",
                hint='some cameras hang at this question; `pull = "never"` in a quirk leaves it out',
            ) from None
        address = soap.text(answer, "SubscriptionReference", "Address")
        named = soap.child(answer, "SubscriptionReference", "ReferenceParameters")
        granted = self._granted(answer)
        made = _Subscription(
            self.session.repair(address) if address else self.session.address_of(_EVENTS),
            [] if named is None else list(named),
            born,
            LIFE_S if granted is None or granted <= 0 else min(granted, LIFE_S),
        )
        self.held = made
        if granted is not None and granted < LIFE_S / 2 and not self.absolute:
            self.absolute = True
            made.life_s = self._renewed(made) or made.life_s
        return made

    def _renewed(self, one: _Subscription) -> float | None:
        """How long it lives on from now; None where the camera does not renew."""
        try:
            answer = self._ask(self._plain("Renew", TerminationTime=self._wanted()), one)
        except (DeviceRefusedError, DeviceProtocolError):
            return None
        one.born = self.monotonic()
        granted = self._granted(answer)
        return LIFE_S if granted is None or granted <= 0 else min(granted, LIFE_S)

    def keep_alive(self, one: _Subscription) -> _Subscription:
        """Renews it at four fifths of its life, or makes another."""
        if self.monotonic() - one.born < 0.8 * one.life_s:
            return one
        if self.session.policies.renew is RenewPolicy.RENEW and (life := self._renewed(one)) is not None:
            one.life_s = life
            return one
        self.end()
        return self.subscribe()

    def end(self) -> None:
        """Ends what is held; never raises what a camera says about it."""
        held, self.held = self.held, None
        if held is None or self.session.policies.unsubscribe is UnsubscribePolicy.EXPIRE:
            return
        try:
            self._ask(self._plain("Unsubscribe"), held)
        except DeviceError:
            return  # gone already, or it will be soon: it is short-lived

    def pull(self, one: _Subscription, wait_s: float) -> list[CameraEvent]:
        """What there is to tell, or comes within `wait_s`."""
        request = wsdl.build(
            "pullpoint", "PullMessages", {"Timeout": timedelta(seconds=round(wait_s)), "MessageLimit": MESSAGES}
        )
        answer = self._ask(request, one, wait_s)
        return [event for told in soap.children(answer, "NotificationMessage") if (event := _event(told))]


def pull(
    session: Session,
    seconds: float,
    on_start: Callable[[], None] | None = None,
    *,
    stopped: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[CameraEvent]:
    """What a camera tells, for some time.

    Args:
        session: with whom.
        seconds: how long.
        on_start: called when it is subscribed to.
        stopped: says that it is enough; asked between two pulls.
        monotonic: seconds that only grow.
        sleep: waits.

    Raises:
        DeviceRefusedError: it has no events, or no room for a subscription; or it hangs when it is asked for them.
        DeviceError: it is gone.
    """
    if session.policies.pull is PullPolicy.NEVER:
        raise DeviceRefusedError(
            f"`{session.who}` is not asked for events: others have seen this model hang then",
            hint='`pull = "try"` in a quirk of your own asks all the same',
        )
    puller = _Puller(session, monotonic, sleep)
    end, failures = monotonic() + seconds, 0
    try:
        one = puller.subscribe()
        if on_start is not None:
            on_start()
        while (left := end - monotonic()) > 0 and not stopped():
            begun = monotonic()
            try:
                found = puller.pull(one, max(1.0, min(PULL_S, left)))
                one = puller.keep_alive(one)
                failures = 0
            except (DeviceRefusedError, DeviceProtocolError, DeviceDisconnectedError, DeviceTimeoutError):
                # Gone with a restart, or with somebody else's: made anew, after a pause.
                failures += 1
                if failures >= FAILURES:
                    raise
                sleep(min(2.0 ** (failures - 1), max(0.0, end - monotonic())))
                one = _again(puller, one)
                continue
            yield from found
            if (rest := PACE_S - (monotonic() - begun)) > 0:
                sleep(min(rest, max(0.0, end - monotonic())))
    finally:
        puller.end()


def _again(puller: _Puller, lost: _Subscription) -> _Subscription:
    puller.end()
    try:
        return puller.subscribe()
    except DeviceError:
        return lost  # it may still be restarting: the next pull says so


def _event(told: etree._Element) -> CameraEvent | None:
    """What one message says; None where it says nothing."""
    topic = topics.plain(soap.text(told, "Topic") or "")
    message = soap.child(told, "Message", "Message")
    if not topic or message is None:
        return None
    source, data = _items(soap.child(message, "Source")), _items(soap.child(message, "Data"))
    return CameraEvent(
        topic=topic,
        kind=topics.kind_of(topic),
        at=moment_of(message.get("UtcTime")),
        active=_state(data),
        source=source,
        data=data,
        operation=(message.get("PropertyOperation") or "")[:20],
    )


def _items(element: etree._Element | None) -> dict[str, str]:
    found = {}
    for one in list(soap.children(element, "SimpleItem"))[:32]:
        if name := one.get("Name"):
            found[name[:64]] = (one.get("Value") or "")[:256]
    return found


def _state(data: dict[str, str]) -> bool | None:
    """Whether what is told holds: the first value that is yes or no."""
    for value in data.values():
        low = value.lower()
        if low in ("true", "false", "active", "inactive"):
            return low in ("true", "active")
    for value in data.values():
        if _NUMBER.fullmatch(value) and value in ("0", "1"):
            return value == "1"
    return None
