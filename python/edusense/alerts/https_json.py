"""`https-json`: signed JSON over HTTPS, stills and clips in resumable pieces, answers fetched by waiting for them.

```text
POST  URL                          a message; the answer repeats its key
HEAD  URL/cases/CASE/NAME          how much of a still or clip is there: Upload-Offset
PATCH URL/cases/CASE/NAME          the next piece, from Upload-Offset on
GET   URL/answers?school=ID&after=C&wait=S   answers after a cursor, as soon as there is one
POST  URL/heartbeat                the box's state
```

The offsets are those of resumable uploads as tus 1.0 has them. docs/reference/alerts.md is the whole contract, and
whoever builds a centre keeps to it.
"""

from __future__ import annotations

import json
import logging
import re
import urllib.parse
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from edusense.alerts.destination import Answers, Destination, GivenAnswer
from edusense.alerts.web import Web
from edusense.errors import DestinationRefusedError, DestinationUnavailableError, MessageRefusedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from edusense.alerts.destination import Settings
    from edusense.alerts.outbox import Attachment
    from edusense.alerts.web import Answer

__all__ = ["RANGE", "HttpsJson", "given_answer"]

logger = logging.getLogger(__name__)

RANGE: Final = 256 << 10
"""Bytes of a clip that go in one request: what is lost when the link breaks in its middle."""
_MESSAGE_REFUSED: Final = frozenset({400, 409, 413, 415, 422})
_LATER: Final = frozenset({408, 425, 429})
_MOST_ANSWERS: Final = 1000
_LONGEST_TEXT: Final = 500
_LATEST_S: Final = 1e15
"""No clock tells a later time; neither does what is no number."""
_HALF: Final = re.compile("[\ud800-\udfff]")


class HttpsJson(Destination):
    """A centre that speaks the contract of docs/reference/alerts.md."""

    URLS: ClassVar[tuple[str, ...]] = ("https", "http")
    ATTACHMENTS: ClassVar[tuple[str, ...]] = ("still", "clip")
    ANSWERS: ClassVar[bool] = True
    HEARTBEATS: ClassVar[bool] = True
    LANES: ClassVar[int] = 3

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._web = Web(settings)

    def send(self, message: Mapping[str, Any], still: Attachment | None = None) -> None:
        """Posts a message; taken when the answer repeats its key."""
        self._post("", message)

    def heartbeat(self, message: Mapping[str, Any]) -> None:
        """Posts the box's state."""
        self._post("/heartbeat", message)

    def _post(self, path: str, message: Mapping[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": message["key"]}
        answer = self._web.request("POST", path, body=body, headers=headers)
        if not 200 <= answer.status < 300:
            self._refused(answer)
        # A proxy's or a portal's "200" is not a centre's: only who has read the message knows its key.
        told = answer.told
        if told.get("key") != message["key"]:
            raise DestinationRefusedError(
                f"destination `{self.settings.id}` answered {answer.status}, and not as a centre does",
                hint="it must repeat the message's `key`; is another server or a portal at that address?",
            )

    def attach(self, attachment: Attachment, stopping: threading.Event) -> None:
        """Sends what the centre has not yet of a still or clip."""
        path = f"/cases/{urllib.parse.quote(attachment.case, safe='')}/{attachment.name}"
        offset = 0
        # Of a small file asking would take longer than sending.
        if attachment.size > RANGE:
            answer = self._web.request("HEAD", path)
            if answer.status != 404:
                self._well(answer)
                offset = self._offset(answer, attachment)
        stuck = 0
        while offset < attachment.size:
            if stopping.is_set():
                raise DestinationUnavailableError(f"destination `{self.settings.id}`: the box stops")
            before = offset
            offset = self._piece(path, attachment, offset)
            stuck = stuck + 1 if offset <= before else 0
            if stuck > 3:
                raise DestinationUnavailableError(
                    f"destination `{self.settings.id}` takes no more than {offset} bytes of {attachment.key}"
                )

    def _piece(self, path: str, attachment: Attachment, offset: int) -> int:
        try:
            piece = attachment.read(offset, RANGE)
        except OSError as error:
            raise MessageRefusedError(f"the file of {attachment.key} is gone: {error.strerror}") from error
        if not piece:
            raise MessageRefusedError(f"the file of {attachment.key} is shorter than it was")
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Idempotency-Key": f"{attachment.key}/{offset}",
            "Upload-Offset": str(offset),
            "Upload-Length": str(attachment.size),
            "Upload-Media-Type": attachment.media_type,
            "Upload-Sha256": attachment.sha256,
        }
        answer = self._web.request("PATCH", path, body=piece, headers=headers)
        if answer.status == 409 and "upload-offset" in answer.headers:
            # It has more, or less, than we thought: an answer was lost, or the centre was put back.
            return self._offset(answer, attachment)
        self._well(answer)
        return self._offset(answer, attachment)

    def _offset(self, answer: Answer, attachment: Attachment) -> int:
        text = answer.headers.get("upload-offset", "")
        if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= attachment.size):
            raise DestinationRefusedError(
                f"destination `{self.settings.id}` says `{text[:40]}` where Upload-Offset belongs",
                hint="docs/reference/alerts.md tells what a centre must do",
            )
        return int(text)

    def answers(self, cursor: str | None, wait_s: float) -> Answers:
        """Waits for answers."""
        school = str(self.settings.school["id"])
        query = urllib.parse.urlencode({"school": school, "after": cursor or "", "wait": f"{wait_s:.0f}"})
        answer = self._web.request("GET", f"/answers?{query}", within_s=wait_s + 15.0)
        self._well(answer)
        told = answer.told
        listed, after = told.get("answers"), told.get("cursor")
        if not isinstance(listed, list) or not _is_cursor(after) or len(listed) > _MOST_ANSWERS:
            raise DestinationRefusedError(
                f"destination `{self.settings.id}` answered no list of answers",
                hint="docs/reference/alerts.md tells what a centre must do",
            )
        given = []
        for entry in listed:
            try:
                given.append(given_answer(entry))
            except ValueError as error:
                logger.warning("alerts: destination=%s: an answer is left out: %s", self.settings.id, error)
        return Answers(tuple(given), str(after)[:200] if listed else None)

    def interrupt(self) -> None:
        """Ends what waits in another thread."""
        self._web.interrupt()

    def close(self) -> None:
        """Closes the connection."""
        self._web.close()

    def _well(self, answer: Answer) -> None:
        if not 200 <= answer.status < 300:
            self._refused(answer)

    def _refused(self, answer: Answer) -> NoReturn:
        told = answer.told
        because = f": {str(told['message'])[:200]}" if isinstance(told.get("message"), str) else ""
        text = f"destination `{self.settings.id}` answered {answer.status}{because}"
        if answer.status >= 500 or answer.status in _LATER:
            raise DestinationUnavailableError(text, retry_after_s=answer.retry_after_s)
        if answer.status in _MESSAGE_REFUSED:
            raise MessageRefusedError(text)
        hint = {
            401: "is the secret the one that the centre knows?",
            403: "does the centre know this school?",
            404: "is the address right?",
        }.get(answer.status, "docs/reference/alerts.md tells what a centre must do")
        raise DestinationRefusedError(text, hint=hint)


def _is_cursor(value: Any) -> bool:
    return (isinstance(value, int) and 0 <= value < 1 << 63) or (isinstance(value, str) and not _HALF.search(value))


def given_answer(entry: Any) -> GivenAnswer:
    """An answer to a case, as a centre lists it.

    Raises:
        ValueError: it is none; the message says why.
    """
    entry = entry if isinstance(entry, dict) else {}
    texts: dict[str, Any] = {name: entry.get(name) for name in ("id", "case", "answer", "by")}
    for name, text in texts.items():
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
            raise ValueError(f"an answer needs `{name}`, a text of at most {_LONGEST_TEXT} characters")
    at_s, note = entry.get("at_s"), entry.get("note")
    for name, text in (*texts.items(), ("note", note)):
        # Half of a surrogate pair is JSON, and nothing that could be written down.
        if isinstance(text, str) and _HALF.search(text):
            raise ValueError(f"`{name}` of an answer holds half of a character")
    if isinstance(at_s, bool) or not isinstance(at_s, (int, float)) or not abs(at_s) < _LATEST_S:
        at_s = None
    return GivenAnswer(
        **texts,
        at_s=None if at_s is None else float(at_s),
        note=note[:_LONGEST_TEXT] if isinstance(note, str) else None,
    )
