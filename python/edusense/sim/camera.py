"""A virtual camera: RTSP and ONVIF that other people's software can talk to, and the truth about what it shows."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from edusense.errors import DeviceBusyError, UsageError
from edusense.sim.clips import library_clip
from edusense.sim.faults import OTHER_STREAM, Fault
from edusense.sim.library import encoding_of
from edusense.sim.onvif_http import SharedLoop
from edusense.sim.onvif_lies import LIES
from edusense.sim.player import ClipSource, Player
from edusense.sim.rtsp import Guard
from edusense.sim.rtsp_server import Counts, RtspServer
from edusense.sim.spoiling import SPOILS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Coroutine, Mapping

    from edusense.sim.encode import Encoding
    from edusense.sim.library import PlayerLibrary
    from edusense.sim.onvif_server import Identity, OnvifServer
    from edusense.sim.player import Source
    from edusense.sim.shelf import Shelf

__all__ = ["VirtualCamera"]


class VirtualCamera:
    """A camera that is not there: serves from `start` to `stop`, from threads of its own.

    ```python
    with VirtualCamera(scene="corridor") as camera:
        print(camera.rtsp, camera.user, camera.password)
        camera.fault = "stall"
        ...
        print(camera.staged(time.time() - 10, time.time()))
    ```

    Args:
        id: its name.
        host: address to listen on.
        port: RTSP port; 0 takes a free one.
        onvif_port: ONVIF port; 0 takes a free one, None serves no ONVIF.
        user: the one user.
        password: that user's password; a random one by default; an empty one lets everybody watch.
        scene: one of `edusense.sim.scenes.KINDS`.
        encoding: of its one stream; a library clip is drawn (or taken out of the cache) so.
        seconds: length of the clip that it shows in a loop.
        seed: of scene and script.
        events: whether anything happens in front of it.
        streams: name (`main`, `sub`) → player or source, largest first, instead of a library clip.
            Players may be shared between cameras.
        library: where its streams come from: it then sends what its encoders are set to.
        encodings: with a library: name → how the stream is encoded at first, largest first.
        phase: with a library: which of a few phases its key pictures have.
        fault: what to do wrong: a name out of `edusense.sim.faults.FAULTS`, with `@SECONDS`.
        faults: more of it: names out of `edusense.sim.onvif_lies.LIES`, `edusense.sim.spoiling.SPOILS`, and
            `other-stream`.
        lease: the address that a DHCP server has for it.
        shelf: where its ONVIF half stands as long as others have the same address.
        reboot_s: how long a restart takes.
        tls: its ONVIF half speaks https with this context.
        schemes: authentication offered: `digest`, `digest-sha256`, `basic`.
        identity: who it is, to ONVIF.
        clock: Unix seconds.
    """

    def __init__(
        self,
        id: str = "camera",  # noqa: A002 - the word of the site file
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        onvif_port: int | None = 0,
        user: str = "edusense",
        password: str | None = None,
        scene: str = "room",
        encoding: Encoding | None = None,
        seconds: float = 20.0,
        seed: int = 1,
        events: bool = True,
        streams: Mapping[str, Player | Source] | None = None,
        library: PlayerLibrary | None = None,
        encodings: Mapping[str, Encoding] | None = None,
        phase: int = 0,
        fault: str | Fault | None = None,
        faults: Collection[str] = (),
        lease: str | None = None,
        shelf: Shelf | None = None,
        reboot_s: float = 1.0,
        tls: ssl.SSLContext | None = None,
        schemes: tuple[str, ...] = ("digest",),
        identity: Identity | None = None,
        session_timeout_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if unknown := set(schemes) - set(Guard.SCHEMES):
            raise UsageError(f"there is no scheme `{min(unknown)}`", hint=f"schemes are: {', '.join(Guard.SCHEMES)}")
        self.id, self.host, self.port, self.onvif_port = id, host, port, onvif_port
        self.user = user
        self.password = secrets.token_urlsafe(12) if password is None else password
        self._fault = Fault.parse(fault) if isinstance(fault, str) else fault
        self._clock = clock
        self._schemes, self._identity, self._session_timeout_s = schemes, identity, session_timeout_s
        self._scene, self._encoding, self._seconds, self._seed, self._events = scene, encoding, seconds, seed, events
        self._streams, self._library, self._phase = streams, library, phase
        self._encodings = dict(encodings or {}) if library is not None else {}
        if unknown := set(faults) - LIES.keys() - SPOILS.keys() - {OTHER_STREAM}:
            raise UsageError(
                f"there is no fault `{min(unknown)}`", hint="`edusense sim camera --faults` names them all"
            )
        self._faults = frozenset(faults)
        self._lease, self._shelf, self._reboot_s, self._tls = lease, shelf, reboot_s, tls
        self._players: dict[str, Player] = {}
        self._own: list[Player] = []
        self._others: dict[str, Source] = {}
        self._server: RtspServer | None = None
        self._onvif: OnvifServer | None = None
        self._shared: SharedLoop | None = None

    # ---- life

    def start(self) -> Self:
        """Begins to serve; drawing its clip may take some seconds where the cache does not have it.

        Raises:
            DeviceBusyError: a port is taken.
        """
        if self._shared is not None:
            return self
        streams: Mapping[str, Player | Source] | None = self._streams
        if self._library is not None:
            library = self._library
            streams = {name: library.player(one, self._spoil, self._phase) for name, one in self._encodings.items()}
            if self._fault is not None and self._fault.kind == "sps-change":
                # A camera that changes its size in mid-stream must not take the others along.
                streams = {name: _own_copy(one) for name, one in streams.items()}
        if streams is None:
            clip = library_clip(
                self._scene, self._encoding, seconds=self._seconds, seed=self._seed, events=self._events
            )
            streams = {"main": ClipSource(clip)}
        for name, stream in streams.items():
            if isinstance(stream, Player):
                self._players[name] = stream
            else:
                self._players[name] = Player(stream, clock=self._clock)
                self._own.append(self._players[name])
        for player in self._players.values():
            player.prepare()
        self._prepare()
        guard = Guard(self.user, self.password or None, self._schemes)
        server = RtspServer(
            self._players,
            guard,
            name=self.id,
            fault=self._fault,
            change_size=self._change_size,
            session_timeout_s=self._session_timeout_s,
        )
        try:
            self.port = server.open(self.host, self.port)
        except OSError as error:
            raise DeviceBusyError(
                f"`{self.host}:{self.port}` cannot be listened on: {error.strerror}",
                hint="`--port 0` takes a free one",
            ) from error
        self._server = server
        self._shared = SharedLoop.acquire()
        self._shared.run(self._serve(server))
        if self.onvif_port is not None:
            self._start_onvif()
        return self

    @property
    def _spoil(self) -> str | None:
        return min(self._faults & SPOILS.keys(), default=None)

    async def _serve(self, server: RtspServer) -> None:
        assert self._shared is not None
        for player in self._players.values():
            player.start(self._shared.loop)
        server.serve(self._shared.loop)

    def _start_onvif(self) -> None:
        from edusense.sim.onvif_server import Identity, OnvifServer, Profile

        profiles = [
            Profile(
                token=name,
                name=name,
                width=player.source.encoding.width,
                height=player.source.encoding.height,
                fps=player.source.encoding.fps,
                kbit=player.source.encoding.kbit,
                encoding="H264",
                rtsp_url=self.url(name),
                gop=player.source.encoding.gop,
                constant=player.source.encoding.constant,
                fixed=self._library is None,
            )
            for name, player in self._players.items()
        ]
        # Of the whole id: `201-front` and `202-front` are two devices, and a search tells them apart by this alone.
        mac = "02:ed:" + hashlib.sha256(self.id.encode()).digest()[:4].hex(":")
        onvif = OnvifServer(
            identity=self._identity or Identity(name=self.id, mac=mac),
            profiles=profiles,
            user=self.user,
            password=self.password or None,
            snapshot=next(iter(self._players.values())).snapshot,
            host=self.host,
            port=self.onvif_port or 0,
            clock=self._clock,
            faults=self._lies(),
            lease=self._lease,
            shelf=self._shelf,
            reboot_s=self._reboot_s,
            tls=self._tls,
            codecs=("H264",),
            on_move=self._moved,
            on_encoders=self._encoders_set if self._library is not None else None,
            on_users=self._users_set,
        )
        try:
            onvif.start()
        except OSError as error:
            self.stop()
            raise DeviceBusyError(
                f"`{self.host}:{self.onvif_port}` cannot be listened on: {error.strerror}",
                hint="port 0 takes a free one",
            ) from error
        self._onvif = onvif
        self.onvif_port = onvif.port

    def _lies(self) -> set[str]:
        """What its ONVIF half does wrong."""
        refusing = self._fault is not None and self._fault.kind == "refuse-auth"
        return {*(self._faults & LIES.keys()), *(("refuse-auth",) if refusing else ())}

    def _moved(self, host: str) -> None:
        """It has come back at another address; on the loop's thread."""
        self.host = host
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.move(host)
        if self._onvif is not None:
            self._onvif.profiles = [replace(one, rtsp_url=self.url(one.token)) for one in self._onvif.profiles]

    def _users_set(self) -> None:
        if self._server is not None and self._onvif is not None and self._server.guard.passwords is not None:
            self._server.guard.passwords = {name: one.password for name, one in self._onvif.state.users.items()}

    def _encoders_set(self) -> None:
        """Sends what its encoders are set to, as soon as that is drawn; on the loop's thread."""
        onvif, library, shared = self._onvif, self._library, self._shared
        if onvif is None or library is None or shared is None or OTHER_STREAM in self._faults:
            return
        for profile in onvif.profiles:
            wanted = encoding_of(onvif.state.encoder(profile))
            if wanted == self._encodings.get(profile.token):
                continue
            self._encodings[profile.token] = wanted

            def ready(player: Player, name: str = profile.token, told: Encoding = wanted) -> None:
                def put() -> None:
                    if self._server is not None and self._shared is not None and self._encodings.get(name) == told:
                        self._players[name] = player
                        self._server.replace(name, player)

                shared.loop.call_soon_threadsafe(put)

            library.later(wanted, self._spoil, self._phase, ready)

    def stop(self) -> None:
        """Ends every connection and lets the ports go; harmless when repeated."""
        onvif, self._onvif = self._onvif, None
        if onvif is not None:
            onvif.close()
        shared, self._shared = self._shared, None
        server = self._server
        if shared is None or server is None:
            return

        async def end() -> None:
            server.close()
            for player in self._own:
                player.stop()

        shared.run(end())
        shared.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- who and where

    def url(self, stream: str) -> str:
        """RTSP address of one of its streams, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}:{self.port}/{stream}"

    @property
    def rtsp(self) -> str:
        """RTSP address of its largest stream, without credentials."""
        return self.url(next(iter(self._players), "main"))

    @property
    def onvif(self) -> str | None:
        """Address of its ONVIF device service; None where it serves none."""
        return None if self._onvif is None else self._onvif.url

    @property
    def onvif_server(self) -> OnvifServer | None:
        """Its ONVIF half, with faults of its own."""
        return self._onvif

    @property
    def players(self) -> Mapping[str, Player]:
        """What is played, by the stream's name."""
        return self._players

    @property
    def counts(self) -> Counts:
        """What happened so far."""
        return Counts() if self._server is None else self._server.counts

    @property
    def watchers(self) -> int:
        """How many are being sent pictures."""
        return 0 if self._server is None else self._server.watchers

    # ---- faults

    @property
    def fault(self) -> Fault | None:
        """What it does wrong; may be set while it runs: a `Fault`, text (`"stall@10"`), or None to behave again."""
        return self._fault

    @fault.setter
    def fault(self, fault: str | Fault | None) -> None:
        self._fault = Fault.parse(fault) if isinstance(fault, str) else fault
        server, wanted = self._server, self._fault
        if server is None or self._shared is None:
            return

        self._prepare()

        async def change() -> None:
            server.fault = wanted
            if wanted is None:
                for player in self._players.values():
                    player.clock_offset = 0.0

        self._run(change())
        if self._onvif is not None:
            self._onvif.set_faults(self._lies())

    def disconnect(self) -> None:
        """Breaks off every connection once, as a cable that is pulled and put back."""
        server = self._server

        async def cut() -> None:
            if server is not None:
                server.hang_up()

        self._run(cut())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._shared is not None
        self._shared.run(work)

    def _prepare(self) -> None:
        """Draws what `sps-change` will go on with: three quarters of the size, the same scene."""
        if self._fault is None or self._fault.kind != "sps-change":
            return
        for path, player in self._players.items():
            if path in self._others:
                continue
            encoding = player.source.encoding
            smaller = replace(
                encoding,
                width=max(128, encoding.width * 3 // 4 // 16 * 16),
                height=max(96, encoding.height * 3 // 4 // 16 * 16),
            )
            clip = library_clip(self._scene, smaller, seconds=4.0, seed=self._seed, events=False)
            # One session, one SSRC: only the pictures change.
            self._others[path] = ClipSource(clip, ssrc=player.source.ssrc)

    def _change_size(self, path: str) -> None:
        """Goes on in the other size, and back the next time."""
        player = self._players[path]
        self._others[path], other = player.source, self._others[path]
        player.switch(other)

    # ---- truth

    def staged(self, since_s: float, until_s: float, stream: str | None = None) -> list[dict[str, Any]]:
        """What its clip showed between two Unix times, lures included; only for streams that show a clip.

        Returns:
            Rows of `what`, `start_s`, `end_s` (first and last picture in which it moves), `share`, `box`, `lure`,
            in order of time.
        """
        player = self._players[stream or next(iter(self._players))]
        source = player.source
        if not isinstance(source, ClipSource):
            raise UsageError(f"`{self.id}` shows no clip", hint="a live camera's truth comes from what draws it")
        length, rows = source.clip.seconds, []
        first = max(0, int((since_s - player.epoch) // length))
        for turn in range(first, int((until_s - player.epoch) // length) + 1):
            for one in source.clip.staged:
                begin = player.unix(turn * len(source.clip.pictures) + one.first)
                end = player.unix(turn * len(source.clip.pictures) + one.last)
                if begin >= since_s and end <= until_s:
                    rows.append(
                        {
                            "what": one.what,
                            "start_s": round(begin, 3),
                            "end_s": round(end, 3),
                            "share": round(one.share, 5),
                            "box": one.box.as_list(),
                            "lure": one.lure,
                        }
                    )
        return rows


def _own_copy(one: Player | Source) -> Player | Source:
    """The same clip for one camera alone."""
    source = one.source if isinstance(one, Player) else one
    return ClipSource(source.clip) if isinstance(source, ClipSource) else one
