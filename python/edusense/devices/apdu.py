"""Commands to cards and their answers: what may be sent, and how much may come back.

Source: ISO/IEC 7816-4, section 5 (the four cases of a command, short and extended lengths).
"""

from __future__ import annotations

from typing import Final

from edusense.errors import DeviceProtocolError, UsageError

__all__ = ["check_answer", "check_command", "most_asked"]

_HEADER: Final = 4
_SHORT_MOST: Final = 256
_EXTENDED_MOST: Final = 65_536


def most_asked(apdu: bytes) -> int:
    """The most bytes of data that a command asks for (its Le; 0 where it asks for none).

    Args:
        apdu: the command.

    Raises:
        ValueError: its lengths contradict each other.

    >>> most_asked(bytes.fromhex("FFCA000000")), most_asked(bytes.fromhex("00A4040007D276000085010100"))
    (256, 256)
    >>> most_asked(bytes.fromhex("00B0000F0F")), most_asked(bytes.fromhex("00200001 02 3132"))
    (15, 0)
    """
    if len(apdu) < _HEADER:
        raise ValueError(f"{len(apdu)} bytes where at least class, instruction and two parameters stand")
    body = apdu[_HEADER:]
    if not body:
        return 0
    if len(body) == 1:
        return body[0] or _SHORT_MOST
    if body[0]:
        sent = 1 + body[0]
        if len(body) not in (sent, sent + 1):
            raise ValueError(f"byte 4 announces {body[0]} bytes of data; {len(body) - 1} follow")
        return 0 if len(body) == sent else body[-1] or _SHORT_MOST
    if len(body) < 3:
        raise ValueError("a length of 0 at byte 4 begins the extended form, which has two more bytes of length")
    length = int.from_bytes(body[1:3], "big")
    if len(body) == 3:
        return length or _EXTENDED_MOST
    if len(body) not in (3 + length, 5 + length) or not length:
        raise ValueError(f"bytes 5 and 6 announce {length} bytes of data; {len(body) - 3} follow")
    if len(body) == 3 + length:
        return 0
    return int.from_bytes(body[-2:], "big") or _EXTENDED_MOST


def check_command(apdu: bytes) -> None:
    """Refuses what is no command.

    Raises:
        UsageError: which byte is wrong.
    """
    try:
        most_asked(apdu)
    except ValueError as error:
        raise UsageError(
            f"`{bytes(apdu[:16]).hex(' ')}` is no APDU: {error}",
            hint="class, instruction, two parameters; then the length of data and the data, the most wanted in return",
        ) from None


def check_answer(apdu: bytes, answer: bytes) -> None:
    """Refuses an answer that the command did not allow.

    Raises:
        DeviceProtocolError: it has no status word, or more data than was asked for.
    """
    if len(answer) < 2:
        raise DeviceProtocolError(
            f"the card answered {len(answer)} bytes where at least a status word stands",
            hint="lay the card down again; if it stays so, it is no card of ISO 7816-4",
        )
    most = most_asked(apdu)
    if len(answer) - 2 > most:
        asked = f"asked for at most {most}" if most else "asked for none"
        raise DeviceProtocolError(
            f"the card answered {len(answer) - 2} bytes of data to a command that {asked}",
            hint="nothing of it was used: the card or its reader breaks the rules; try another of each",
        )
