"""What the checks of a hub speak to it with: plain HTTP requests, and a new terminal for each check."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edusense.checks import CheckFailed
from edusense.errors import HubRefusedError, HubUnavailableError
from edusense.meals.hub_contract.plain import Acknowledged, Tape, header_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Answer", "HubRig", "expect"]

ANSWER_LIMIT: Final = 16 << 20


def expect(holds: bool, message: str) -> None:
    """Fails a check unless something holds.

    Raises:
        CheckFailed: it does not.
    """
    if not holds:
        raise CheckFailed(message)


@dataclass(frozen=True)
class Answer:
    """What a hub answered.

    Attributes:
        status: of HTTP.
        body: as it came.
    """

    status: int
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """Its JSON object; empty where it is none."""
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}

    def __str__(self) -> str:
        return f"{self.status} {self.body[:200].decode('utf-8', 'replace')}"


@dataclass
class HubRig:
    """A hub, a school that it may be tried with, and that school's key.

    Attributes:
        url: where the hub is.
        school: number of a school that is there for nothing else: records of it are made up.
        key: what the school signs with; a hub that does not trust a first key has to know its public half.
        token: what the hub asks for.
        ca: a file of certificates that are trusted instead of this machine's.
        timeout_s: longest wait for an answer.
    """

    url: str
    school: int
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    timeout_s: float = 30.0

    def tape(self) -> Tape:
        """A terminal that no hub has heard of."""
        return Tape(self.school, secrets.randbelow(2**31) + 2**30)

    def pupil(self) -> int:
        """A child that nobody has heard of."""
        return secrets.randbelow(2**60)

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection of its own.

        Raises:
            HubUnavailableError: there is none.
        """
        parts = urlsplit(self.url)
        made: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            made = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=self.timeout_s, context=context
            )
        else:
            made = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.timeout_s)
        with contextlib.closing(made):
            yield made

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What every request carries."""
        own = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return own | dict(more or {})

    def path(self, path: str) -> str:
        """The path of a request below the hub's address."""
        return urlsplit(self.url).path.rstrip("/") + path

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request and its answer.

        Raises:
            HubUnavailableError: it came to nothing.
        """
        with self.connection() as connection:
            try:
                connection.request(method, self.path(path), body=body, headers=self.headers(headers))
                response = connection.getresponse()
                return Answer(response.status, response.read(ANSWER_LIMIT))
            except ssl.SSLCertVerificationError as error:
                raise HubRefusedError(f"`{self.url}`: its certificate is not to be trusted: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                raise HubUnavailableError(f"`{self.url}`: {error}", hint="is the hub there?") from error

    def post(self, batch: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Sends a batch."""
        return self.ask("POST", "/batches", batch, {"Content-Type": "application/octet-stream", **(headers or {})})

    def taken(self, batch: bytes, tape: Tape, last: int, *, new: int | None = None) -> dict[str, Any]:
        """Sends a batch that has to be taken, and holds the acknowledgement against what the terminal wrote.

        Args:
            batch: sent.
            tape: what the terminal wrote.
            last: the sequence that has to be acknowledged.
            new: how many records have to be new; None for any.
        """
        answer = self.post(batch)
        expect(answer.status == 200, f"records {header_of(batch)[3:]} were not taken: {answer}")
        self.acknowledged(answer.told, tape, last)
        if new is not None:
            expect(answer.told.get("new") == new, f"{answer.told.get('new')} records were new, and not {new}")
        return answer.told

    def acknowledged(self, told: Mapping[str, Any], tape: Tape, last: int) -> None:
        """Holds the acknowledgement in an answer against what a terminal wrote."""
        try:
            found = Acknowledged.decode(bytes.fromhex(str(told.get("acknowledgement"))))
        except ValueError as error:
            raise CheckFailed(f"what it answered has no signed acknowledgement: {error}") from error
        expect(found.key.hex() == self.hub_key(), "the acknowledgement is not signed with the hub's key")
        expect(found.is_of(tape, last), f"it acknowledges {found}, and not records 1 to {last} as they were written")

    def refused(self, batch: bytes, status: int, code: str) -> dict[str, Any]:
        """Sends a batch that has to be refused, with this status and code."""
        answer = self.post(batch)
        expect(
            answer.status == status and answer.told.get("error") == code,
            f"wanted {status} `{code}`, and it answered {answer}",
        )
        expect(bool(answer.told.get("message")), "a refusal has a `message` for people")
        return answer.told

    def hub_key(self) -> str:
        """The hub's public key, in hex."""
        return str(self.ask("GET", "/").told.get("key"))

    def line(self, tape: Tape) -> dict[str, Any] | None:
        """What the hub says that it holds of a tape's epoch; None for nothing."""
        answer = self.ask("GET", f"/schools/{self.school}/{tape.terminal}/{tape.epoch:08x}")
        expect(answer.status in (200, 404), f"asked for an epoch, it answered {answer}")
        return answer.told if answer.status == 200 else None

    def lines(self, *, newest: bool = False) -> list[dict[str, Any]]:
        """What the hub says that it holds of the school: every epoch, or each terminal's newest."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            more = "&newest=true" if newest else ""
            answer = self.ask("GET", f"/schools/{self.school}?after={after}{more}")
            expect(answer.status == 200, f"asked for epochs, it answered {answer}")
            found += answer.told.get("lines", [])
            following = answer.told.get("next")
            if following is None:
                return found
            expect(isinstance(following, int) and following > after, f"`next` is {following} after {after}")
            after = following

    def meals(self, pupil: int, day: int = 20_261_005) -> list[dict[str, Any]]:
        """What the hub says of a child's meals on a day."""
        answer = self.ask("GET", f"/schools/{self.school}/meals?day={day}")
        expect(answer.status == 200, f"asked for meals, it answered {answer}")
        return [meal for meal in answer.told.get("meals", []) if meal.get("pupil") == pupil]

    def cases(self, kind: str, terminal: int) -> list[dict[str, Any]]:
        """The hub's cases of one kind that name a terminal."""
        answer = self.ask("GET", f"/cases?school={self.school}")
        expect(answer.status == 200, f"asked for cases, it answered {answer}")
        return [
            case for case in answer.told.get("cases", []) if case["kind"] == kind and case.get("terminal") == terminal
        ]

    def raw(self) -> socket.socket:
        """A connection for bytes that no library would send; only without TLS."""
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=self.timeout_s)
