"""The part of the box that seals: once a day full segments get their signed root, and sealed ones are read again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from edusense.box.parts import Part

if TYPE_CHECKING:
    from edusense.box.log import EventLog
    from edusense.site import Site

__all__ = ["SealPart"]

logger = logging.getLogger(__name__)

BEAT_S: Final = 1.0
FIRST_S: Final = 20.0
"""After a start children come first: reading the whole ledger can wait."""
DAY_S: Final = 86_400.0
HUNG_S: Final = 900.0
"""A slow card reader takes long over a year of records."""
LIMIT_S: Final = 3600.0


class SealPart(Part):
    """Seals the site's ledger. A segment that is no longer what its seal says fails this part, and nothing else.

    Args:
        site: the site file.
        log: the event log.
        first_s: pause before it is done for the first time.
    """

    def __init__(self, site: Site, log: EventLog, *, first_s: float = FIRST_S) -> None:
        super().__init__("sealing", log, hung_s=HUNG_S, first_s=FIRST_S, limit_s=LIMIT_S)
        self._site, self._pause_s = site, first_s

    def run(self) -> None:
        """Seals, once a day."""
        due = time.monotonic() + self._pause_s
        while not self.stopping.wait(BEAT_S):
            self.beat()
            if time.monotonic() >= due:
                self._seal()
                due = time.monotonic() + DAY_S

    def _seal(self) -> None:
        from edusense.meals import KeyRing
        from edusense.meals.of_site import ledger_folder
        from edusense.meals.sealing import seal

        folder = ledger_folder(self._site)
        if not any(folder.glob("*.seg")):
            return  # nothing was ever recorded here
        for made in seal(folder, KeyRing.load_or_make(folder.parent).current):
            logger.info("ledger: sealed %s: %d records, root %s", made.segment, made.records, made.root)
