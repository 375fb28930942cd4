"""What the checks of a centre speak to it with: requests that are signed as they should be, and others on purpose."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import secrets
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, ClassVar, Final

from edusense.alerts.case import ANSWERS
from edusense.alerts.heartbeat import heartbeat
from edusense.alerts.https_json import given_answer
from edusense.alerts.messages import FORMAT, local_time
from edusense.alerts.signing import sign
from edusense.alerts.web import EXCHANGE_S, Web
from edusense.checks import CheckFailed
from edusense.errors import DestinationRefusedError, UsageError
from edusense.site.fields import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edusense.alerts.destination import Settings
    from edusense.alerts.web import Answer

__all__ = [
    "STRANGER",
    "CentreRig",
    "CheckSkipped",
    "json_of",
    "of_json",
    "of_piece",
    "offset_of",
    "said",
]

MOST_ANSWERS: Final = 1000
"""A box takes no longer list."""
STRANGER: Final = frozenset({401, 403})
"""How a signature or a school that is not to be believed is refused."""
_NOT_A_CENTRE: Final = {
    401: "is the secret the one that the centre knows?",
    403: "does the centre know this user, and does it sign for this school?",
    404: "is the address right?",
    405: "is the address right?",
}


class CheckSkipped(Exception):  # noqa: N818 - it is no error of ours
    """A check cannot be made here; the message says why."""


class CentreRig:
    """A centre, and a school that it is tried with.

    Args:
        settings: as of a destination; without user and password requests are not signed.
        within_s: longest wait for an answer, seconds.

    Raises:
        DestinationRefusedError: the URL is none.
        UsageError: nobody signs, and the centre is not on this machine.
    """

    LONGER_S: ClassVar[float] = 15.0
    """How much longer than it was asked to wait a centre may take to answer, as a box has it."""

    def __init__(self, settings: Settings, *, within_s: float = EXCHANGE_S) -> None:
        self.settings, self.within_s = settings, within_s
        self._web = Web(settings)
        self._bare = Web(dataclasses.replace(settings, user=None, password=None))
        parts = urllib.parse.urlsplit(settings.url or "")
        self.host, self._path = parts.hostname or "", parts.path.rstrip("/")
        self.in_clear = parts.scheme == "http"
        self.nearby = is_loopback(self.host)
        self.signs = settings.user is not None and settings.password is not None
        if not self.signs and not self.nearby:
            raise UsageError(
                f"`{self.host}` is another machine, and a centre takes nothing there that is not signed",
                hint="--user NAME --password-from env:NAME or file:PATH",
            )

    @property
    def school(self) -> str:
        """The school's id."""
        return str(self.settings.school["id"])

    def case(self) -> str:
        """A case that no centre has heard of."""
        return f"check-{secrets.token_hex(8)}"

    def message(self, case: str, sequence: int = 1, **more: Any) -> dict[str, Any]:
        """A message as a box sends it, marked as a test."""
        now_s = round(time.time(), 3)
        told: dict[str, Any] = {
            "format": FORMAT,
            "type": "alert" if sequence == 1 else "update",
            "key": f"{case}/{sequence}",
            "case": case,
            "sequence": sequence,
            "status": "test",
            "school": dict(self.settings.school),
            "severity": "minor",
            "state": "new",
        }
        if sequence == 1:
            told |= {
                "finding": "test",
                "confidence": 1.0,
                "place": {"camera": "edusense-check", "zone": None, "room": None},
                "start": local_time(now_s, self.settings.timezone),
                "start_s": now_s,
                "clock_error_s": 0.5,
                "opened_s": now_s,
                "boxes": [],
                "rule": {"name": "edusense-alerts-check", "version": "1"},
                "text": "edusense alerts check: сынақ, проверка, a test",
            }
        else:
            told |= {"what": "again", "at_s": now_s, "count": sequence, "last_s": now_s}
        return told | more

    def beat(self, at_s: float, *, school: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A heartbeat of a box that has no cameras, marked as a test; `school` is another than ours."""
        told = heartbeat(
            (),
            school=school or self.settings.school,
            timezone=self.settings.timezone,
            now_s=at_s,
            waiting={"messages": 0},
        )
        return told | {"status": "test"}

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        web: Web | None = None,
        within_s: float = 0.0,
    ) -> Answer:
        """One request and its answer.

        Args:
            method: of HTTP.
            path: below the centre's URL.
            body: of the request.
            headers: beside those that sign it.
            web: what it is sent by; by default what signs as it should.
            within_s: longer than always.
        """
        return (web or self._web).request(
            method, path, body=body, headers=headers, within_s=max(within_s, self.within_s)
        )

    def post(self, told: Mapping[str, Any], path: str = "", *, web: Web | None = None) -> Answer:
        """Sends a message."""
        return self.ask("POST", path, json_of(told), of_json(told), web=web)

    def kept(self, told: Mapping[str, Any], path: str = "") -> Answer:
        """Sends a message that has to be kept.

        Raises:
            CheckFailed: it is not, or the answer does not say so.
        """
        answer = self.post(told, path)
        if not 200 <= answer.status < 300:
            raise CheckFailed(f"`{told['key']}` was not taken: {said(answer)}")
        if (key := answer.told.get("key")) != told["key"]:
            what = "no key" if key is None else f"the key `{shown(str(key))}`"
            raise CheckFailed(f"{answer.status} with {what}, where `{told['key']}` was sent: {said(answer)}")
        return answer

    def signed(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, created: int | None = None
    ) -> dict[str, str]:
        """The headers of a request with those that sign it, for requests that are changed afterwards.

        Args:
            method: of HTTP.
            path: below the centre's URL.
            body: of the request.
            headers: beside those that sign it.
            created: when it was signed, Unix seconds; now by default.
        """
        assert self.settings.user is not None
        assert self.settings.password is not None
        return {**headers} | sign(
            method,
            f"{self._path}{path}" or "/",
            headers,
            body,
            key_id=self.settings.user,
            secret=self.settings.password.encode(),
            created=int(time.time()) if created is None else created,
        )

    def as_it_is(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends a request without signing it: with headers of `signed`, or with none."""
        return self.ask(method, path, body, headers, web=self._bare)

    def piece(
        self, case: str, content: bytes, offset: int, size: int, *, name: str = "still", sha256: str | None = None
    ) -> Answer:
        """Sends a piece of a file.

        Args:
            case: the case.
            content: the whole file.
            offset: where the piece begins.
            size: its bytes.
            name: `still` or `clip`.
            sha256: the whole file's, where another one is to be told.
        """
        headers = of_piece(case, content, offset, name) | ({} if sha256 is None else {"Upload-Sha256": sha256})
        return self.ask("PATCH", f"/cases/{case}/{name}", content[offset : offset + size], headers)

    def taken(self, case: str, content: bytes, offset: int, size: int, *, name: str = "still") -> None:
        """Sends a piece that has to be taken.

        Raises:
            CheckFailed: it is not, or the answer tells another offset than there must be.
        """
        answer = self.piece(case, content, offset, size, name=name)
        where = f"the piece of {size} bytes at {offset}"
        if not 200 <= answer.status < 300:
            raise CheckFailed(f"{where} was not taken: {said(answer)}")
        if (have := offset_of(answer)) != offset + size:
            raise CheckFailed(f"{where} was taken with Upload-Offset {have}, and it ends at {offset + size}")

    def there(self, case: str, name: str = "still") -> int:
        """How much of a file the centre says that it has; 0 where it knows of none.

        Raises:
            CheckFailed: it says neither.
        """
        answer = self.ask("HEAD", f"/cases/{case}/{name}")
        if answer.status == 404:
            return 0
        if not 200 <= answer.status < 300:
            raise CheckFailed(f"HEAD was answered with {answer.status}")
        return offset_of(answer)

    def known(self) -> str:
        """A new case that the centre has a message of."""
        case = self.case()
        self.kept(self.message(case))
        return case

    def answers(self, query: Mapping[str, str], *, wait_s: float = 0.0) -> tuple[list[dict[str, Any]], str]:
        """Asks for answers.

        Returns:
            The answers and the cursor.

        Raises:
            CheckFailed: it is no list of answers.
        """
        told = {"school": self.school, "after": "", "wait": f"{wait_s:.0f}"} | dict(query)
        answer = self.ask("GET", f"/answers?{urllib.parse.urlencode(told)}", within_s=wait_s + self.LONGER_S)
        if not 200 <= answer.status < 300:
            raise CheckFailed(f"a question for answers was refused: {said(answer)}")
        listed, cursor = answer.told.get("answers"), answer.told.get("cursor")
        if not isinstance(listed, list) or isinstance(cursor, bool) or not isinstance(cursor, (str, int)):
            raise CheckFailed(f"no list `answers` with a `cursor`: {said(answer)}")
        if len(listed) > MOST_ANSWERS:
            raise CheckFailed(f"{len(listed)} answers in one list: a box takes at most {MOST_ANSWERS}")
        for one in listed:
            try:
                given = given_answer(one)
            except ValueError as error:
                raise CheckFailed(f"{error}: {shown(json.dumps(one))}") from error
            if given.answer not in ANSWERS:
                raise CheckFailed(f"an answer is one of {', '.join(ANSWERS)}, and not `{shown(given.answer)}`")
        return listed, str(cursor)

    @contextlib.contextmanager
    def another(self, **change: Any) -> Iterator[Web]:
        """A connection of somebody else.

        Args:
            change: of the settings.
        """
        with contextlib.closing(Web(dataclasses.replace(self.settings, **change))) as web:
            yield web

    def close(self) -> None:
        """Closes connections."""
        self._web.close()
        self._bare.close()

    def reach(self) -> None:
        """Tries whether a centre is there at all, which takes us for who we are.

        Raises:
            DestinationUnavailableError: nothing answers.
            DestinationRefusedError: what answers is no centre, or does not know us: no check would say more.
        """
        answer = self.post(self.message(self.case()))
        if answer.status in _NOT_A_CENTRE:
            hint = _NOT_A_CENTRE[answer.status]
            if not self.signs and answer.status in STRANGER:
                hint = "it asks for a signature: --user NAME --password-from env:NAME or file:PATH"
            name = f"{self.settings.what} `{self.settings.id}`"
            raise DestinationRefusedError(f"{name} answered a message with {said(answer)}", hint=hint)

    def must_sign(self) -> None:
        """Skips a check of signatures where there are none.

        Raises:
            CheckSkipped: nobody signs here.
        """
        if not self.signs:
            raise CheckSkipped("no secret was given: this centre is on this machine, and is tried without signatures")


def json_of(told: Mapping[str, Any]) -> bytes:
    """A message as bytes."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def of_json(told: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a message."""
    return {"Content-Type": "application/json", "Idempotency-Key": str(told["key"])}


def of_piece(case: str, content: bytes, offset: int, name: str) -> dict[str, str]:
    """The headers of a piece of a file."""
    return {
        "Content-Type": "application/offset+octet-stream",
        "Idempotency-Key": f"{case}/{name}/{offset}",
        "Upload-Offset": str(offset),
        "Upload-Length": str(len(content)),
        "Upload-Media-Type": "image/jpeg" if name == "still" else "video/mp4",
        "Upload-Sha256": hashlib.sha256(content).hexdigest(),
    }


def offset_of(answer: Answer) -> int:
    """What an answer tells in Upload-Offset.

    Raises:
        CheckFailed: nothing that is a number of bytes.
    """
    text = answer.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise CheckFailed(f"{answer.status} with `{shown(text)}` where Upload-Offset belongs")
    return int(text)


def said(answer: Answer) -> str:
    """What a centre answered, as it may stand on a terminal."""
    because = answer.told.get("message")
    text = because if isinstance(because, str) else answer.body[:200].decode("utf-8", "replace")
    return f"{answer.status}" + (f", {shown(text)}" if text.strip() else "")


def shown(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.strip()[:120])
