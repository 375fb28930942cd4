"""A card with a processor as software: APDUs in, answers out. An NFC Forum Type 4 tag that holds one NDEF message.

It imports nothing but the standard library: `ccid_umockdev` runs it under the system's Python. Sources: ISO/IEC 7816-4;
NFC Forum Type 4 Tag 2.0, 5.1 (application, capability container, NDEF file); NDEF 1.0, 3.2 and URI record type 1.0.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ANSWER_TO_SELECT", "SmartCard", "uri_message"]

APPLICATION: Final = bytes.fromhex("D2760000850101")
_CAPABILITY_FILE, _NDEF_FILE = b"\xe1\x03", b"\xe1\x04"
_LONGEST_READ: Final = 0x3B
ANSWER_TO_SELECT: Final = bytes.fromhex("067577810280")
"""ATS as a DESFire's: frames of 64 bytes, all speeds, historical byte 80."""

_OK, _NOT_FOUND, _WRONG_LENGTH = b"\x90\x00", b"\x6a\x82", b"\x67\x00"
_NO_INSTRUCTION, _NO_CLASS, _BEYOND_END = b"\x6d\x00", b"\x6e\x00", b"\x6b\x00"


def uri_message(uri: str) -> bytes:
    """An NDEF message of one URI record.

    >>> uri_message("https://example.org").hex()
    'd1010c55046578616d706c652e6f7267'
    """
    short = uri.removeprefix("https://").encode()
    payload = (b"\x04" if uri.startswith("https://") else b"\x00") + (
        short if uri.startswith("https://") else uri.encode()
    )
    return bytes([0xD1, 0x01, len(payload)]) + b"U" + payload


class SmartCard:
    """One such card.

    Args:
        message: the NDEF message that it holds.

    >>> card = SmartCard(uri_message("https://example.org"))
    >>> card.exchange(bytes.fromhex("00A4040007D276000085010100")).hex()
    '9000'
    """

    def __init__(self, message: bytes = b"") -> None:
        self._files = {
            _CAPABILITY_FILE: bytes.fromhex("000F20003B00340406E104")
            + (len(message) + 2).to_bytes(2, "big")
            + b"\x00\xff",
            _NDEF_FILE: len(message).to_bytes(2, "big") + message,
        }
        self._selected = False
        self._file: bytes | None = None

    def reset(self) -> None:
        """Out of the field, or selected anew: nothing is chosen any more."""
        self._selected, self._file = False, None

    def exchange(self, apdu: bytes) -> bytes:
        """Answers one command, with its status word."""
        if len(apdu) < 4:
            return _WRONG_LENGTH
        if apdu[0] != 0x00:
            return _NO_CLASS
        match apdu[1]:
            case 0xA4:
                return self._select(apdu)
            case 0xB0:
                return self._read(apdu)
        return _NO_INSTRUCTION

    def _select(self, apdu: bytes) -> bytes:
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if apdu[2] == 0x04:
            self._file = None
            self._selected = data == APPLICATION
            return _OK if self._selected else _NOT_FOUND
        if self._selected and apdu[2] == 0x00 and data in self._files:
            self._file = data
            return _OK
        return _NOT_FOUND

    def _read(self, apdu: bytes) -> bytes:
        if self._file is None:
            return b"\x69\x86"
        content, at = self._files[self._file], int.from_bytes(apdu[2:4], "big")
        if at >= len(content):
            return _BEYOND_END
        wanted = apdu[4] or 256 if len(apdu) > 4 else 0
        return content[at : at + min(wanted, _LONGEST_READ)] + _OK
