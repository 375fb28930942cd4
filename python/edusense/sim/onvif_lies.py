"""What a virtual camera's ONVIF half can be told to do wrong, by name; several at once.

Each is something that real cameras or servers do; `quirks` are the numbers in `docs/reference/camera-quirks.md`, where
the sources stand. Where a lie is about Sets, the operations that it is about stand here too, as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["LIES", "MANNERS", "Lie", "applies_later", "ignores", "refuses"]

Kind = Literal["clock", "login", "answers", "sets", "network", "events", "wire", "search"]


@dataclass(frozen=True, slots=True)
class Lie:
    """One way to misbehave.

    Args:
        kind: what it is about.
        words: what the camera does.
        quirks: numbers of the quirks that it stands for; none for what no quirk list names.
    """

    kind: Kind
    words: str
    quirks: tuple[int, ...] = ()


LIES: Final[dict[str, Lie]] = {
    # ---- clock
    "wrong-clock": Lie("clock", "its clock is three days behind, as after a power cut without NTP", (1, 2)),
    "strict-clock": Lie("clock", "refuses a login whose time is more than five seconds off its own", (1,)),
    "clock-needs-login": Lie("clock", "tells the time only to who is logged in, as Axis does", (1,)),
    "loses-clock": Lie("clock", "begins at the first of January 2000 after each restart, and has no NTP", (2,)),
    "zulu-only": Lie("clock", "refuses a login whose `Created` ends in `+00:00` instead of `Z`", (3,)),
    "no-utc": Lie("clock", "tells local time and time zone alone, without UTC", (4,)),
    "zero-date": Lie("clock", "shows 0000-00-00 until somebody sets its clock", (4,)),
    "minute-61": Lie("clock", "counts minutes past the hour: 61 and more", (4,)),
    "letters-in-timezone": Lie("clock", "takes a time zone only where it begins with letters", (5,)),
    "own-timezone-only": Lie("clock", "takes no time zone but the one that it has", (5,)),
    "no-timezone": Lie("clock", "refuses to set the clock where a time zone is named", (5,)),
    "always-daylight": Lie("clock", "says that daylight saving is on, whatever is set", (12,)),
    "ignores-ntp-switch": Lie("clock", "answers OK to being given to NTP, or taken from it, and does not go", (16,)),
    # ---- login
    "refuse-auth": Lie("login", "refuses every user and password"),
    "few-rights": Lie("login", "lets its user watch, and ask nothing about network, users and scopes"),
    "digest-only": Lie("login", "answers a UsernameToken with 401 and a page of HTML", (6, 7)),
    "token-only": Lie("login", "offers no HTTP Digest", (6,)),
    "digest-on-media": Lie("login", "takes a UsernameToken at its device service, at the others Digest alone", (6,)),
    "unusable-digest": Lie("login", "offers Digest, and takes nothing but a UsernameToken", (6,)),
    "two-challenges": Lie("login", "offers Digest twice, by MD5 and by SHA-256", (31,)),
    "auth-in-words": Lie("login", "refuses a login by a fault without a code, with status 400", (7,)),
    "auth-status-200": Lie("login", "refuses a login by a fault with status 200", (7,)),
    "lets-anyone-read": Lie("login", "takes any password, except where users are asked for or set", (8,)),
    "locks": Lie("login", "after five wrong logins refuses every login for half a minute", (9,)),
    "needs-activation": Lie("login", "is factory-new: tells the time alone until its vendor's tool came", (10,)),
    "password-change-pending": Lie("login", "lets its user do nothing but choose another password", (32,)),
    "picky-password": Lie("login", "takes passwords of 8 to 32 letters and digits, without ' \" ; : & and /", (11, 32)),
    "refuses-setuser": Lie("login", "lets nobody change the users that were made in its web pages", (16,)),
    "ignores-users": Lie("login", "answers OK to everything about users and does nothing", (12,)),
    "forgets-users": Lie("login", "a restart clears the users that were made by ONVIF", (10,)),
    # ---- what it answers
    "wrong-xaddr": Lie("answers", "gives addresses of a network that nobody can reach, as behind NAT", (27,)),
    "zero-xaddr": Lie("answers", "gives 0.0.0.0 as its own address", (27,)),
    "doubled-port": Lie("answers", "gives addresses with two ports: host:8106:8106", (27,)),
    "relative-xaddr": Lie("answers", "gives addresses without scheme and host", (27,)),
    "strict-paths": Lie("answers", "answers a service's questions only at that service's own address", (31,)),
    "strict-actions": Lie("answers", "refuses a request whose SOAP action is not exactly the operation's"),
    "refuses-addressing": Lie("answers", "refuses WS-Addressing headers except on events", (18,)),
    "vendor-services": Lie("answers", "tells services of its own namespaces, before those of ONVIF", (15,)),
    "no-media1": Lie("answers", "has Media2 alone, as Profile T allows", (31,)),
    "no-services": Lie("answers", "does not know GetServices"),
    "no-capabilities": Lie("answers", "does not know GetCapabilities", (10,)),
    "shuffled": Lie("answers", "sends elements in another order than the schema"),
    "sparse": Lie("answers", "leaves out elements that the schema demands, and wants them in a Set", (14,)),
    "broken-text": Lie("answers", "has bytes that are no UTF-8 in its own name", (26,)),
    "no-interfaces": Lie("answers", "does not know GetNetworkInterfaces, and tells no MAC elsewhere", (30,)),
    "no-users": Lie("answers", "knows nothing about users"),
    "no-dns": Lie("answers", "knows nothing about DNS and NTP"),
    "no-osd": Lie("answers", "has no text in its picture"),
    "no-imaging": Lie("answers", "has no imaging service"),
    "no-video-source": Lie("answers", "tells profiles without a video source", (31,)),
    "no-snapshot-uri": Lie("answers", "leaves the address out of its answer to GetSnapshotUri", (28,)),
    "password-in-snapshot": Lie("answers", "gives a picture's address with a password in it, and refuses it so", (28,)),
    "other-answer": Lie("answers", "answers another question than was asked"),
    "not-xml": Lie("answers", "answers bytes that are no XML"),
    "xml-bomb": Lie("answers", "answers XML whose entities grow to gigabytes"),
    "external-entity": Lie("answers", "answers XML that wants a file of this machine read"),
    # ---- Sets
    "ignores-sets": Lie("sets", "answers every Set with success and changes nothing", (12, 17)),
    "refuses-sets": Lie("sets", "answers every Set with a fault"),
    "after-reboot": Lie("sets", "keeps what is set until it restarts, and says so"),
    "after-reboot-silently": Lie("sets", "keeps what is set until it restarts, and does not say so"),
    "network-after-reboot": Lie("sets", "keeps DNS, time zone, gateway and scopes until it restarts, silently"),
    "reverts": Lie("sets", "shows what was set for a moment, then what was before"),
    "slow-sets": Lie("sets", "takes a second until what was set can be read"),
    "rounds": Lie("sets", "rounds what is set: bit rate to 256 kbit/s, GOP to ten pictures"),
    "wants-own-multicast": Lie("sets", "refuses an encoder with another multicast address than its own", (14,)),
    "ignores-gop": Lie("sets", "answers OK to another GOP and keeps the old one", (17,)),
    "ignores-rate-control": Lie("sets", "answers OK to another bit rate and rate control and keeps them", (16,)),
    "ignores-imaging": Lie("sets", "answers OK to imaging settings and keeps the old ones"),
    "ignores-hostname": Lie("sets", "answers OK to another host name and keeps the old one", (12,)),
    # ---- network
    "goes-away": Lie("network", "is not heard of again once something of its network was set"),
    "ignores-dns": Lie("network", "answers OK to DNS servers and keeps the old ones", (17,)),
    "ignores-gateway": Lie("network", "answers OK to a gateway and keeps the old one", (17,)),
    "refuses-ntp": Lie("network", "refuses NTP servers", (11,)),
    "moves-at-once": Lie("network", "takes another address at once, without an answer and without a restart"),
    "network-reverts": Lie("network", "says OK to another address, goes, and comes back as it was", (10,)),
    "comes-back-elsewhere": Lie("network", "comes back at another address than it was told"),
    # ---- events
    "claims-no-pullpoint": Lie("events", "says that it has no pull points, and has them", (15,)),
    "reference-parameters": Lie("events", "wants its own header echoed in everything about a subscription", (15,)),
    "refuses-renew": Lie("events", "refuses to renew a subscription, and to synchronise it", (16,)),
    "needs-addressing": Lie("events", "answers 400 to PullMessages without WS-Addressing", (13,)),
    "hangs-on-pullpoint": Lie("events", "hangs when a pull point is created", (20,)),
    "events-dead": Lie("events", "gives an address of its events service at which nobody is", (12,)),
    "short-subscriptions": Lie("events", "grants a tenth of a relative time, and an absolute one in full", (21,)),
    "ignores-period": Lie("events", "grants a minute whatever is asked", (21,)),
    "hasty-pull": Lie("events", "answers PullMessages at once, whatever timeout was asked", (22,)),
    "unsubscribe-ends-all": Lie("events", "ends every subscription when one is unsubscribed", (23,)),
    "few-subscriptions": Lie("events", "has room for two subscriptions", (23,)),
    "relative-subscription": Lie("events", "gives a subscription's address without scheme and host", (27,)),
    "odd-topics": Lie("events", "ends its topics in `//.`", (25,)),
    "odd-times": Lie("events", "stamps events with times such as 2023-05-15T-07:10:32Z", (4,)),
    "disk-full": Lie("events", "tells that its storage fails"),
    "covered": Lie("events", "tells that somebody covers its lens"),
    # ---- the wire
    "silent": Lie("wire", "accepts connections and says nothing"),
    "hangs-after-head": Lie("wire", "sends the head of its answers and nothing more"),
    "hangs-in-body": Lie("wire", "sends half of each answer and nothing more"),
    "half-answer": Lie("wire", "sends half of each answer and closes the connection"),
    "drips": Lie("wire", "sends a byte every tenth of a second"),
    "slow": Lie("wire", "takes a third of a second for each answer"),
    "huge-answer": Lie("wire", "sends a hundred megabytes"),
    "closes-connections": Lie("wire", "closes a kept connection without a word", (24,)),
    "drops-unknown": Lie("wire", "breaks the connection off where it does not know a question"),
    # ---- search
    "device-type-only": Lie("search", "answers a search for devices, and none for video transmitters"),
    "answers-untyped-only": Lie("search", "answers only a search without types"),
    "same-mac": Lie("search", "has the MAC address of another camera"),
}  # fmt: skip
"""Every lie, by name."""

MANNERS: Final = frozenset({"hangs-after-head", "hangs-in-body", "half-answer", "drips", "huge-answer"})
"""Lies about how an answer's bytes are sent."""

_USERS: Final = frozenset({"CreateUsers", "SetUser", "DeleteUsers"})
_IGNORED: Final = {
    "ignores-users": _USERS,
    "ignores-dns": frozenset({"SetDNS"}),
    "ignores-gateway": frozenset({"SetNetworkDefaultGateway"}),
    "ignores-hostname": frozenset({"SetHostname"}),
    "ignores-imaging": frozenset({"SetImagingSettings"}),
}
_REFUSED: Final = {
    "refuses-ntp": frozenset({"SetNTP"}),
    "refuses-setuser": frozenset({"SetUser"}),
    "no-users": _USERS | {"GetUsers"},
    "no-dns": frozenset({"GetDNS", "SetDNS", "GetNTP", "SetNTP"}),
    "no-osd": frozenset({"GetOSDs", "GetOSDOptions", "CreateOSD", "SetOSD", "DeleteOSD"}),
    "no-interfaces": frozenset({"GetNetworkInterfaces", "SetNetworkInterfaces"}),
    "no-services": frozenset({"GetServices"}),
    "no-capabilities": frozenset({"GetCapabilities"}),
    "refuses-renew": frozenset({"Renew", "SetSynchronizationPoint"}),
}
_DELAYED: Final = frozenset({"SetDNS", "SetNetworkDefaultGateway", "SetScopes"})


def ignores(lies: Collection[str], operation: str) -> bool:
    """Whether an operation is answered with success and not done."""
    return "ignores-sets" in lies or any(operation in _IGNORED[lie] for lie in _IGNORED.keys() & set(lies))


def refuses(lies: Collection[str], operation: str, *, changes: bool) -> bool:
    """Whether an operation is answered by a fault.

    Args:
        lies: what the camera does wrong.
        operation: its name.
        changes: it would change something.
    """
    if changes and "refuses-sets" in lies:
        return True
    return any(operation in _REFUSED[lie] for lie in _REFUSED.keys() & set(lies))


def applies_later(lies: Collection[str], operation: str) -> bool:
    """Whether an operation is done only with the next restart."""
    if "after-reboot" in lies or "after-reboot-silently" in lies:
        return True
    return "network-after-reboot" in lies and operation in _DELAYED
