"""The card's half of ISO 14443-4: blocks in, blocks out, commands to the card in between. No chip, no clock.

```text
02/03 …   I-block: a piece of a command or answer; 12/13 when more follows      A2/A3 …  R(ACK)     B2/B3   R(NAK)
C2        S(DESELECT)
```

Source: ISO/IEC 14443-4:2016, 7.1 (block format) and 7.5 (rules). Without CID and NAD: the answer to select offers none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edusense.sim.smart_card import SmartCard

__all__ = ["IsoDep"]

_MORE: Final = 0x10
_DESELECT: Final = 0xC2


class IsoDep:
    """One card that was selected.

    Args:
        card: what answers its commands.
        frame_size: bytes of a block that the host takes, with the block's own three.

    >>> from edusense.sim.smart_card import SmartCard
    >>> IsoDep(SmartCard()).block(bytes.fromhex("02 00A4040007D276000085010100")).hex()
    '029000'
    """

    def __init__(self, card: SmartCard, frame_size: int = 256) -> None:
        self._card = card
        self._most = frame_size - 3
        self._command = b""
        self._answer = b""
        self._last = b""

    def block(self, block: bytes) -> bytes:
        """Answers one block; nothing where the card keeps silent."""
        if not block:
            return b""
        control, rest = block[0], block[1:]
        number = control & 0x01
        if control & 0xE2 == 0x02:
            self._command += rest
            if control & _MORE:
                self._last = bytes([0xA2 | number])
            else:
                command, self._command = self._command, b""
                self._answer = self._card.exchange(command)
                self._last = self._next(number)
            return self._last
        if control & 0xF6 == 0xA2:  # R(ACK): the next piece
            self._last = self._next(number) if self._answer else self._last
            return self._last
        if control & 0xF6 == 0xB2:  # R(NAK): the last block again, or only whether the card is there
            return self._last if self._last and self._last[0] & 0x01 == number else bytes([0xA2 | number])
        if control == _DESELECT:
            self._card.reset()
            return bytes([_DESELECT])
        return b""

    def _next(self, number: int) -> bytes:
        piece, self._answer = self._answer[: self._most], self._answer[self._most :]
        return bytes([0x02 | number | (_MORE if self._answer else 0)]) + piece
