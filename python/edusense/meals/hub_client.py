"""The city's hub as a box speaks to it: `docs/reference/hub.md` over one connection that is kept open."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from edusense.alerts.destination import Settings
from edusense.alerts.web import Web
from edusense.errors import (
    DestinationRefusedError,
    DestinationUnavailableError,
    HubRefusedError,
    HubUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edusense.alerts.web import Answer

__all__ = ["HubClient", "Sent"]

_LATER: Final = frozenset({408, 425, 429})
_OF_THE_BATCH: Final = frozenset({409, 413, 415, 422})
_RECORDS: Final = 1024
"""Records that are asked for at once: 128 kB, which is less than the most that is read of an answer."""
_MOST_PAGES: Final = 10_000


@dataclass(frozen=True)
class Sent:
    """What a hub answered to a batch.

    Attributes:
        code: None where it was taken; `gap`, `fork`, `damaged`, … where not.
        message: why not.
        told: the whole answer.
    """

    code: str | None
    message: str
    told: dict[str, Any] = field(repr=False)


class HubClient:
    """Sends batches and asks what is there.

    Args:
        url: where the hub is.
        token: what it asks for; None where it asks for nothing.
        ca: a file of certificates that are trusted instead of this machine's.
        pace: called with a number of bytes before they are sent; waits until the way out carries them.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca: Path | None = None,
        pace: Callable[[int], None] | None = None,
    ) -> None:
        self.url = url
        self.sent_bytes = 0
        """Bytes of bodies that were sent."""
        self._token, self._pace = token, pace
        self._web = Web(Settings(id=url, school={}, url=url, ca=ca, pace=self._paced, what="hub"))

    def who(self) -> bytes:
        """The hub's public key.

        Raises:
            HubUnavailableError: it cannot be reached, or not now.
            HubRefusedError: it refuses us, or is no hub.
        """
        told = self._told(self._request("GET", "/"))
        try:
            found = bytes.fromhex(str(told["key"]))
        except (KeyError, ValueError):
            found = b""
        if len(found) != 32 or told.get("format") != 1:
            raise HubRefusedError(
                f"`{self.url}` answers, and not as a hub does", hint="is another server or a portal at that address?"
            )
        return found

    def send(self, batch: bytes) -> Sent:
        """Sends a batch; on return the hub has it, or has said why not.

        Raises:
            HubUnavailableError: it cannot be reached, or not now; whether it has it is not known.
            HubRefusedError: it refuses whatever it is sent.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
        answer = self._request("POST", "/batches", gzip.compress(batch, 9, mtime=0), headers)
        told = _object(answer)
        message = str(told.get("message", ""))[:300]
        if answer.status in _OF_THE_BATCH and isinstance(told.get("error"), str):
            return Sent(told["error"], message, told)
        return Sent(None, message, self._told(answer))

    def lines(self, school: int, *, newest: bool = False) -> Iterator[dict[str, Any]]:
        """What the hub has of a school: every epoch of every terminal, or each terminal's newest; raises as `who`."""
        after = 0
        for _ in range(_MOST_PAGES):
            told = self._told(
                self._request("GET", f"/schools/{school}?after={after}" + ("&newest=true" if newest else ""))
            )
            found, following = told.get("lines"), told.get("next")
            if not isinstance(found, list):
                raise HubRefusedError(f"`{self.url}` answered no list of epochs", hint="`edusense meals check-hub`")
            yield from (line for line in found if isinstance(line, dict))
            if not isinstance(following, int) or following <= after:
                return
            after = following

    def ranges(self, school: int, terminal: int, epoch: int, size: int) -> list[dict[str, Any]]:
        """Totals of stretches of an epoch; raises as `who`."""
        path = f"/schools/{school}/{terminal}/{epoch:08x}/ranges?size={size}"
        found = self._told(self._request("GET", path)).get("ranges")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def records(self, school: int, terminal: int, epoch: int, first: int, last: int) -> bytes:
        """Records of an epoch, both ends included, 128 bytes each; fewer where the hub has or gives fewer.

        Raises:
            HubUnavailableError: as `who`.
            HubRefusedError: as `who`.
        """
        found = []
        while first <= last:
            stop = min(last, first + _RECORDS - 1)
            path = f"/schools/{school}/{terminal}/{epoch:08x}/records?first={first}&last={stop}"
            answer = self._request("GET", path)
            if not 200 <= answer.status < 300:
                self._refused(answer)
            if not answer.body or len(answer.body) % 128:
                break
            found.append(answer.body)
            first += len(answer.body) // 128
        return b"".join(found)

    def cases(self, school: int | None = None) -> list[dict[str, Any]]:
        """What does not add up at the hub, of a school or of all; raises as `who`."""
        found = self._told(self._request("GET", "/cases" + ("" if school is None else f"?school={school}"))).get(
            "cases"
        )
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def evidence(self, case: int, piece: int) -> bytes:
        """A signed batch that a case rests on, as it came; raises as `who`."""
        answer = self._request("GET", f"/cases/{case}/evidence/{piece}")
        if not 200 <= answer.status < 300:
            self._refused(answer)
        return answer.body

    def close_case(self, case: int, decision: str, *, by: str, why: str = "") -> dict[str, Any]:
        """Writes down what somebody decided about a case; returns the case.

        Args:
            case: its number.
            decision: `count` or `leave-out`.
            by: who decided.
            why: more words.

        Raises:
            HubUnavailableError: as `who`.
            HubRefusedError: as `who`; there is no such case, or somebody decided otherwise before.
        """
        told = json.dumps({"decision": decision, "by": by, "why": why}).encode()
        return self._told(self._request("POST", f"/cases/{case}", told, {"Content-Type": "application/json"}))

    def interrupt(self) -> None:
        """Ends what waits in another thread."""
        self._web.interrupt()

    def close(self) -> None:
        """Closes the connection; the next request makes another."""
        self._web.close()

    def _request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        own = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            return self._web.request(method, path, body=body, headers=own | (headers or {}))
        except DestinationUnavailableError as error:
            raise HubUnavailableError(str(error), hint=error.hint) from error
        except DestinationRefusedError as error:
            raise HubRefusedError(str(error), hint=error.hint) from error

    def _told(self, answer: Answer) -> dict[str, Any]:
        if not 200 <= answer.status < 300:
            self._refused(answer)
        return _object(answer)

    def _refused(self, answer: Answer) -> NoReturn:
        because = str(_object(answer).get("message", ""))[:300]
        text = f"hub `{self.url}` answered {answer.status}" + (f": {because}" if because else "")
        if answer.status >= 500 or answer.status in _LATER:
            raise HubUnavailableError(text, retry_after_s=answer.retry_after_s)
        hint = {
            401: "is `token` under [hub] the hub's?",
            403: "is this box's key (`edusense meals key show`) enrolled there?",
            404: "is the address right?",
        }.get(answer.status, "`edusense meals check-hub` tells what a hub must do")
        raise HubRefusedError(text, hint=hint)

    def _paced(self, count: int) -> None:
        if self._pace is not None:
            self._pace(count)
        self.sent_bytes += count


def _object(answer: Answer) -> dict[str, Any]:
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
