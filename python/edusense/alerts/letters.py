"""Messages as people read them in a letter: a subject, and a few lines in Kazakh, Russian and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edusense.alerts.messages import local_time
from edusense.alerts.words import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["body_of", "subject_of"]

_ANSWERS: Final = {
    "seen": ("көрді", "увидел(а)", "has seen it"),
    "taken": ("қабылдады", "принял(а)", "acts on it"),
    "closed": ("жапты", "закрыл(а)", "has closed it"),
    "false": ("жалған деді", "ложная тревога", "calls it a false alarm"),
}
_TEST: Final = ("ОҚУ ДАБЫЛЫ", "УЧЕБНАЯ ТРЕВОГА", "TEST")


def subject_of(message: Mapping[str, Any]) -> str:
    """The subject of a message's letter: one line, whatever the message holds.

    >>> subject_of({"type": "alert", "status": "test", "finding": "fire", "place": {"room": {"name": "Шатыр"}}})
    'TEST: Пожар, Шатыр'
    """
    test = "TEST: " if message.get("status") == "test" else ""
    match message["type"]:
        case "alert":
            what = f"{_finding(message)[1]}, {_place(message)}"
        case "update":
            what = f"{_update(message)[1]} ({message['case']})"
        case "silence":
            silence = message["silence"]
            begun = message["what"] == "begun"
            what = f"{'без тревог' if begun else 'снова с тревогами'}: {silence['zone'] or silence['camera']}"
        case kind:
            what = f"{kind} ({message['case']})"
    return "".join(c if c.isprintable() else " " for c in f"{test}{what}")[:200]


def body_of(message: Mapping[str, Any], timezone: str) -> str:
    """The text of a message's letter.

    Args:
        message: as destinations get it.
        timezone: the school's.
    """
    lines: list[str] = []
    if message.get("status") == "test":
        lines += [" / ".join(_TEST), ""]
    lines += [" / ".join(_said(message)), ""]
    place = message.get("place") or {}
    room = place.get("room") or {}
    facts = {
        "school": message["school"]["id"],
        "room": room.get("name") or room.get("id"),
        "camera": place.get("camera"),
        "zone": place.get("zone"),
        "severity": message.get("severity"),
        "began": _when(message, timezone),
        "says": message.get("text"),
        "note": message.get("note"),
        "case": message["case"],
    }
    lines += [f"{name:<9} {value}" for name, value in facts.items() if value]
    return "\n".join(lines) + "\n"


def _said(message: Mapping[str, Any]) -> tuple[str, ...]:
    if message["type"] == "alert":
        return _finding(message)
    if message["type"] == "update":
        return _update(message)
    return (subject_of(message),)


def _finding(message: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(message["finding"])
    words = FINDINGS.get(kind, {})
    kk, ru, en = (words.get(language, kind) for language in ("kk", "ru", "en"))
    return kk, ru, en


def _update(message: Mapping[str, Any]) -> tuple[str, str, str]:
    match message["what"]:
        case "answer":
            words = _ANSWERS.get(message["answer"], (message["answer"],) * 3)
            kk, ru, en = (f"{message['by']}: {word}" for word in words)
            return kk, ru, en
        case "escalated":
            return "уақытында ешкім жауап бермеді", "никто не ответил вовремя", "nobody answered in time"
        case "graver":
            return "жағдай ауырлады", "стало серьёзнее", "it has become graver"
        case what:
            return what, what, what


def _place(message: Mapping[str, Any]) -> str:
    place = message.get("place") or {}
    room = place.get("room") or {}
    return str(room.get("name") or room.get("id") or place.get("camera") or "—")


def _when(message: Mapping[str, Any], timezone: str) -> str | None:
    if message.get("start_s") is None:
        at_s = message.get("at_s")
        return None if at_s is None else local_time(at_s, timezone)
    return f"{local_time(message['start_s'], timezone)} ± {message.get('clock_error_s', 0.0):.1f} s"
