"""The forms in which a card's number stands on paper, on cards and in lists: written and read back.

A form that leaves bytes out, or their order open, can mean several cards; `readings` names them all, and nobody here
chooses among them.

Sources: printed tags and data sheets (see `tests/unit/test_devices_card.py`); lines of IronLogic's readers as two
public programs captured them; Wiegand frames in `edusense.devices.wiegand`.
"""

from __future__ import annotations

import re
from typing import Final

from edusense.devices.card import CardId
from edusense.devices.card_kinds import KINDS, TECHNOLOGIES, TEXTS, normal_kind
from edusense.devices.wiegand import WIDTHS, pack, parity_problem, unpack
from edusense.errors import CardError

__all__ = ["forms", "parse", "readings"]

_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,23}")
_SEPARATORS: Final = re.compile(r"(?<=[0-9A-Fa-f]{2})[ :\-](?=[0-9A-Fa-f]{2}(?![0-9A-Fa-f]))")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_FACILITY: Final = re.compile(r"([0-9]{1,3})\s*,\s*([0-9]{1,5})")
_BITS: Final = re.compile(rf"[01]{{{'}|[01]{'.join(str(width) for width in sorted(WIDTHS))}}}")
_REVERSED: Final = "reversed:"
_IRONLOGIC: Final = re.compile(
    r"(?:[0-9]{5,10} +)?(Em-Marine|Mifare)\[([0-9A-F]{2,20})\] *(?:[A-Z0-9]{1,4} +)?(?:\([0-9A-F]{4},[0-9A-F]{2}\) +)?"
    r"([0-9]{1,3}),([0-9]{1,5})",
    re.IGNORECASE,
)


def forms(card: CardId) -> dict[str, str]:
    """Every way in which a card's number may be written, by the name of the form.

    >>> from edusense.devices import Card
    >>> forms(Card.parse("em4100:55007EE424"))["wiegand26"]
    '0x2FDC848'
    """
    if card.technology in TEXTS:
        return {"text": card.id}
    uid = card.uid
    found = {"hex": card.id}
    if not card.partial:
        found["hex-reversed"] = uid[::-1].hex().upper()
    if card.technology == "em4100":
        if card.dec10 is not None:
            found["decimal"] = card.dec10
        found["facility"] = _facility(uid[-3:])
        if len(uid) == 5:
            found["ironlogic"] = f"Em-Marine[{uid[:2].hex().upper()}] {_facility(uid[-3:])}"
        found["wiegand26"] = f"0x{pack(int.from_bytes(uid[-3:], 'big'), 26):07X}"
        if len(uid) >= 4:
            found["wiegand34"] = f"0x{pack(int.from_bytes(uid[-4:], 'big'), 34):09X}"
    elif card.technology == "iso14443a" and len(uid) == 4:
        found["decimal"] = f"{int.from_bytes(uid, 'big'):010d}"
        found["decimal-reversed"] = f"{int.from_bytes(uid, 'little'):010d}"
        found["facility"] = _facility(uid[2::-1])
        found["ironlogic"] = f"Mifare[{card.id}] {_facility(uid[2::-1])}"
    elif card.technology == "iso14443a" and len(uid) == 7:
        found["ironlogic"] = f"Mifare[{(uid[3:] + uid[:3]).hex().upper()}] {_facility(uid[:3])}"
    elif card.technology.startswith("wiegand"):
        width = int(card.technology.removeprefix("wiegand"))
        if width == 26:
            found["facility"] = _facility(uid)
        found["frame"] = f"0x{pack(int.from_bytes(uid, 'big') & ((1 << width - 2) - 1), width):X}"
    return found


def parse(text: str) -> tuple[str, bytes]:
    """The kind and number that a text means, in the order of `CardId.parse`.

    Raises:
        CardError: it is no card's number; the message says what was understood.
    """
    stripped = text.strip()
    kind, colon, digits = stripped.partition(":")
    if stripped.startswith(_REVERSED):
        return _reversed(*parse(stripped[len(_REVERSED) :]), stripped)
    if colon and _KIND.fullmatch(kind) and not _HEX.fullmatch(kind):
        return _of_kind(kind, digits.strip(), stripped)
    if match := _IRONLOGIC.fullmatch(stripped):
        return _ironlogic(match)
    if match := _FACILITY.fullmatch(stripped):
        return "em4100", _facility_bytes(stripped, match)
    if _BITS.fullmatch(stripped):
        return f"wiegand{len(stripped)}", _frame(int(stripped, 2), len(stripped), stripped)
    compact = _SEPARATORS.sub("", stripped)
    if compact == stripped and re.fullmatch(r"[0-9]{10}", compact) and int(compact) <= 0xFFFFFFFF:
        return "em4100", int(compact).to_bytes(4, "big")
    if _HEX.fullmatch(compact):
        number = bytes.fromhex(compact)
        for technology in ("em4100", "iso14443a"):
            if len(number) in TECHNOLOGIES[technology]:
                return technology, number
        raise CardError(
            f"`{stripped}` has {len(number)} bytes: no card's number has that many",
            hint="EM4100 numbers have 10 hex digits, ISO 14443-A numbers 8, 14 or 20",
        )
    raise CardError(
        f"`{stripped}` is no card's number",
        hint="write the hex digits (`010063E9AE`), the printed number (`0006547886` or `099,59822`), "
        "or name the kind (`iso14443a:04A1B2C3D4E5F6`)",
    )


def readings(text: str) -> tuple[CardId, ...]:
    """Every card that a text may mean, the usual reading first; more than one is an ambiguity to be told.

    Args:
        text: as typed, scanned or listed.

    Raises:
        CardError: it means none.

    >>> [str(card) for card in readings("0006547886")]
    ['em4100:0063E9AE', 'em4100:0006547886', 'em4100:8678540600', 'iso14443a:0063E9AE', 'iso14443a:AEE96300']
    >>> [str(card) for card in readings("em4100:010063E9AE")]
    ['em4100:010063E9AE']
    """
    stripped = text.strip()
    found = [CardId(*parse(stripped))]
    if ":" in stripped.replace(" ", "") and not _HEX.fullmatch(_SEPARATORS.sub("", stripped)):
        return tuple(found)
    compact = _SEPARATORS.sub("", stripped)
    if match := _FACILITY.fullmatch(stripped):
        found.append(CardId("wiegand26", _facility_bytes(stripped, match)))
    elif _HEX.fullmatch(compact) and not _BITS.fullmatch(stripped):
        number = bytes.fromhex(compact)
        if len(number) == 4:
            # A reader of EM4100 tags that leaves the first byte out writes eight digits as well.
            found += [CardId("iso14443a", number), CardId("iso14443a", number[::-1]), CardId("em4100", number)]
        else:
            found += [CardId(found[0].technology, number), CardId(found[0].technology, number[::-1])]
        if re.fullmatch(r"[0-9]{10}", compact) and int(compact) <= 0xFFFFFFFF:
            printed = int(compact).to_bytes(4, "big")
            found += [CardId("iso14443a", printed), CardId("iso14443a", printed[::-1])]
    return tuple(dict.fromkeys(found))


def _of_kind(kind: str, digits: str, text: str) -> tuple[str, bytes]:
    technology = normal_kind(kind)
    if technology in TEXTS:
        if not digits.isascii():
            raise CardError(f"`{text}` is no {technology}: only ASCII stands in one", hint="look at what was typed")
        return kind, digits.encode("ascii")
    if digits.startswith(_REVERSED):
        return _reversed(*_of_kind(kind, digits[len(_REVERSED) :].strip(), text), text)
    if technology in ("em4100", "wiegand26") and (match := _FACILITY.fullmatch(digits)):
        return kind, _facility_bytes(text, match)
    if technology.startswith("wiegand") and _BITS.fullmatch(digits) and technology == f"wiegand{len(digits)}":
        return kind, _frame(int(digits, 2), len(digits), text)
    compact = _SEPARATORS.sub("", digits)
    if not _HEX.fullmatch(compact):
        raise CardError(f"`{text}`: after `{kind}:` come hex digits in pairs", hint=f"such as `{kind}:04A1B2C3`")
    return kind, bytes.fromhex(compact)


def _reversed(kind: str, number: bytes, text: str) -> tuple[str, bytes]:
    technology = normal_kind(kind)
    if technology in TEXTS or technology.startswith("wiegand"):
        raise CardError(f"`{text}`: there is no other order of it", hint=f"write it without `{_REVERSED}`")
    return kind, number[::-1]


def _ironlogic(match: re.Match[str]) -> tuple[str, bytes]:
    """All bytes that a line of an IronLogic reader tells, the rotated ones of seven put in order by their position."""
    line = match[0]
    told = bytes.fromhex(match[2]) if len(match[2]) % 2 == 0 else b""
    decimals = _facility_bytes(line, match, first=3)
    if match[1].lower() == "em-marine" and len(told) == 2:
        return "em4100", told + decimals
    if match[1].lower() == "mifare" and len(told) in (4, 7):
        uid, expected = (told, told[2::-1]) if len(told) == 4 else (told[4:] + told[:4], told[4:])
        if decimals == expected:
            return "iso14443a", uid
        raise CardError(
            f"`{line}`: its decimals are {_facility(decimals)}, and those of its digits {_facility(expected)}",
            hint="copy the line once more",
        )
    raise CardError(
        f"`{line}` is no line of an IronLogic reader", hint="two bytes stand in the brackets, four or seven"
    )


def _frame(frame: int, width: int, text: str) -> bytes:
    if problem := parity_problem(frame, width):
        raise CardError(f"`{text}`: {problem}", hint="one of the bits is wrong; copy them once more")
    return unpack(frame, width).to_bytes((width - 2 + 7) // 8, "big")


def _facility(three: bytes) -> str:
    return f"{three[0]:03d},{int.from_bytes(three[1:], 'big'):05d}"


def _facility_bytes(text: str, match: re.Match[str], *, first: int = 1) -> bytes:
    facility, number = int(match[first]), int(match[first + 1])
    if facility > 0xFF or number > 0xFFFF:
        raise CardError(
            f"`{text}` is no card's number: before the comma stand 0 to 255, behind it 0 to 65535",
            hint="look at the card again; some prints show two numbers, one with a comma",
        )
    return bytes([facility]) + number.to_bytes(2, "big")


assert not KINDS.keys() & TECHNOLOGIES.keys()
