"""The uplink in the box: brings what the ledger holds to the city's hub, whenever there is a line."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.alerts.outbox import STILL
from edusense.box.parts import Part
from edusense.errors import EdusenseError, HubRefusedError, HubUnavailableError
from edusense.site import resolve_secret

if TYPE_CHECKING:
    from edusense.alerts.budget import Budget
    from edusense.box.log import EventLog
    from edusense.meals.hub_client import HubClient
    from edusense.meals.uplink import Uplink
    from edusense.site import Site

__all__ = ["UplinkPart"]

logger = logging.getLogger(__name__)

FIRST_S: Final = 1.0
LIMIT_S: Final = 60.0
REFUSED_S: Final = 30.0
"""First pause after a refusal: somebody has to mend something, which takes longer than a cable."""
REFUSED_LIMIT_S: Final = 300.0
GATHER_S: Final = 2.0
"""So long records are gathered for one batch: parents see a meal within five seconds."""
COMPARE_S: Final = 86_400.0
"""So often all that the hub says that it holds is held against the ledger; at a start, what is newest."""
BEAT_S: Final = 1.0
NOTE_S: Final = 0.5
_NOTHING: Final[dict[str, Any]] = {
    "acknowledged": 0,
    "waiting": 0,
    "oldest_s": None,
    "batches": 0,
    "sent_bytes": 0,
    "closed": [],
    "troubles": [],
}
HUNG_S: Final = 180.0
"""A slow line may take long over a batch, and so may looking up the hub's name."""


class UplinkPart(Part):
    """Sends the ledger's records to the hub of the site file, for as long as the box runs.

    Args:
        site: the site file, with `[hub]`.
        log: the event log.
        budget: what the way out carries; alerts go first, clips last.
    """

    def __init__(self, site: Site, log: EventLog, budget: Budget) -> None:
        super().__init__("uplink", log, hung_s=HUNG_S)
        assert site.hub is not None
        self._site, self._table, self._budget = site, site.hub, budget
        self._uplink: Uplink | None = None
        self._client: HubClient | None = None
        self._health = "starting"
        self._reason: str | None = None
        self._hint: str | None = None
        self._since_s = time.time()
        self._last_s: float | None = None
        self._failures = 0
        self._due = 0.0
        self._compared_at: float | None = None
        self._figures: dict[str, Any] = dict(_NOTHING)
        self._figures_at = 0.0

    def run(self) -> None:
        """Sends until it is stopped."""
        from edusense.meals.hub_client import HubClient
        from edusense.meals.of_site import ledger_folder
        from edusense.meals.uplink import Uplink

        site, table = self._site, self._table
        token = None
        if table.token is not None:
            token = resolve_secret(table.token, site.folder, place=(str(site.path), *site.place("hub", "token")))
        client = HubClient(
            table.url,
            token=token,
            ca=None if table.ca is None else site.path_of(table.ca),
            pace=lambda count: self._budget.take(count, rank=STILL),
        )
        self._client = client
        self._uplink = Uplink(
            ledger_folder(site),
            client,
            school=site.site.number,
            hub_key=None if table.key is None else bytes.fromhex(table.key),
        )
        gathering: float | None = None
        left = 0
        with contextlib.closing(client):
            while not self.stopping.is_set():
                self.beat()
                now = time.monotonic()
                if now < self._due:
                    with contextlib.suppress(EdusenseError):
                        self._uplink.refresh()
                        self._note()
                    self.stopping.wait(min(BEAT_S, self._due - now))
                    continue
                try:
                    waiting = self._uplink.refresh()
                    self._note()
                    if self._compared_at is None or now - self._compared_at >= COMPARE_S:
                        # At the start only what is newest: a slow line has better things to carry.
                        self._uplink.compare(everything=self._compared_at is not None)
                        self._compared_at = now
                        self._worked()
                        continue
                    if not waiting:
                        gathering = None
                        self.stopping.wait(BEAT_S)
                        continue
                    gathering = now if gathering is None else gathering
                    if now - gathering < GATHER_S and waiting < self._uplink.largest:
                        self.stopping.wait(min(BEAT_S, GATHER_S - (now - gathering)))
                        continue
                    # One batch for each terminal that has something; what they record meanwhile is gathered again.
                    left = self._uplink.lines_waiting if left <= 0 else left
                    if self._uplink.send():
                        left -= 1
                        gathering = gathering if left > 0 else None
                        self._last_s = round(time.time(), 3)
                        self._worked()
                    else:
                        # All that waits was refused: it is tried again later.
                        self.stopping.wait(BEAT_S)
                except EdusenseError as error:
                    if self.stopping.is_set():
                        return
                    self._went_wrong(error)

    def stop(self) -> None:
        """Asks it to end; what waits for the hub's answer is ended."""
        super().stop()
        if self._client is not None:
            self._client.interrupt()

    def row(self) -> dict[str, Any]:
        """Its row for `status`."""
        figures = self._figures
        troubles = figures["troubles"]
        if self.state == "failed":
            self._health, self._reason = "cannot-send", self.reason
        return {
            "kind": "uplink",
            "url": self._table.url,
            "state": "differs" if troubles and self._health == "working" else self._health,
            "reason": self._reason or ("; ".join(troubles) or None),
            "hint": self._hint,
            "since_s": round(self._since_s, 3),
            **{name: value for name, value in figures.items() if name != "troubles"},
            "failures": self._failures,
            "last_s": self._last_s,
        }

    def _note(self) -> None:
        """Writes down what `status` shows; only this thread looks at the uplink itself."""
        uplink, now = self._uplink, time.monotonic()
        if uplink is None or now - self._figures_at < NOTE_S:
            return
        self._figures_at = now
        self._figures = {
            "acknowledged": uplink.acknowledged,
            "waiting": uplink.waiting,
            "oldest_s": uplink.oldest_s(),
            "batches": uplink.batches,
            "sent_bytes": uplink.client.sent_bytes,
            "closed": uplink.closed(),
            "troubles": uplink.troubles(),
        }

    def _worked(self) -> None:
        self._failures, self._due = 0, 0.0
        self._be("working", None, None)

    def _went_wrong(self, error: EdusenseError) -> None:
        self._failures += 1
        if isinstance(error, HubUnavailableError):
            state, first, most = "unavailable", FIRST_S, LIMIT_S
            if self._uplink is not None:
                self._uplink.broke()
        elif isinstance(error, HubRefusedError):
            state, first, most = "refused", REFUSED_S, REFUSED_LIMIT_S
        else:
            state, first, most = "cannot-send", FIRST_S, LIMIT_S
        # Jitter: after a power cut in a whole city not all schools ask at once.
        pause = min(most, first * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)
        asked = getattr(error, "retry_after_s", None)
        if asked is not None:
            pause = max(asked, FIRST_S)
        self._due = time.monotonic() + pause
        self._be(state, str(error), error.hint)

    def _be(self, state: str, reason: str | None, hint: str | None) -> None:
        before, known = self._health, self._reason
        self._health, self._reason, self._hint = state, reason, hint
        if before != state:
            self._since_s = time.time()
            self.log.append("uplink", state=state, reason=reason)
        if before != state or known != reason:
            level = logging.INFO if state == "working" else logging.WARNING
            logger.log(level, "uplink: %s%s", state, f": {reason}" if reason else "")
