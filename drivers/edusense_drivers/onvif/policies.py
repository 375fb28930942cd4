"""What cameras do differently, each with a name; the defaults are what most cameras want.

Which camera gets which policy stands in data (`quirks`), each with its source. Whoever opens a camera may choose
otherwise: `open_camera(address, policies=Policies(login=LoginPolicy.DIGEST))`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, replace
from typing import Any, Final

__all__ = [
    "AddressPolicy",
    "AddressingPolicy",
    "ClockPolicy",
    "EchoPolicy",
    "IdentityPolicy",
    "LoginPolicy",
    "NetworkPolicy",
    "PasswordPolicy",
    "PicturePolicy",
    "Policies",
    "PullPolicy",
    "RenewPolicy",
    "RoundingPolicy",
    "SubscriptionPolicy",
    "TimeZonePolicy",
    "TlsPolicy",
    "UnsubscribePolicy",
    "UserPolicy",
]


class ClockPolicy(enum.Enum):
    """Where the time of a login comes from."""

    ASK = "ask"
    """The camera's own clock, asked for without login; where it wants one for that (Axis), its HTTP `Date`, or ours."""
    OURS = "ours"
    """This machine's clock. For a camera that hangs or locks when it is asked for its time."""


class LoginPolicy(enum.Enum):
    """How to log in."""

    ASK = "ask"
    """Send the first question bare: a camera that answers it with a Digest challenge gets Digest, any other a
    UsernameToken.

    A bare question is no attempt to log in, so that finding the scheme costs none of the few that a camera allows.
    """
    TOKEN = "token"  # noqa: S105 - a name, not a secret
    """Always WS-UsernameToken. Needed by cameras whose web server offers Digest and whose ONVIF service does not take
    it."""
    DIGEST = "digest"
    """Always HTTP Digest, as Profile T has it."""


class AddressPolicy(enum.Enum):
    """What to make of the host in an address that the camera gives."""

    OURS = "ours"
    """Put in the host that we reached the camera by. Needed behind NAT, and by cameras that say 0.0.0.0 or their
    factory address."""
    THEIRS = "theirs"
    """Believe it. Needed by recorders that hand out the addresses of the cameras behind them."""


class TimeZonePolicy(enum.Enum):
    """How a camera is told its time zone."""

    POSIX = "posix"
    """As POSIX has it, `<+05>-5`; where that is refused, once more in letters."""
    LETTERS = "letters"
    """In letters at once, `UTC-5`: what older firmwares parse."""
    THEIRS = "theirs"
    """Never: it keeps the one that it has, whatever else of its clock is set."""


class EchoPolicy(enum.Enum):
    """What is sent back of a camera's own settings when one of them is changed."""

    OWN = "own"
    """The whole object, as the camera told it; what the schema demands and it left out, filled in by zeros."""
    OWN_MULTICAST = "own-multicast"
    """The same, with a multicast address of a private range (RFC 2365) where it told none: it refuses 0.0.0.0."""


@dataclass(frozen=True, slots=True)
class RoundingPolicy:
    """How a camera rounds what it is told, beyond what its options say.

    Args:
        kbit: bit rates are multiples of this.
        gop: lengths of a GOP are multiples of this.
    """

    kbit: int = 1
    gop: int = 1


class IdentityPolicy(enum.Enum):
    """By what a camera is known again."""

    MAC = "mac"
    """Its MAC address; its serial number where it tells none."""
    SERIAL = "serial"
    """Its serial number alone: several of one make came with the same MAC address."""


class UserPolicy(enum.Enum):
    """How the users of a camera are changed."""

    SET = "set"
    """By ONVIF."""
    CREATE = "create"
    """By ONVIF, but none that was made in its web pages: another user is made instead."""
    ELSEWHERE = "elsewhere"
    """In its maker's own program alone: ONVIF answers OK and does nothing."""


class NetworkPolicy(enum.Enum):
    """Whether a camera's address may be set by ONVIF."""

    SET = "set"
    """Yes."""
    ELSEWHERE = "elsewhere"
    """No: it says OK, cannot be reached for some time, and comes back with everything as before."""


class PicturePolicy(enum.Enum):
    """What to make of the address of a still picture."""

    GIVEN = "given"
    """Ask it as the camera gave it; where that is refused, once more without user and password in it."""
    BARE = "bare"
    """Take user and password out of it at once."""


class AddressingPolicy(enum.Enum):
    """Where WS-Addressing headers are sent."""

    EVENTS = "events"
    """With everything about events: Reolink refuses PullMessages without. Nowhere else: Meari refuses them there."""
    NEVER = "never"
    """Nowhere."""


class PullPolicy(enum.Enum):
    """Whether events are asked for."""

    TRY = "try"
    """Yes, also where the camera says that it has none: some Axis and Bosch cameras do, and have them."""
    NEVER = "never"
    """No: it hangs when a pull point is made."""


class SubscriptionPolicy(enum.Enum):
    """How the life of a subscription is asked for."""

    RELATIVE = "relative"
    """As a duration; where less than half is granted, as a moment of the camera's clock."""
    ABSOLUTE = "absolute"
    """As a moment at once."""


class RenewPolicy(enum.Enum):
    """How a subscription lives on."""

    RENEW = "renew"
    """It is renewed at four fifths of its life; where that is refused, made anew."""
    ANEW = "anew"
    """It is made anew each time."""


class UnsubscribePolicy(enum.Enum):
    """How a subscription ends."""

    ALWAYS = "always"
    """It is unsubscribed, whatever happened."""
    EXPIRE = "expire"
    """It is left to expire after its short life: unsubscribing would end those of others, too."""


class TlsPolicy(enum.Enum):
    """What is accepted of a camera's TLS."""

    MODERN = "modern"
    """What this machine holds to be safe."""
    LEGACY = "legacy"
    """Also old ciphers and unsafe renegotiation; only with a pinned certificate."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What passwords a camera takes.

    Args:
        minimum: characters at least.
        maximum: characters at most.
        forbidden: characters that it does not take, or that break it.
    """

    minimum: int = 1
    maximum: int = 64
    forbidden: str = "/"

    def problem(self, password: str) -> str | None:
        """Why a password will not do, without any part of it; None where it will.

        >>> PasswordPolicy(minimum=8).problem("short")
        'it has fewer than 8 characters'
        """
        if len(password) < self.minimum:
            return f"it has fewer than {self.minimum} characters"
        if len(password) > self.maximum:
            return f"it has more than {self.maximum} characters"
        if set(password) & set(self.forbidden):
            return f"it has one of {' '.join(self.forbidden)} in it"
        if not all("!" <= c <= "~" for c in password):
            return "it has characters besides letters, digits and signs of ASCII"
        return None


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies for one camera.

    Args:
        login: how to log in.
        clock: where the time of a login comes from.
        address: what to make of hosts in its addresses.
        timezone: how it is told its time zone.
        echo: what is sent back of its own settings.
        rounding: how it rounds.
        identity: by what it is known again.
        users: how its users are changed.
        network: whether its address may be set.
        password: what passwords it takes.
        picture: what to make of a picture's address.
        addressing: where WS-Addressing is sent.
        pull: whether events are asked for.
        subscription: how a subscription's life is asked for.
        renew: how it lives on.
        unsubscribe: how it ends.
        tls: what is accepted of its TLS.
        activation: what to do with a factory-new one that takes no login yet; empty: nothing is known.
        doubtful: settings by their dotted names that others have seen accepted and ignored: `identity.hostname`.
    """

    login: LoginPolicy = LoginPolicy.ASK
    clock: ClockPolicy = ClockPolicy.ASK
    address: AddressPolicy = AddressPolicy.OURS
    timezone: TimeZonePolicy = TimeZonePolicy.POSIX
    echo: EchoPolicy = EchoPolicy.OWN
    rounding: RoundingPolicy = RoundingPolicy()
    identity: IdentityPolicy = IdentityPolicy.MAC
    users: UserPolicy = UserPolicy.SET
    network: NetworkPolicy = NetworkPolicy.SET
    password: PasswordPolicy = PasswordPolicy()
    picture: PicturePolicy = PicturePolicy.GIVEN
    addressing: AddressingPolicy = AddressingPolicy.EVENTS
    pull: PullPolicy = PullPolicy.TRY
    subscription: SubscriptionPolicy = SubscriptionPolicy.RELATIVE
    renew: RenewPolicy = RenewPolicy.RENEW
    unsubscribe: UnsubscribePolicy = UnsubscribePolicy.ALWAYS
    tls: TlsPolicy = TlsPolicy.MODERN
    activation: str = ""
    doubtful: tuple[str, ...] = ()

    def with_values(self, values: dict[str, Any]) -> Policies:
        """These, with some of them as data names them.

        Args:
            values: name → the value's name, a table of numbers, or a text: `{"login": "digest", "rounding":
                {"kbit": 256}}`.

        Raises:
            ValueError: a policy or a value that there is not; the message names those that there are.

        >>> Policies().with_values({"login": "digest"}).login
        <LoginPolicy.DIGEST: 'digest'>
        """
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no policy `{name}`; there are {', '.join(known)}")
            changes[name] = _value(name, known[name], value)
        return replace(self, **changes)


def _value(name: str, now: Any, value: Any) -> Any:
    if isinstance(now, enum.Enum):
        kind = type(now)
        if value not in {one.value for one in kind}:
            raise ValueError(f"`{name}` is one of {', '.join(one.value for one in kind)}, not `{value}`")
        return kind(value)
    if isinstance(now, (RoundingPolicy, PasswordPolicy)):
        wanted = {one.name: type(getattr(now, one.name)) for one in fields(now)}
        if not isinstance(value, dict) or any(
            not isinstance(part, wanted.get(key, _Never)) for key, part in value.items()
        ):
            raise ValueError(f"`{name}` is a table of {', '.join(wanted)}")
        return replace(now, **value)
    if isinstance(now, tuple):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"`{name}` is a list of settings")
        return (*now, *(one for one in value if one not in now))
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is a text")
    return value


class _Never:
    """No value is one of these."""


DEFAULTS: Final = Policies()
