"""What this process costs, and how it talks: figures from /proc, log lines for people and for the journal."""

from __future__ import annotations

import logging
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["figures", "start_logging"]

_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE)


def figures() -> dict[str, Any]:
    """CPU seconds and memory of this process.

    Returns:
        `cpu_s` (user and system, all threads), `rss_bytes` and `peak_bytes` (resident now, and at most), `threads`.
    """
    spent = resource.getrusage(resource.RUSAGE_SELF)
    told = {"cpu_s": round(spent.ru_utime + spent.ru_stime, 3), "rss_bytes": 0, "peak_bytes": 0, "threads": 0}
    names = {"VmRSS": ("rss_bytes", 1024), "VmHWM": ("peak_bytes", 1024), "Threads": ("threads", 1)}
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        key, _, rest = line.partition(":")
        if key in names:
            name, unit = names[key]
            told[name] = int(rest.split()[0]) * unit
    return told


class _Lines(logging.Formatter):
    """`2026-09-14T11:03:12.345+05:00 warning cameras: …`; for the journal, which knows the time, `<4>cameras: …`."""

    _LEVELS = (("<3>", logging.ERROR), ("<4>", logging.WARNING), ("<6>", logging.INFO), ("<7>", logging.NOTSET))

    def __init__(self, journal: bool) -> None:
        super().__init__("%(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        # The last net under every message: a password in a URL never reaches a log, whoever wrote it there.
        text = _PASSWORD.sub(r"\1:***@", super().format(record))
        if self._journal:
            prefix = next(prefix for prefix, level in self._LEVELS if record.levelno >= level)
            return "\n".join(f"{prefix}{line}" for line in text.splitlines())
        local = time.localtime(record.created)
        zone = time.strftime("%z", local)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}"
        return f"{stamp} {record.levelname.lower()} {text}"


def start_logging(*, verbose: bool) -> None:
    """Sends log lines to stderr, in the manner of whoever reads it.

    Args:
        verbose: also what only helps to find a fault.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal=_is_journal()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("edusense").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(True)


def _is_journal() -> bool:
    """Whether stderr is the journal (systemd.exec(5), JOURNAL_STREAM: device and inode)."""
    told = os.environ.get("JOURNAL_STREAM", "")
    status = os.fstat(sys.stderr.fileno()) if told else None
    return status is not None and told == f"{status.st_dev}:{status.st_ino}"
