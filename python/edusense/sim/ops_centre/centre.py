"""The virtual centre as a whole: memory, web side, the line to it, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edusense.errors import UsageError
from edusense.sim.link import VirtualLink
from edusense.sim.ops_centre.application import SILENT_S, CentreApplication
from edusense.sim.ops_centre.faults import CentreFault
from edusense.sim.ops_centre.store import CentreStore
from edusense.sim.web_server import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["VirtualOpsCentre"]

TURN_S = 0.1


class VirtualOpsCentre:
    """An operations centre that is not there: serves from `start` to `stop`.

    ```python
    with VirtualOpsCentre() as centre:
        print(centre.url, centre.user, centre.secret)
        ...
        centre.answer(centre.store.cases()[0]["case"], "taken", by="ЦОУ")
    ```

    Args:
        folder: where it keeps what it got; a temporary one by default.
        host: address to listen on.
        port: 0 takes a free one.
        user: who signs; the `user` of the destination's credentials. It speaks for one school: the first that it names.
        secret: what boxes sign with; a random one by default; None takes unsigned requests.
        faults: what it does wrong: `CentreFault` objects or texts.
        kbit: the line to it carries no more in each direction, kbit/s; 0 for no limit.
        tls: serve HTTPS with a certificate of its own authority, whose file is `ca`.
        silent_s: a school whose box has not been heard for so many seconds is shown as silent.
        clock: Unix seconds.

    Raises:
        DeviceBusyError: the port is taken.
        UsageError: a fault that it cannot do.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "edusense",
        secret: str | None = "",
        faults: Iterable[CentreFault | str] = (),
        tls: bool = False,
        kbit: float = 0.0,
        silent_s: float = SILENT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.port, self.user = host, port, user
        self.secret = secrets.token_urlsafe(24) if secret == "" else secret
        self.faults = [fault if isinstance(fault, CentreFault) else CentreFault.parse(fault) for fault in faults]
        self._tls, self._kbit, self._silent_s, self._clock = tls, kbit, silent_s, clock
        if not tls and any(fault.kind == "expired-certificate" for fault in self.faults):
            raise UsageError("a certificate can only be over where there is one", hint="--tls")
        self._given = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._begun = time.monotonic()
        self._had_faults = False
        self._stopping = threading.Event()
        self.ca: Path | None = None
        """The file of the authority that its certificate is checked by."""

    def start(self) -> Self:
        """Begins to serve."""
        if self._given is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="edusense-ops-")
        folder = Path(self._temporary.name) if self._temporary is not None else Path(self._given or ".")
        self.store = CentreStore(folder, clock=self._clock)
        try:
            certificate = key = None
            if self._tls:
                from edusense.sim.ops_centre.certificates import make_certificate

                expired = any(fault.kind == "expired-certificate" for fault in self.faults)
                self.ca, certificate, key = make_certificate(folder, self.host, expired=expired)
            known = None if self.secret is None else {self.user: self.secret.encode()}
            self.application = CentreApplication(
                self.store, secrets=known, faulty=self.is_faulty, silent_s=self._silent_s, clock=self._clock
            )
            self._server = WebServer(self.application.web, name="ops-centre", certificate=certificate, key=key)
            self._server.wait_ready()
            self.link = VirtualLink(lambda: ("127.0.0.1", self._server.port), host=self.host, port=self.port).start()
        except BaseException:
            self.store.close()
            raise
        self.port = self.link.port
        self.link.weather.kbit = self._kbit
        self._begun = time.monotonic()
        self._turner = threading.Thread(target=self._turn, name="ops-centre faults", daemon=True)
        self._turner.start()
        return self

    def stop(self) -> None:
        """Ends it; what it got stays where a folder was given. Harmless when repeated."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._turner.join(2.0)
        self.application.end()
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
    def page(self) -> str:
        """The address of its page."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}/"

    @property
    def url(self) -> str:
        """What stands as `url` in a box's site file."""
        return f"{self.page}alerts"

    def is_faulty(self, kind: str) -> bool:
        """Whether a fault is on now."""
        after_s = time.monotonic() - self._begun
        return any(fault.kind == kind and fault.holds(after_s) for fault in self.faults)

    def set_faults(self, *kinds: str) -> None:
        """Exchanges its faults, from now on."""
        self.faults = [CentreFault.parse(kind) for kind in kinds]
        self._weather()

    def answer(self, case: str, answer: str, *, by: str, note: str | None = None, school: str | None = None) -> None:
        """Answers a case, as somebody at the page would; `school` also one that was never heard of."""
        self.store.answer(case, answer, by=by, note=note, school=school)
        self.application.changed()

    def row(self) -> dict[str, Any]:
        """What `edusense sim ops-centre` prints when it is ready, without its secret's place."""
        return {"kind": "ops-centre", "id": "ops-centre", "url": self.url, "page": self.page, "port": self.port}

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
        weather.kbit, weather.delay_s = (200.0, 0.5) if self.is_faulty("slow") else (self._kbit, 0.0)
        weather.answer_lost = 0.34 if self.is_faulty("answer-lost") else 0.0
        weather.cut = 0.05 if self.is_faulty("cut") else 0.0
        if self.is_faulty("down") == self.link.is_up:
            if self.link.is_up:
                self.link.cut()
            else:
                self.link.mend()
