"""What every stream of bytes from a reader is cut into, whatever its protocol, and what cuts it: no port, no clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["BadFrame", "Event", "Frame", "Left", "Noise", "StreamDecoder"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that holds together.

    Args:
        uid: the card's number in wire order, full width.
        raw: the frame as it came.
        end: position of its last byte, counted from the first byte of the session.
        technology: the kind of card, as in `Card`.
    """

    uid: bytes
    raw: bytes
    end: int
    technology: str = "em4100"


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame that was begun and dropped.

    Args:
        reason: a word that stays the same, for counting: `check`, `not-hex`, `cut-short`, `too-long`, `empty` …
        message: what was found, with the bytes' coordinates.
        raw: what came of it.
        end: position of the byte that decided, counted from the first byte of the session.
    """

    reason: str
    message: str
    raw: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes outside any frame.

    Args:
        raw: the bytes.
        end: position of the last of them.
    """

    raw: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Left:
    """The reader says that the card was taken away.

    Args:
        raw: how it says so.
        end: position of the last byte.
    """

    raw: bytes
    end: int


Event: TypeAlias = Frame | BadFrame | Noise | Left


class StreamDecoder(ABC):
    """Turns bytes into events, whatever pieces they come in, in bounded memory."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """How many bytes of a begun frame are held."""

    @abstractmethod
    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes.

        Args:
            data: any number of bytes, split anywhere.

        Returns:
            What is now known of them, in order.
        """

    def pause(self, seconds: float) -> list[Event]:
        """Hears that nothing came for a while, before the next bytes are pushed. Most protocols do not care.

        Args:
            seconds: since the last bytes.

        Returns:
            What this decided.
        """
        return []
