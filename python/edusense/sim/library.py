"""Players that many virtual cameras share: one for each way of encoding and phase, drawn when it is first asked for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding
from edusense.sim.onvif_http import SharedLoop
from edusense.sim.player import ClipSource, Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.onvif_state import EncoderState

__all__ = ["PlayerLibrary", "encoding_of"]

PHASES: Final = 4
"""Key pictures of cameras come at different times, as those of separate cameras do."""


def encoding_of(state: EncoderState) -> Encoding:
    """How a stream is encoded that an encoder set so would send."""
    return Encoding(
        state.width,
        state.height,
        max(1.0, state.fps),
        gop_s=state.gop / max(1.0, state.fps),
        cap_kbit=state.kbit,
        constant=state.constant,
    )


class PlayerLibrary:
    """Players of one scene.

    Args:
        scene: one of `edusense.sim.scenes.KINDS`.
        seconds: length of the clip that is shown in a loop.
        seed: of scene and script.
        events: whether anything happens.
        drawing: called before a clip is drawn, which takes some seconds.
        clock: Unix seconds.
    """

    def __init__(
        self,
        scene: str = "room",
        *,
        seconds: float = 8.0,
        seed: int = 1,
        events: bool = True,
        drawing: Callable[[Encoding], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.scene, self.seconds, self.seed, self.events = scene, seconds, seed, events
        self._drawing, self._clock = drawing, clock
        self._begin = clock()
        self._players: dict[tuple[Encoding, str | None, int], Player] = {}
        self._lock = threading.Lock()
        self._shared: SharedLoop | None = None
        self._pool = ThreadPoolExecutor(1, "edusense-sim-draw")

    def player(self, encoding: Encoding, spoil: str | None = None, phase: int = 0) -> Player:
        """The player of an encoding; draws its clip where nobody has asked for it before.

        Args:
            encoding: how it is encoded.
            spoil: what is wrong with its pictures.
            phase: which of a few that show the same at different times.
        """
        phase %= PHASES
        key = (encoding, spoil, phase)
        with self._lock:
            if key not in self._players:
                # As long as a GOP at least: a clip is whole GOPs.
                clip = library_clip(
                    self.scene,
                    encoding,
                    seconds=max(self.seconds, encoding.gop_s),
                    seed=self.seed,
                    events=self.events,
                    spoil=spoil,
                    drawing=None if self._drawing is None else lambda: self._told(encoding),
                )
                epoch = self._begin - clip.seconds * phase / PHASES
                player = Player(ClipSource(clip), epoch=epoch, clock=self._clock)
                player.prepare()
                self._start(player)
                self._players[key] = player
            return self._players[key]

    def _start(self, player: Player) -> None:
        if self._shared is None:
            self._shared = SharedLoop.acquire()
        self._shared.loop.call_soon_threadsafe(player.start, self._shared.loop)

    def _told(self, encoding: Encoding) -> None:
        if self._drawing is not None:
            self._drawing(encoding)

    def later(self, encoding: Encoding, spoil: str | None, phase: int, then: Callable[[Player], None]) -> None:
        """Calls `then` with the player when it is there, from a thread of the library's."""
        self._pool.submit(lambda: then(self.player(encoding, spoil, phase)))

    def close(self) -> None:
        """Draws and plays no more; harmless when repeated."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        shared, self._shared = self._shared, None
        if shared is None:
            return

        async def stop() -> None:
            for player in self._players.values():
                player.stop()

        shared.run(stop())
        shared.release()
