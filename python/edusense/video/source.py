"""Files and streams of pictures, opened through FFmpeg in PyAV; what goes wrong is said in our own errors.

Times are seconds from the start of the source. Damage does not end a source: what was whole before and after it is
given, and each damaged part is told to whoever asked (`on_damage`).
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import av
import av.error
from av.bitstream import BitStreamFilterContext

from edusense.errors import (
    EdusenseError,
    PermissionDeniedError,
    StreamError,
    StreamLostError,
    StreamProtocolError,
    StreamRefusedError,
    StreamTimeoutError,
    UsageError,
    VideoSourceError,
)
from edusense.video.luma import luma_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from edusense.video.luma import Luma

__all__ = ["STDIN", "Damage", "OpenSource", "Picture", "duration_s", "is_url", "open_source", "redacted"]

log = logging.getLogger(__name__)

STDIN = "-"
"""What stands for standard input among sources; it can be read once, and not sought in."""

MAX_SIDE = 8192
"""Pictures wider or higher are refused before anything is allocated for them."""

TIMEOUT_S = 10.0
"""A stream that sends nothing for so long is given up."""

_ELEMENTARY = frozenset({"h264", "hevc"})

_CODECS = {"h264": "h264", "hevc": "h265", "mjpeg": "jpeg"}
_FILTERS = {"h264": "h264_mp4toannexb", "h265": "hevc_mp4toannexb"}

_URL_SCHEMES = ("rtsp", "rtsps")


@dataclass(frozen=True)
class Damage:
    """A part of a source that could not be used.

    Attributes:
        start_s: where it begins, in seconds from the source's start.
        end_s: where whole pictures begin again; None at the source's end.
        reason: what was found, in words.
    """

    start_s: float
    end_s: float | None
    reason: str

    def __str__(self) -> str:
        end = "the end" if self.end_s is None else f"{self.end_s:.2f} s"
        return f"{self.start_s:.2f} s to {end}: {self.reason}"


@dataclass(frozen=True)
class Picture:
    """One decoded picture.

    Attributes:
        pts_s: when it is shown, in seconds from the source's start.
        luma: `uint8[height, width]`.
        key: decoding can start here.
    """

    pts_s: float
    luma: Luma
    key: bool


def is_url(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a live stream rather than a file."""
    return isinstance(source, str) and source.partition("://")[0].lower() in _URL_SCHEMES and "://" in source


def redacted(source: str | os.PathLike[str]) -> str:
    """The source as it may be shown: a URL without its user and password."""
    text = os.fspath(source)
    if not is_url(text):
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def duration_s(source: str | os.PathLike[str]) -> float | None:
    """How long a file says that it is, in seconds; None where it does not say, or cannot be read."""
    if source == STDIN:
        return None
    try:
        with open_source(source) as opened:
            return opened.duration_s
    except EdusenseError:
        return None


def with_credentials(url: str, user: str | None, password: str | None) -> str:
    """The URL that FFmpeg wants: credentials inside. It goes nowhere but into FFmpeg."""
    if user is None:
        return url
    parts = urlsplit(url)
    secret = quote(user, safe="") + ("" if password is None else ":" + quote(password, safe=""))
    return urlunsplit(parts._replace(netloc=f"{secret}@{parts.netloc.rpartition('@')[2]}"))


class OpenSource:
    """An open source with one video stream; made by `open_source`."""

    def __init__(
        self,
        name: str,
        container: InputContainer,
        stream: VideoStream,
        on_damage: Callable[[Damage], None] | None,
    ) -> None:
        self.name = name
        self.container = container
        self.stream = stream
        self.live = is_url(name)
        self.pictures_given = 0
        self.packets_read = 0
        self._on_damage = on_damage
        self._last_s: float | None = None
        start: int | None = container.start_time
        self._start_s = 0.0 if start is None or self.live else start / av.time_base
        rates: tuple[Fraction | None, ...] = (stream.average_rate, stream.base_rate)
        self._step_s = next((float(1 / rate) for rate in rates if rate is not None and rate > 0), 0.04)

        # An elementary stream has no times: FFmpeg counts pictures, at 25 a second, whatever the stream says of itself.
        told: Fraction | None = stream.codec_context.framerate if container.format.name in _ELEMENTARY else None
        # Rates outside of these are clocks for streams whose pictures come when they like.
        self._stretch = 1 / float(told) / self._step_s if told and 1 <= told <= 120 else 1.0
        self._step_s *= self._stretch

    @property
    def duration_s(self) -> float | None:
        """How long the source says that it is; None where it does not."""
        if self.container.duration is None or self.live:
            return None
        return float(self.container.duration / av.time_base)

    def seconds(self, ticks: int | None, time_base: Any) -> float:
        """Seconds from the source's start; where a time is missing, one picture after the one before."""
        if ticks is None or time_base is None:
            return 0.0 if self._last_s is None else self._last_s + self._step_s
        return float(ticks * time_base) * self._stretch - self._start_s

    def damaged(self, damage: Damage) -> None:
        """Tells of damage."""
        if self._on_damage is not None:
            self._on_damage(damage)
        else:
            log.warning("%s: %s", redacted(self.name), damage)

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Packets of the video stream in decoding order, without the empty one that ends a file."""
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    self.packets_read += 1
                    yield packet
        except av.error.EOFError:
            pass
        except av.error.FFmpegError as error:
            if self.live:
                raise _stream_error(self.name, error) from error
            self.damaged(Damage(self._last_s or 0.0, None, _reason(error)))
            return
        if self.live:
            raise StreamLostError(
                f"`{redacted(self.name)}` ended after {self.packets_read} pictures, and a camera's stream has no end",
                hint="did the camera restart, or the network drop it? what was found before holds",
            )

    def seek(self, at_s: float) -> bool:
        """Goes to the key picture at or before a time; False where a file cannot be sought in."""
        if self.container.format.name in _ELEMENTARY:
            return False
        try:
            self.container.seek(int((at_s + self._start_s) * av.time_base), backward=True, any_frame=False)
        except av.error.FFmpegError as error:
            log.info("%s cannot be sought in: %s", redacted(self.name), _reason(error))
            return False
        return True

    @property
    def untimed(self) -> bool:
        """Whether it is an elementary stream, whose pictures have no times of their own."""
        return self.container.format.name in _ELEMENTARY

    @property
    def codec(self) -> str | None:
        """The codec by our name: `h264`, `h265`, `jpeg`; None for any other."""
        return _CODECS.get(self.stream.codec_context.name)

    def units(self) -> Iterator[tuple[bytes, float, bool]]:
        """Access units as a camera would send them, in decoding order: bytes, seconds, whether decoding starts there.

        H.264 and H.265 come as Annex B with the parameter sets before key pictures.
        """
        data = self.stream.codec_context.extradata
        name = _FILTERS.get(self.codec or "")
        filters = None
        if name is not None and data and not data.startswith((b"\0\0\1", b"\0\0\0\1")):
            filters = BitStreamFilterContext(name, in_stream=self.stream)
        for packet in self.packets():
            try:
                units = filters.filter(packet) if filters else [packet]
            except av.error.FFmpegError as error:
                at_s = self.seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
                self.damaged(Damage(at_s, at_s + self._step_s, _reason(error)))
                continue
            for unit in units:
                ticks = unit.pts if unit.pts is not None else unit.dts
                self._last_s = self.seconds(ticks, unit.time_base)
                yield bytes(unit), self._last_s, bool(unit.is_keyframe)

    def pictures(self, *, keys_only: bool = False) -> Iterator[Picture]:
        """Decoded pictures in the order in which they are shown.

        After a damaged picture those that may depend on it are left out, up to the next key picture.

        Args:
            keys_only: decode key pictures only.
        """
        context = self.stream.codec_context
        if keys_only:
            context.skip_frame = "NONKEY"
        broken: tuple[float, str] | None = None
        for packet in self._with_flush():
            at_s = self.seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
            if keys_only and packet.size and not packet.is_keyframe:
                continue
            try:
                if packet.size and packet.is_corrupt:
                    raise av.error.InvalidDataError(0, "marked as corrupt")
                frames = context.decode(packet if packet.size else None)
            except av.error.EOFError:
                frames = []
            except av.error.FFmpegError as error:
                broken = broken or (at_s, _reason(error))
                continue
            for frame in frames:
                if frame.is_corrupt:
                    broken = broken or (self.seconds(frame.pts, frame.time_base), "a picture that is not whole")
                    continue
                pts_s = self.seconds(frame.pts, frame.time_base)
                if broken is not None:
                    if not frame.key_frame:
                        continue
                    self.damaged(Damage(broken[0], pts_s, broken[1]))
                    broken = None
                self._last_s = pts_s
                self.pictures_given += 1
                yield Picture(pts_s, luma_of(frame), bool(frame.key_frame))
        if broken is not None:
            self.damaged(Damage(broken[0], None, broken[1]))
        self._say_if_cut(keys_only)

    def _with_flush(self) -> Iterator[av.Packet[Any]]:
        yield from self.packets()
        yield av.Packet()

    def _say_if_cut(self, keys_only: bool) -> None:
        """A file that says it is longer than what was in it was cut."""
        if self.duration_s is None or keys_only or self._last_s is None:
            return
        missing_s = self.duration_s - (self._last_s + self._step_s)
        if missing_s > max(1.0, 3 * self._step_s):
            reason = f"the file ends here, but says that it is {self.duration_s:.2f} s long"
            self.damaged(Damage(self._last_s + self._step_s, None, reason))


@contextmanager
def open_source(
    source: str | os.PathLike[str],
    *,
    user: str | None = None,
    password: str | None = None,
    on_damage: Callable[[Damage], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[OpenSource]:
    """Opens a file or an RTSP URL.

    Args:
        source: a path, a URL `rtsp://…` (without a password in it: see `user`, `password`), or `-` for standard input.
        user: for a URL.
        password: for a URL.
        on_damage: called for each damaged part.
        timeout_s: how long a stream may be silent.

    Raises:
        VideoSourceError: the file cannot be read as video.
        PermissionDeniedError: the file may not be read.
        StreamError: the stream cannot be opened (its sub-classes say why).
    """
    name = os.fspath(source)
    url = is_url(source)
    options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}
    if url:
        options |= {"rtsp_transport": "tcp", "timeout": str(int(timeout_s * 1e6))}
        target = with_credentials(name, user, password)
    elif name == STDIN:
        if sys.stdin.isatty():
            raise UsageError("`-` is standard input, and that is a terminal", hint="cat monday.mp4 | edusense video …")
        target = "pipe:0"
    else:
        _check_file(name)
        target = f"file:{name}"
    try:
        container = av.open(target, options=options, timeout=timeout_s if url else None, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _open_error(name, error) from error
    except (OSError, UnicodeError, ValueError) as error:
        raise VideoSourceError(f"`{redacted(name)}` cannot be opened: {error}") from error
    with container:
        yield OpenSource(name, container, _video_stream(name, container), on_damage)


def _check_file(name: str) -> None:
    if "://" in name:
        raise UsageError(
            f"`{name.partition('://')[0]}` URLs are not known", hint=f"a file, or {' or '.join(_URL_SCHEMES)}://…"
        )
    path = Path(name)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise VideoSourceError(
            f"`{name}` does not exist",
            hint="a file's path, an address such as rtsp://…, or `-` for what comes by a pipe",
        ) from None
    except PermissionError as error:
        raise PermissionDeniedError(f"`{name}` may not be read", hint=f"`ls -l {name}` shows whose it is") from error
    except (OSError, ValueError) as error:
        raise VideoSourceError(f"`{name}` cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoSourceError(f"`{name}` is a folder", hint=f"name the files in it: {name.rstrip('/')}/*.mp4")
    if not os.access(path, os.R_OK):
        raise PermissionDeniedError(f"`{name}` may not be read", hint=f"`ls -l {name}` shows whose it is")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise VideoSourceError(f"`{name}` is empty: 0 bytes")


def _video_stream(name: str, container: InputContainer) -> VideoStream:
    shown = redacted(name)
    if container.format.name in {"tty", "lrc", "srt", "webvtt", "ass"}:
        raise VideoSourceError(f"`{shown}` is text, not video")
    streams = [stream for stream in container.streams.video if _has_decoder(stream)]
    if not streams:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoSourceError(f"`{shown}` has no video stream that can be decoded; it holds {held}")
    stream = streams[0]
    context = stream.codec_context
    if context.width > MAX_SIDE or context.height > MAX_SIDE:
        raise VideoSourceError(
            f"`{shown}` has pictures of {context.width}x{context.height}; the limit is {MAX_SIDE}x{MAX_SIDE}"
        )
    # One thread: many sources share the machine, and a picture's delay matters more than one file's speed.
    context.thread_count = 1
    return stream


def _has_decoder(stream: VideoStream) -> bool:
    """PyAV's types promise a codec context; streams of codecs that this FFmpeg does not know have none."""
    context: object = stream.codec_context
    return context is not None


def _reason(error: av.error.FFmpegError) -> str:
    """FFmpeg's words with its last line of log where it says more."""
    text = error.strerror or type(error).__name__
    log_line: object = error.log
    logged = str(log_line[-1]).strip() if isinstance(log_line, tuple) and log_line and log_line[-1] else ""
    return f"{text} ({logged})" if logged and logged not in text else text


def _open_error(name: str, error: av.error.FFmpegError) -> EdusenseError:
    shown = redacted(name)
    if is_url(name):
        return _stream_error(name, error)
    if isinstance(error, av.error.PermissionError):
        return PermissionDeniedError(f"`{shown}` may not be read", hint=f"`ls -l {shown}` shows whose it is")
    if name == STDIN:
        hint = "an mp4 whose index stands at its end cannot be read from a pipe: name the file"
    else:
        hint = "a recording cut off before its index was written (mp4, mov) needs a repair tool first"
    return VideoSourceError(
        f"`{shown}` is not video, or is too damaged to be opened: {_reason(error)}",
        hint=hint,
    )


def _stream_error(name: str, error: av.error.FFmpegError) -> StreamError:
    shown = redacted(name)
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return StreamRefusedError(f"`{shown}` refused user or password", hint="--user and --password-from name them")
    if isinstance(error, (av.error.TimeoutError, av.error.ExitError)):
        return StreamTimeoutError(f"`{shown}` sent nothing in time", hint="is the camera on, and the address its own?")
    if isinstance(error, OSError):
        return StreamLostError(
            f"`{shown}` cannot be reached: {_reason(error)}",
            hint="is the device on, and are address and port its own? `edusense camera discover` finds cameras",
        )
    return StreamProtocolError(
        f"`{shown}` does not speak RTSP as it should: {_reason(error)}",
        hint="is it a camera's stream address? `edusense camera show ID` has the one that the camera tells",
    )
