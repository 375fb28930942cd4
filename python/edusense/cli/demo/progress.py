"""How a demo goes: a live table on a terminal, a plain line every ten seconds elsewhere. On stderr, as talk."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from edusense.cli.output import talk, wants_colour

if TYPE_CHECKING:
    from types import TracebackType

LINE_EVERY_S = 10.0


class Progress:
    """Shows counts while something runs for about a known time.

    Args:
        total_s: how long it will take, about.
    """

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self._began = time.monotonic()
        self._live: Any = None
        self._next_line_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True, no_color=not wants_colour(sys.stderr)), transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, counts: dict[str, str]) -> None:
        """Shows these counts now."""
        if self._live is not None:
            self._live.update(self._drawn(counts))
        elif self.elapsed_s >= self._next_line_s:
            self._next_line_s = self.elapsed_s + LINE_EVERY_S
            talk(f"{self.elapsed_s:4.0f} s  " + "; ".join(f"{name}: {text}" for name, text in counts.items()))

    def _drawn(self, counts: dict[str, str]) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for name, text in counts.items():
            table.add_row(name, text)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=self.total_s, completed=min(self.elapsed_s, self.total_s), width=40),
            f"{self.elapsed_s:.0f} of about {self.total_s:.0f} s",
        )
        return Group(bar, table)
