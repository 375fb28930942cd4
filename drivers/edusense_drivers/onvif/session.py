"""Talking to one camera: where its services are, how to log in, what its clock says, and when to give up.

One login attempt a session: after a refusal nothing that needs a login is sent again, because cameras lock accounts
(Dahua, Hanwha: after five failures). UsernameToken and Digest are never sent together: a client that repeats a body
after a 401 repeats the token's nonce with it. How to log in is found by asking without login, for each service apart,
and remembered for as long as this process lives.
"""

from __future__ import annotations

import copy
import hashlib
import threading
import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from edusense.errors import DeviceDisconnectedError, DeviceProtocolError, DeviceRefusedError
from edusense_drivers.onvif import addresses, auth, soap, wsdl
from edusense_drivers.onvif.http import Deadline, Place, Trust, Wire
from edusense_drivers.onvif.policies import AddressPolicy, ClockPolicy, LoginPolicy, PicturePolicy, Policies, TlsPolicy
from edusense_drivers.onvif.times import read_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.devices.camera import CameraClock
    from edusense_drivers.onvif.http import Answer

__all__ = ["Session"]

ANSWER_LIMIT: Final = 1024 * 1024
"""Bytes of a SOAP answer: the largest honest ones, capabilities of recorders, are a tenth of it."""
PICTURE_LIMIT: Final = 16 * 1024 * 1024
_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
_ACTIVATION: Final = (
    "its maker's own program does that, and no ONVIF can: SADP for Hikvision, ConfigTool for Dahua, else its web pages"
)

_remembered: dict[tuple[str, int, str, bytes], dict[str, LoginPolicy]] = {}
_remembering = threading.Lock()
MEMORY: Final = 20_000
"""Cameras whose way to log in is remembered; one city has 15,400."""


class Session:
    """The conversation with one camera; one call at a time.

    Args:
        url: its device service.
        user: user; None asks without login.
        password: password; kept here and nowhere else, never in a message.
        timeout_s: for each question, everything included.
        visit_s: for everything that this session does; None: no such limit.
        policies: what this camera does differently.
        certificate: SHA-256 of the certificate that it must have, in hex; None: one that this machine trusts.
        clock: our Unix seconds.
        monotonic: seconds that only grow, for deadlines.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        timeout_s: float = 5.0,
        visit_s: float | None = None,
        policies: Policies | None = None,
        certificate: str | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = Place.of(url)
        self.who = str(self.place)
        self.policies = policies or Policies()
        self._user, self._password = user, password
        self._timeout_s, self._clock, self._monotonic = timeout_s, clock, monotonic
        self._visit = None if visit_s is None else Deadline(visit_s, clock=monotonic)
        self._certificate = certificate
        self._lock = threading.RLock()
        self._wires: dict[tuple[str, str, int], Wire] = {}
        self._schemes: dict[str, LoginPolicy] = self._remember()
        """How to log in, by the path of a service."""
        self._digests: dict[tuple[str, str, int], auth.Digest] = {}
        self._proven: set[tuple[str, LoginPolicy]] = set()  # then a no means a used-up nonce, a clock, or rights
        self._answered: set[str] = set()  # operations that it has answered to our login
        self._refused: str | None = None
        self._clock_read: CameraClock | None = None
        self._date_offset_s: float | None = None
        self._services: dict[str, str] | None = None
        self._patience_s = 0.0

    def close(self) -> None:
        """Closes its connections; harmless when repeated."""
        with self._lock:
            for wire in self._wires.values():
                wire.close()
            self._wires.clear()

    # --- questions ---------------------------------------------------------------------------------------------------

    def call(self, service: str, operation: str, /, *, anonymous: bool = False, **parameters: Any) -> etree._Element:
        """Asks a question; the request is built by onvif-zeep.

        Args:
            service: `device`, `media` …
            operation: the ONVIF name.
            anonymous: what the standard lets everybody ask (it is asked again with login if the camera wants one).
            parameters: by the names of the WSDL.

        Returns:
            The response element.

        Raises:
            DeviceRefusedError: the camera said no, with its reason.
        """
        found = self._ask(service, operation, anonymous, parameters)
        if isinstance(found, soap.SoapFault):
            raise DeviceRefusedError(f"`{self.who}` refuses {operation}: {found}")
        return found

    def call_if_known(
        self, service: str, operation: str, /, *, anonymous: bool = False, **parameters: Any
    ) -> etree._Element | None:
        """As `call`; None where the camera refuses this question, breaks off, or answers nonsense, as many do."""
        try:
            found = self._ask(service, operation, anonymous, parameters)
        except (DeviceProtocolError, DeviceDisconnectedError):
            return None
        except DeviceRefusedError:
            if self._refused is not None:
                raise  # not this question, the login itself
            return None
        return None if isinstance(found, soap.SoapFault) else found

    def ask(
        self,
        namespace: str,
        request: wsdl.Request,
        *,
        at: str | None = None,
        header: list[etree._Element] | None = None,
        wait_s: float = 0.0,
    ) -> etree._Element:
        """Asks a question of a service that onvif-zeep does not know, or whose request was completed by hand.

        Args:
            namespace: of the service.
            request: the question.
            at: where to ask it, mended already; None: where the service is.
            header: what goes into the SOAP header besides the login.
            wait_s: how long the camera may think before it answers, beyond the usual.

        Raises:
            DeviceRefusedError: the camera said no, with its reason.
        """
        with self._lock:
            place = Place.of(at or self.address_of(namespace))
            self._patience_s = wait_s
            try:
                found = self._exchange(place, request, False, header)[0]
            finally:
                self._patience_s = 0.0
        if isinstance(found, soap.SoapFault):
            raise DeviceRefusedError(f"`{self.who}` refuses {request.operation}: {found}")
        return found

    def has(self, namespace: str) -> bool:
        """Whether the camera says that it has a service."""
        self.address_of(namespace)
        with self._lock:
            return namespace in (self._services or {})

    def our_time_s(self) -> float:
        """Our clock, Unix seconds."""
        return self._clock()

    def forget_clock(self) -> None:
        """Its clock was set: what was read of it holds no more."""
        with self._lock:
            self._clock_read = None

    def _ask(
        self, service: str, operation: str, anonymous: bool, parameters: dict[str, Any]
    ) -> etree._Element | soap.SoapFault:
        with self._lock:
            request = wsdl.build(service, operation, parameters)
            where = self.place if service == "device" else Place.of(self.address_of(wsdl.namespace_of(service)))
            return self._exchange(where, request, anonymous)[0]

    def send(self, address: str, request: wsdl.Request) -> bytes:
        """Sends a request that somebody else built (`camera.zeep`); returns the answer's bytes.

        Raises:
            DeviceRefusedError: the camera said no.
        """
        with self._lock:
            found, raw = self._exchange(Place.of(self.repair(address)), request, False)
        if isinstance(found, soap.SoapFault):
            raise DeviceRefusedError(f"`{self.who}` refuses {request.operation}: {found}")
        return raw

    def _exchange(
        self, place: Place, request: wsdl.Request, anonymous: bool, header: list[etree._Element] | None = None
    ) -> tuple[etree._Element | soap.SoapFault, bytes]:
        """One question with whatever login it takes."""
        scheme = LoginPolicy.ASK if anonymous or self._password is None else self._scheme_at(place)
        if scheme is not LoginPolicy.ASK:
            self._not_twice()
        unasked = scheme is LoginPolicy.DIGEST and _key(place) not in self._digests  # no nonce of this port yet
        login = None if unasked or scheme is LoginPolicy.ASK else scheme
        answer = self._post(place, request, login, header)
        if _wants_login(answer):
            answer = self._log_in(place, request, login, answer, header)
        elif login is not None:
            self._worked(place, login, request)
        return soap.body_of(answer, request.operation, self.who), answer.body

    def _scheme_at(self, place: Place) -> LoginPolicy:
        """How a service is logged in to: as it took it, as its neighbours took it, or as the policy says."""
        found = self._schemes.get(place.target)
        if found is None and self.policies.login is LoginPolicy.ASK and self._schemes:
            found = next(iter(self._schemes.values()))
        return found or self.policies.login

    def _log_in(
        self,
        place: Place,
        request: wsdl.Request,
        tried: LoginPolicy | None,
        answer: Answer,
        header: list[etree._Element] | None,
    ) -> Answer:
        """Asks again with login, or in another way where the login is known to be right."""
        if self._user is None or self._password is None:
            self._told_why(answer)
            raise DeviceRefusedError(
                f"`{self.who}` wants a user and password for {request.operation}",
                hint="give them: --user NAME --password-from file:PATH, or `credentials` in the site file",
            )
        self._not_twice()
        offered = auth.Digest.best(auth.challenges(answer.all("www-authenticate")))
        if tried is None:
            self._told_why(answer)
            login = self._scheme_at(place)
            if login is LoginPolicy.ASK:
                login = LoginPolicy.DIGEST if offered else LoginPolicy.TOKEN
        else:
            login = self._another_way(place, tried, offered, answer, request)
        if login is LoginPolicy.DIGEST:
            if offered is None:
                raise DeviceProtocolError(f"`{self.who}` offers no Digest that we know: {answer.describe()}")
            self._digests[_key(place)] = auth.Digest(offered, self._user, self._password)
        elif tried is LoginPolicy.TOKEN:
            self._clock_read = None  # it may have restarted and lost its time
        answer = self._post(place, request, login, header)
        if _wants_login(answer):
            if login is LoginPolicy.DIGEST and tried is None and _stale(answer):
                return self._log_in(place, request, login, answer, header)
            raise self._no(place, login, answer, request)
        self._worked(place, login, request)
        return answer

    def _another_way(
        self, place: Place, tried: LoginPolicy, offered: auth.Challenge | None, answer: Answer, request: wsdl.Request
    ) -> LoginPolicy:
        """What to do about a no: the same again with a fresh nonce or clock, or the other way where this service wants
        that; only where user and password are known to be right.
        """
        if _prohibited(answer):
            raise self._no(place, tried, answer, request)
        proven = (place.target, tried) in self._proven
        if tried is LoginPolicy.DIGEST and offered is not None and (proven or _stale(answer)):
            return tried
        if tried is LoginPolicy.TOKEN and proven:
            return tried
        if self._proven and not proven:
            other = LoginPolicy.DIGEST if tried is LoginPolicy.TOKEN else LoginPolicy.TOKEN
            if (other is LoginPolicy.DIGEST) == (offered is not None):
                return other
        raise self._no(place, tried, answer, request)

    def _worked(self, place: Place, login: LoginPolicy, request: wsdl.Request) -> None:
        if self._schemes.get(place.target) is not login:
            self._schemes[place.target] = login
            self._remember(self._schemes)
        self._proven.add((place.target, login))
        self._answered.add(request.operation)

    def _remember(self, schemes: dict[str, LoginPolicy] | None = None) -> dict[str, LoginPolicy]:
        """The ways to log in that this process knows of this camera and user; `schemes` are put in their place."""
        if self._user is None or self._password is None:
            return {}
        secret = hashlib.sha256(self._password.encode()).digest()[:8]
        key = (self.place.host, self.place.port, self._user, secret)
        with _remembering:
            if schemes is not None:
                _remembered.pop(key, None)
                if schemes:
                    _remembered[key] = dict(schemes)
                while len(_remembered) > MEMORY:
                    del _remembered[next(iter(_remembered))]
            return dict(_remembered.get(key, {}))

    def _told_why(self, answer: Answer) -> None:
        """Raises where the camera says that no login of any kind will do."""
        said = answer.body[:4096].lower()
        if b"activat" in said or b"not initialized" in said:
            self._refused = f"`{self.who}` is factory-new and must be activated first"
            raise DeviceRefusedError(self._refused, hint=self.policies.activation or _ACTIVATION)

    def _no(
        self, place: Place, login: LoginPolicy, answer: Answer, request: wsdl.Request | None = None
    ) -> DeviceRefusedError:
        """What a camera's no to a login means: that this user may not ask this, or that the login is wrong."""
        said = answer.body[:4096].lower()
        if b"password must" in said or b"password change" in said or b"change the password" in said:
            # The login is right, and good for one thing: choosing another password.
            return DeviceRefusedError(
                f"`{self.who}` wants user `{self._user}` to choose another password first",
                hint="in its web pages, or `edusense camera rotate-password`",
            )
        self._told_why(answer)
        proven = any(way is login for _, way in self._proven) and request is not None
        if request is not None and (_prohibited(answer) or (proven and request.operation not in self._answered)):
            return DeviceRefusedError(
                f"`{self.who}` does not let user `{self._user}` ask {request.operation}",
                hint="give the user a higher level in the camera's web pages: operator or administrator",
            )
        self._remember({})
        way = "HTTP Digest" if login is LoginPolicy.DIGEST else "UsernameToken"
        if b"lock" in said and b"clock" not in said:
            self._refused = f"`{self.who}` has locked the account of user `{self._user}`"
            hint = "it opens after some minutes; nothing more was tried"
            return DeviceRefusedError(self._refused, hint=hint)
        self._refused = f"`{self.who}` refuses user `{self._user}` or the password ({way})"
        return DeviceRefusedError(
            self._refused,
            hint="cameras keep ONVIF users apart from web users; nothing more was tried, since cameras lock accounts",
        )

    def _not_twice(self) -> None:
        if self._refused is not None:
            raise DeviceRefusedError(
                f"{self._refused}: not tried again",
                hint="mend user or password; a camera that locked the account lets it in again after some minutes",
            )

    def prove_login(self) -> None:
        """Asks what only an administrator may: some cameras let a wrong password through everywhere else.

        Raises:
            DeviceRefusedError: it refuses.
        """
        with self._lock:
            proven, self._proven = self._proven, set()  # what was answered so far proves nothing about the password
            try:
                found = self._ask("device", "GetUsers", False, {})
                asked = bool(self._proven)
            finally:
                self._proven |= proven
        if not asked and not isinstance(found, soap.SoapFault):
            raise DeviceRefusedError(
                f"`{self.who}` tells its users to everybody, without a login",
                hint="switch authentication on in its web pages: whoever is in its network can change it",
            )
        if isinstance(found, soap.SoapFault):
            raise DeviceRefusedError(f"`{self.who}` does not tell its users: {found}")

    def _post(
        self,
        place: Place,
        request: wsdl.Request,
        login: LoginPolicy | None,
        header: list[etree._Element] | None = None,
    ) -> Answer:
        envelope = request.envelope
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{request.action}"'}
        if login is LoginPolicy.TOKEN or header:
            envelope = copy.deepcopy(envelope)
            head = soap.child(envelope, "Header")
            if head is None:
                head = etree.Element(f"{{{_ENVELOPE}}}Header")
                envelope.insert(0, head)
            head.extend(copy.deepcopy(one) for one in header or ())
            if login is LoginPolicy.TOKEN:
                assert self._user is not None
                assert self._password is not None
                head.append(auth.token(self._user, self._password, self._clock() + self.offset_s()))
        digest = self._digests.get(_key(place)) if login is LoginPolicy.DIGEST else None
        document = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        answer = self._carry("POST", place, document, headers, digest, ANSWER_LIMIT)
        if self._date_offset_s is None and (said := next(iter(answer.all("date")), None)):
            self._date_offset_s = _date_of(said, self._clock())
        return answer

    def fetch(self, url: str) -> bytes:
        """Gets a picture by HTTP, with Digest where the camera wants it; where it refuses that for an address with a
        user or password in it, once more without these.

        Args:
            url: its address, as `raw_address` gave it.

        Raises:
            DeviceRefusedError: user or password are refused, or only Basic is offered, which would show the password.
            DeviceProtocolError: there is no such picture.
        """
        bare = addresses.without_secrets(url)
        with self._lock:
            given = bare if self.policies.picture is PicturePolicy.BARE else addresses.without_user(url)
            place = Place.of(given)
            digest = self._digests.get(_key(place))
            answer = self._get(place, digest)
            if answer.status == 401:
                if given != bare:
                    place = Place.of(bare)
                    answer = self._get(place, None)
                answer = self._get_with_login(place, answer) if answer.status == 401 else answer
            if answer.status in (401, 403):
                if self._proven:
                    # Of the picture alone: web users are often others than those of ONVIF (quirk 32).
                    raise DeviceRefusedError(
                        f"`{self.who}` refuses user `{self._user}` its picture, and nothing else",
                        hint="give that user a right to the camera's web pages; its streams are not concerned",
                    )
                raise self._no(place, LoginPolicy.DIGEST, answer)
            if answer.status != 200:
                raise DeviceProtocolError(f"`{self.who}` gives no picture: {answer.describe()}")
            return answer.body

    def _get_with_login(self, place: Place, answer: Answer) -> Answer:
        found = auth.challenges(answer.all("www-authenticate"))
        offered = auth.Digest.best(found)
        if self._user is None or self._password is None:
            raise DeviceRefusedError(f"`{self.who}` wants a user and password for its picture")
        self._not_twice()
        if offered is None:
            ways = ", ".join(sorted({one.scheme for one in found})) or "no other way"
            raise DeviceRefusedError(
                f"`{self.who}` offers no Digest for its picture but {ways}", hint="switch Digest on in its web pages"
            )
        digest = self._digests[_key(place)] = auth.Digest(offered, self._user, self._password)
        return self._get(place, digest)

    def _get(self, place: Place, digest: auth.Digest | None) -> Answer:
        return self._carry("GET", place, None, {}, digest, PICTURE_LIMIT)

    def _carry(
        self,
        method: str,
        place: Place,
        body: bytes | None,
        headers: dict[str, str],
        digest: auth.Digest | None,
        limit: int,
    ) -> Answer:
        authorize = None if digest is None else partial(digest.header, method, place.target)
        return self._wire(place).exchange(
            method, place.target, body, headers, self._deadline(), limit, authorize=authorize
        )

    def _wire(self, place: Place) -> Wire:
        key = _key(place)
        if key not in self._wires:
            legacy = self.policies.tls is TlsPolicy.LEGACY
            self._wires[key] = Wire(place, Trust(self._certificate, legacy=legacy))
        return self._wires[key]

    def _deadline(self) -> Deadline:
        return Deadline(self._timeout_s + self._patience_s, clock=self._monotonic, outer=self._visit)

    # --- clock -------------------------------------------------------------------------------------------------------

    def clock(self) -> CameraClock:
        """The camera's clock, asked now and without login."""
        with self._lock:
            answer = self.call("device", "GetSystemDateAndTime", anonymous=True)
            self._clock_read = read_clock(answer, self._clock())
            return self._clock_read

    def offset_s(self) -> float:
        """The camera's clock minus ours; 0 where it does not tell, or only to those who are logged in."""
        if self.policies.clock is ClockPolicy.OURS:
            return 0.0
        if self._clock_read is None:
            self._clock_read = read_clock(None, self._clock())  # so that a camera that wants a login for this ends here
            answer = self.call_if_known("device", "GetSystemDateAndTime", anonymous=True)
            self._clock_read = read_clock(answer, self._clock())
        # Where its clock is not told, every HTTP answer may be dated (RFC 9110, 6.6.1).
        return self._clock_read.offset_s or self._date_offset_s or 0.0

    # --- addresses ---------------------------------------------------------------------------------------------------

    def address_of(self, namespace: str) -> str:
        """Where a service is, as GetServices tells, else GetCapabilities; mended.

        A camera that tells neither is asked at its device service: most look at the question, not at the path.
        """
        with self._lock:
            if self._services is None:
                self._services = self._find_services()
            return self._services.get(namespace, self.place.url)

    def _find_services(self) -> dict[str, str]:
        found: dict[str, str] = {}
        answer = self.call_if_known("device", "GetServices", anonymous=True, IncludeCapability=False)
        for service in soap.children(answer, "Service"):
            namespace, address = soap.text(service, "Namespace"), soap.text(service, "XAddr")
            if namespace and address:
                found[namespace] = self.repair(address)
        if not found:
            answer = self.call_if_known("device", "GetCapabilities", anonymous=True, Category="All")
            media = soap.text(answer, "Capabilities", "Media", "XAddr")
            if media:
                found[wsdl.namespace_of("media")] = self.repair(media)
        found[_DEVICE] = self.place.url
        return found

    def repair(self, address: str) -> str:
        """An http address that the camera gave, made one that we can reach: `addresses.repair`."""
        return addresses.repair(address, self.place, ours=self.policies.address is AddressPolicy.OURS)

    def repair_stream(self, address: str) -> str:
        """An rtsp address that the camera gave, likewise: `addresses.repair_stream`."""
        return addresses.repair_stream(address, self.place, ours=self.policies.address is AddressPolicy.OURS)


def _key(place: Place) -> tuple[str, str, int]:
    return place.scheme, place.host, place.port


def _wants_login(answer: Answer) -> bool:
    """Whether an answer is about the login: by status, by the fault's code, or by its words (no code is reliable)."""
    if answer.status in (401, 403):
        return True
    if b"Fault" not in answer.body:
        return False
    try:
        found = soap.body_of(answer, "", "")
    except DeviceProtocolError:
        return False
    return isinstance(found, soap.SoapFault) and found.about_login


def _stale(answer: Answer) -> bool:
    found = auth.challenges(answer.all("www-authenticate"))
    return any(one.parameters.get("stale", "").lower() == "true" for one in found)


def _prohibited(answer: Answer) -> bool:
    """Whether the login is right and the user may not ask this (ONVIF Core 5.9.4.3)."""
    return b"OperationProhibited" in answer.body


def _date_of(said: str, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(said).timestamp() - now_s
    except (TypeError, ValueError, OverflowError):
        return None
