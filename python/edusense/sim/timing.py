"""When the pictures of a live camera are due: at an even pace, but for the pauses that late drawing makes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

__all__ = ["Pause", "Timing"]


@dataclass(frozen=True)
class Pause:
    """A camera that sent nothing for a while because its pictures were not drawn in time.

    Attributes:
        index: number of the picture that came late.
        due_s: when it should have come, in seconds after picture 0.
        seconds: how much later it came, and with it all that follow.
    """

    index: int
    due_s: float
    seconds: float


class Timing:
    """Seconds after picture 0 at which each picture is sent; shared by all who play the same reel.

    A machine too slow for its virtual cameras makes them pause. What was staged keeps the times at which it was
    shown, so that finding it is still a measurement of the box and not of the machine's patience.

    Args:
        fps: pictures a second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._from: list[int] = []
        self._delays: list[float] = []
        self.pauses: list[Pause] = []
        self.played: int | None = None
        """Number of the first picture that nobody was sent yet; None before anything was played."""

    def due_s(self, index: int) -> float:
        """Seconds after picture 0 at which this picture is due.

        >>> timing = Timing(10)
        >>> timing.pause(20, 1.5)
        >>> timing.due_s(19), timing.due_s(20), timing.due_s(30)
        (1.9, 3.5, 4.5)
        """
        at = bisect.bisect_right(self._from, index)
        return index / self._fps + (self._delays[at - 1] if at else 0.0)

    @property
    def delay_s(self) -> float:
        """Seconds of all pauses so far."""
        return self._delays[-1] if self._delays else 0.0

    def pause(self, index: int, seconds: float) -> None:
        """Makes this picture and all after it later by so much; a second player that tells the same is not heard."""
        if self._from and index <= self._from[-1]:
            return
        self.pauses.append(Pause(index, self.due_s(index), seconds))
        self._delays.append(self.delay_s + seconds)
        self._from.append(index)

    def passed(self, index: int) -> None:
        """Notes that this picture was sent."""
        self.played = max(self.played or 0, index + 1)
