"""The virtual hub as a whole: memory, web side, the line to it, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from edusense.errors import UsageError
from edusense.meals.keys import SigningKey
from edusense.sim.hub.application import HubApplication
from edusense.sim.hub.faults import parse_hub_fault
from edusense.sim.hub.incoming import hub_key
from edusense.sim.hub.intake import Intake
from edusense.sim.hub.store import HubStore
from edusense.sim.link import VirtualLink
from edusense.sim.timed_fault import TimedFault
from edusense.sim.web_server import WebServer
from edusense.site.fields import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["VirtualHub"]

TURN_S: Final = 0.1


class VirtualHub:
    """A hub that is not there: serves from `start` to `stop`.

    ```python
    with VirtualHub() as hub:
        print(hub.url, hub.key)
        ...
        hub.store.day_totals(51001)
    ```

    Args:
        folder: where it keeps what it got and its key; a temporary one by default.
        host: address to listen on; another than this machine's own needs `certificate`, `private_key` and `token`.
        port: 0 takes a free one.
        certificate: a file with the certificate chain, PEM.
        private_key: its private key, PEM.
        token: what boxes have to know.
        operator: what those have to know who enrol schools and close cases; None: the same token.
        trust_first: whether a school that nobody enrolled is known by the first key that it signs with.
        faults: what it does wrong: `TimedFault` objects or texts.
        clock: Unix seconds.

    Raises:
        UsageError: open to others without TLS and a token; or a fault that it cannot do.
        DeviceBusyError: the port is taken.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        private_key: Path | None = None,
        token: str | None = None,
        operator: str | None = None,
        trust_first: bool = True,
        faults: Iterable[TimedFault | str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        if (certificate is None) != (private_key is None):
            raise UsageError("a certificate without its key, or a key without its certificate", hint="give both")
        if not is_loopback(host) and (certificate is None or token is None):
            raise UsageError(
                f"`{host}` is not this machine alone: a hub is open to others only with TLS and a token",
                hint="--certificate FILE --key FILE --token-from file:PATH; or --host 127.0.0.1",
            )
        self.host, self.port, self.token, self.operator = host, port, token, operator
        self.faults = [fault if isinstance(fault, TimedFault) else parse_hub_fault(fault) for fault in faults]
        self._certificate, self._private_key = certificate, private_key
        self._given, self._trust_first, self._clock = folder, trust_first, clock
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._stopping = threading.Event()
        self._had_faults = False
        self._done: set[str] = set()

    def start(self) -> Self:
        """Begins to serve."""
        if self._given is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="edusense-hub-")
        self.folder = Path(self._temporary.name) if self._temporary is not None else Path(self._given or ".")
        self.store = HubStore(self.folder, clock=self._clock)
        try:
            self.intake = Intake(self.store, hub_key(self.folder), trust_first=self._trust_first)
            self._own_key = self.intake.key
            self.application = HubApplication(
                self.intake,
                token=self.token,
                operator=self.operator,
                faulty=self.is_faulty,
                drop=self.break_connections,
            )
            self._server = WebServer(
                self.application.web, name="hub", certificate=self._certificate, key=self._private_key
            )
            self._server.wait_ready()
            self.link = VirtualLink(lambda: ("127.0.0.1", self._server.port), host=self.host, port=self.port).start()
        except BaseException:
            self.store.close()
            raise
        self.port = self.link.port
        self._begun = time.monotonic()
        self._turner = threading.Thread(target=self._turn, name="hub faults", daemon=True)
        self._turner.start()
        return self

    def stop(self) -> None:
        """Ends it; what it got stays where a folder was given. Harmless when repeated."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._turner.join(2.0)
        self.link.stop()
        self._server.close()
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What stands as `url` in a box's site file."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._certificate is None else 'https'}://{host}:{self.port}"

    @property
    def key(self) -> str:
        """Its public key, in hex."""
        return str(self.intake.hub()["key"])

    def is_faulty(self, kind: str) -> bool:
        """Whether a fault is on now."""
        after_s = time.monotonic() - self._begun
        return any(fault.kind == kind and fault.holds(after_s) for fault in self.faults)

    def set_faults(self, *kinds: str) -> None:
        """Exchanges its faults, from now on."""
        self.faults = [parse_hub_fault(kind) for kind in kinds]
        self._weather()

    def break_connections(self) -> None:
        """Ends every connection as it is, as a hub does that crashes; it takes new ones at once."""
        self.link.drop()

    def backup(self) -> None:
        """Keeps a copy of all that it holds now."""
        self.store.backup(self.folder / "backup.sqlite")

    def restore(self) -> None:
        """Puts all that it holds back to the last backup."""
        self.store.restore(self.folder / "backup.sqlite")

    def row(self) -> dict[str, Any]:
        """What `edusense sim hub` prints when it is ready, without its token's place."""
        return {"kind": "hub", "id": "hub", "url": self.url, "port": self.port, "key": self.key}

    def _turn(self) -> None:
        while not self._stopping.wait(TURN_S):
            with contextlib.suppress(RuntimeError):
                self._weather()

    def _weather(self) -> None:
        # A line that somebody else has set stays as it is while no fault was ever asked for.
        self._had_faults = self._had_faults or bool(self.faults)
        if not self._had_faults:
            return
        weather = self.link.weather
        weather.kbit, weather.delay_s = (64.0, 0.5) if self.is_faulty("slow") else (0.0, 0.0)
        weather.answer_lost = 0.34 if self.is_faulty("answer-lost") else 0.0
        weather.cut = 0.2 if self.is_faulty("cut") else 0.0
        self.intake.key = SigningKey.make() if self.is_faulty("other-key") else self._own_key
        if self.is_faulty("down") == self.link.is_up:
            if self.link.is_up:
                self.link.cut()
            else:
                self.link.mend()
        self._calamities(time.monotonic() - self._begun)

    def _calamities(self, after_s: float) -> None:
        """What happens once: the backup of half the time is put back."""
        for fault in self.faults:
            if fault.kind != "restored":
                continue
            for when, name in ((fault.start_s / 2, "backup"), (fault.start_s, "restore")):
                step = f"{name} {fault}"
                if after_s >= when and step not in self._done:
                    self._done.add(step)
                    (self.backup if name == "backup" else self.restore)()
