"""A virtual camera over real sockets: strangers can play it, its faults are what they say, no client can hurt it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import socket
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import av
import pytest

from edusense.errors import DeviceBusyError, UsageError
from edusense.sim.camera import VirtualCamera
from edusense.sim.clips import Clip
from edusense.sim.encode import Encoding
from edusense.sim.player import ClipSource
from edusense.sim.rtp import depacketise

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCODING = Encoding(320, 180, 20.0, gop_s=0.5)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.draw("room", ENCODING, seconds=10, seed=4)


@pytest.fixture
def camera(clip: Clip) -> Iterator[VirtualCamera]:
    with VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None) as camera:
        yield camera


class Client:
    """A client that can misbehave."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        self.url, self.user, self.password = url, user, password
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), 5)
        self.number = 0
        self.challenge: tuple[str, str] | None = None
        self.data = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, method: str, uri: str, *headers: str) -> bytes:
        self.number += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self.number}", *headers]
        if self.challenge:
            realm, nonce = self.challenge
            h = [
                hashlib.md5(part.encode()).hexdigest()
                for part in (f"{self.user}:{realm}:{self.password}", f"{method}:{uri}")
            ]
            response = hashlib.md5(f"{h[0]}:{nonce}:{h[1]}".encode()).hexdigest()
            lines.append(
                f'Authorization: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                f'response="{response}"'
            )
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def ask(self, method: str, uri: str | None = None, *headers: str) -> tuple[int, dict[str, str], bytes]:
        self.socket.sendall(self.request(method, self.url if uri is None else uri, *headers))
        return self.answer()

    def fill(self) -> None:
        part = self.socket.recv(65536)
        if not part:
            raise EOFError
        self.data += part

    def packet(self) -> tuple[int, bytes]:
        """The next interleaved packet."""
        while True:
            while len(self.data) < 4 or len(self.data) < 4 + int.from_bytes(self.data[2:4]):
                self.fill()
            assert self.data[:1] == b"$", self.data[:40]
            end = 4 + int.from_bytes(self.data[2:4])
            found, self.data = (self.data[1], self.data[4:end]), self.data[end:]
            return found

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        while True:
            while len(self.data) < 4:
                self.fill()
            if self.data[:1] != b"$":
                break
            self.packet()
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, _, rest = self.data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        self.data = rest
        while len(self.data) < length:
            self.fill()
        body, self.data = self.data[:length], self.data[length:]
        assert headers.get("cseq") in {str(self.number), None}
        return int(lines[0].split()[1]), headers, body

    def login(self) -> None:
        status, headers, _ = self.ask("DESCRIBE")
        assert status == 401
        found = re.search(r'realm="([^"]+)", nonce="([^"]+)"', headers["www-authenticate"])
        assert found
        self.challenge = (found[1], found[2])

    def play(self) -> dict[str, str]:
        self.login()
        status, headers, _ = self.ask(
            "SETUP", self.url + "/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3"
        )
        assert status == 200, status
        assert headers["transport"] == "RTP/AVP/TCP;unicast;interleaved=2-3"
        self.session = headers["session"].split(";")[0]
        status, headers, _ = self.ask("PLAY", None, f"Session: {self.session}")
        assert status == 200
        return headers

    def closed(self, within: float = 3.0) -> bool:
        self.socket.settimeout(within)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def client_of(camera: VirtualCamera) -> Client:
    return Client(camera.rtsp, camera.user, camera.password)


def ffmpeg(camera: VirtualCamera, pictures: int = 12, **options: str) -> list[Any]:
    url = camera.rtsp.replace("rtsp://", f"rtsp://{camera.user}:{quote(camera.password)}@")
    options = {"rtsp_transport": "tcp", "analyzeduration": "0", "probesize": "32", **options}
    with av.open(url, options=options, timeout=5) as container:
        found = []
        for frame in container.decode(video=0):
            found.append(frame)
            if len(found) == pictures:
                break
        return found


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_ffmpeg_plays_it(clip: Clip, scheme: str) -> None:
    with VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None, schemes=(scheme,)) as camera:
        frames = ffmpeg(camera)
        assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
        steps = {after.pts - before.pts for before, after in itertools.pairwise(frames) if before.pts is not None}
        assert steps == {90_000 // 20}
        assert camera.counts.malformed == 0


def test_ffmpeg_is_refused_with_a_wrong_password(camera: VirtualCamera) -> None:
    camera.password = "wrong"
    with pytest.raises(av.error.HTTPUnauthorizedError):
        ffmpeg(camera)
    assert camera.counts.refused >= 1


def test_what_arrives_is_what_was_encoded(camera: VirtualCamera, clip: Clip) -> None:
    with client_of(camera) as client:
        info = client.play()["rtp-info"]
        sequence, timestamp = (int(re.search(rf"{name}=(\d+)", info)[1]) for name in ("seq", "rtptime"))  # type: ignore[index]
        pictures: list[list[bytes]] = [[]]
        reports = []
        while len(pictures) <= 25:
            channel, packet = client.packet()
            if channel == 3:
                reports.append(packet)
                continue
            assert channel == 2
            _, kind, seq, stamp, _ = struct.unpack_from(">BBHII", packet)
            assert seq == sequence
            assert (stamp - timestamp) % 2**32 == (len(pictures) - 1) * 4500
            sequence = (sequence + 1) & 0xFFFF
            pictures[-1].append(packet[12:])
            if kind & 128:
                pictures.append([])
        nals = [tuple(depacketise(payloads)) for payloads in pictures[:25]]
        sent = [picture.nals for picture in clip.pictures]
        start = sent.index(nals[0])
        assert clip.pictures[start].key
        assert nals == [(sent * 2)[start + offset] for offset in range(25)]
        # The report joins both clocks: what it says now, in RTP's time, is within a picture of the truth.
        ssrc, seconds, fraction, now = struct.unpack_from(">IIII", reports[0], 4)
        unix = seconds - 2_208_988_800 + fraction / 2**32
        assert abs(unix - time.time()) < 5
        player = camera.players["main"]
        assert abs(unix + ((timestamp - now) % 2**32) / 90_000 - player.unix(player.index)) < 5
        assert ssrc == player.source.ssrc


def test_all_methods_and_states(camera: VirtualCamera) -> None:
    with client_of(camera) as client:
        assert client.ask("OPTIONS", "*")[1]["public"].startswith("OPTIONS, DESCRIBE")
        assert client.ask("PLAY")[0] == 401
        client.login()
        status, headers, sdp = client.ask("DESCRIBE", None, "Accept: application/sdp")
        assert status == 200
        assert headers["content-type"] == "application/sdp"
        assert headers["content-base"] == client.url + "/"
        sets = re.search(rb"sprop-parameter-sets=(\S+)", sdp)
        assert sets
        assert [base64.b64decode(part)[0] & 31 for part in sets[1].split(b",")] == [7, 8]
        assert client.ask("DESCRIBE", client.url + "x")[0] == 404
        assert client.ask("PLAY")[0] == 455
        assert client.ask("PLAY", None, "Session: 12")[0] == 454
        track = client.url + "/trackID=0"
        assert client.ask("SETUP", track, "Transport: RTP/AVP;unicast;client_port=5000-5001")[0] == 461
        assert client.ask("SETUP", client.url + "/other/trackID=0", "Transport: RTP/AVP/TCP")[0] == 404
        status, headers, _ = client.ask("SETUP", track, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        assert status == 200
        session = headers["session"].split(";")[0]
        assert client.ask("SETUP", track, "Transport: RTP/AVP/TCP", f"Session: {session}")[0] == 459
        assert client.ask("PLAY", None, "Session: 1")[0] == 454
        assert client.ask("GET_PARAMETER", None, f"Session: {session}")[0] == 200
        assert client.ask("SET_PARAMETER", None, f"Session: {session}")[0] == 200
        assert client.ask("PAUSE", None, f"Session: {session}")[0] == 501
        assert client.ask("DANCE")[0] == 405
        assert client.ask("PLAY", None, f"Session: {session}")[0] == 200
        assert client.ask("TEARDOWN", None, f"Session: {session}")[0] == 200
        assert camera.watchers == 0
        assert client.ask("SETUP", track, "Transport: RTP/AVP/TCP")[0] == 200


def test_requests_in_one_piece_and_in_many(camera: VirtualCamera) -> None:
    with client_of(camera) as client:
        together = client.request("OPTIONS", "*") + client.request("OPTIONS", "*")
        client.socket.sendall(together)
        client.number -= 1
        assert client.answer()[0] == 200
        client.number += 1
        assert client.answer()[0] == 200
        for byte in client.request("OPTIONS", "*"):
            client.socket.sendall(bytes((byte,)))
        assert client.answer()[0] == 200


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"OPTIONS * RTSP/1.0\r\n\r\n"]
)
def test_what_is_not_rtsp_is_answered_and_closed(camera: VirtualCamera, data: bytes) -> None:
    with client_of(camera) as client:
        client.socket.sendall(data)
        assert client.answer()[0] == 400
        assert client.closed()
    assert camera.counts.malformed == 1
    assert ffmpeg(camera, 3)


def test_a_client_that_does_not_read_costs_whole_pictures_and_bounded_memory() -> None:
    # Some 20 Mbit/s of noise: two seconds fill the kernel's buffers and the queue.
    encoding = Encoding(640, 360, 20.0, gop_s=0.5, crf=1, cap_kbit=200_000, preset="ultrafast")
    noisy = Clip.draw("gym", encoding, seconds=2, seed=1)
    with VirtualCamera(streams={"main": ClipSource(noisy)}, onvif_port=None) as camera, client_of(camera) as client:
        client.play()
        deadline = time.monotonic() + 20
        while camera.counts.dropped == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert camera.counts.dropped > 0
        assert len(ffmpeg(camera, 5)) == 5  # nobody else is held up
        # Now it reads: packets are whole, and what is missing is missing in whole pictures, up to a key picture.
        pictures, last, gaps = [], None, 0
        payloads: list[bytes] = []
        while gaps == 0 or len(payloads):
            channel, packet = client.packet()
            if channel != 2:
                continue
            _, kind, seq, _, _ = struct.unpack_from(">BBHII", packet)
            if last is not None and seq != (last + 1) & 0xFFFF:
                assert not payloads, "a picture was cut"
                gaps += 1
                assert packet[12] & 31 == 7, "after a gap comes a key picture"
            last = seq
            payloads.append(packet[12:])
            if kind & 128:
                pictures.append(depacketise(payloads))
                payloads = []
        assert gaps


def test_a_silent_session_is_ended(clip: Clip) -> None:
    with VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None, session_timeout_s=0.3) as camera:
        with client_of(camera) as client:
            client.play()
            assert client.closed(4)
        assert camera.watchers == 0


# ---- faults


def pictures_within(client: Client, seconds: float) -> int:
    client.socket.settimeout(seconds)
    count, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            channel, packet = client.packet()
            count += channel == 2 and packet[1] >> 7
    except TimeoutError:
        pass
    return count


def test_stall_keeps_the_connection_and_ends(camera: VirtualCamera) -> None:
    with client_of(camera) as client:
        client.play()
        assert pictures_within(client, 1.0) > 5
        camera.fault = "stall"
        pictures_within(client, 0.2)
        assert pictures_within(client, 0.5) == 0
        client.socket.settimeout(3)
        assert client.ask("GET_PARAMETER", None, f"Session: {client.session}")[0] == 200
        camera.fault = None
        assert pictures_within(client, 1.2) > 5


def test_drop_after_a_while(camera: VirtualCamera) -> None:
    camera.fault = "drop@0.5"
    with client_of(camera) as client:
        client.play()
        begun = time.monotonic()
        assert client.closed()
        assert 0.3 < time.monotonic() - begun < 2
    assert camera.watchers == 0


def fifty_rtp_packets(client: Client) -> None:
    for _ in range(50):
        channel, packet = client.packet()
        assert channel in {2, 3}
        assert packet[0] >> 6 == 2


def test_garbage_is_not_rtp(camera: VirtualCamera) -> None:
    camera.fault = "garbage"
    with client_of(camera) as client:
        client.play()
        client.socket.settimeout(3)
        client.data = b""
        while len(client.data) < 4000:
            client.fill()
        client.socket.settimeout(1)
        with pytest.raises((AssertionError, TimeoutError)):
            fifty_rtp_packets(client)


def test_refused_logins_and_slow_starts(camera: VirtualCamera) -> None:
    camera.fault = "refuse-auth"
    with pytest.raises(av.error.HTTPUnauthorizedError):
        ffmpeg(camera)
    camera.fault = "slow-start@0.6"
    begun = time.monotonic()
    with client_of(camera) as client:
        assert client.ask("OPTIONS")[0] == 200
        assert 0.5 < time.monotonic() - begun < 3
        assert client.ask("OPTIONS")[0] == 200


def test_the_size_changes_in_mid_stream(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, clip: Clip) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None, fault="sps-change@1.5") as camera:
        sizes = [(frame.width, frame.height) for frame in ffmpeg(camera, 60)]
    assert sizes[0] == (320, 180)
    assert sizes[-1] == (240, 128)


def test_the_clock_jumps(camera: VirtualCamera) -> None:
    camera.fault = "clock-jump"
    with client_of(camera) as one:
        one.play()
        time.sleep(0.1)
        with client_of(camera) as client:
            client.play()
            while (packet := client.packet())[0] != 3:
                pass
            seconds = int.from_bytes(packet[1][8:12]) - 2_208_988_800
            assert 3500 < seconds - time.time() < 3700


def test_unplugged_for_a_moment(camera: VirtualCamera) -> None:
    with client_of(camera) as client:
        client.play()
        camera.disconnect()
        assert client.closed()
    assert ffmpeg(camera, 3)


# ---- the class


def test_truth_in_unix_time(camera: VirtualCamera, clip: Clip) -> None:
    player = camera.players["main"]
    rows = camera.staged(player.epoch, player.epoch + 3 * clip.seconds)
    assert len(rows) == 3 * len(clip.staged) > 0
    assert rows == sorted(rows, key=lambda row: row["start_s"])
    first = clip.staged[0]
    assert rows[0]["start_s"] == pytest.approx(player.epoch + first.first / 20, abs=0.001)
    assert rows[len(clip.staged)]["start_s"] - rows[0]["start_s"] == pytest.approx(clip.seconds, abs=0.002)


def test_starting_and_stopping(clip: Clip) -> None:
    camera = VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None)
    camera.stop()
    with camera:
        port = camera.port
        with pytest.raises(DeviceBusyError):
            VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None, port=port).start()
        assert camera.start() is camera
    camera.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    with pytest.raises(UsageError):
        VirtualCamera(schemes=("kerberos",))
    with pytest.raises(UsageError):
        VirtualCamera(fault="explode")


def test_cameras_of_one_ending_are_two_devices(clip: Clip) -> None:
    streams = {"main": ClipSource(clip)}
    with (
        VirtualCamera("201-front", streams=streams) as first,
        VirtualCamera("202-front", streams=streams) as second,
    ):
        identities = [camera.onvif_server.identity for camera in (first, second)]
    assert len({one.mac for one in identities}) == 2
    assert len({one.endpoint_reference for one in identities}) == 2


def test_it_serves_onvif_and_a_picture(clip: Clip) -> None:
    with VirtualCamera("hall-1", streams={"main": ClipSource(clip)}) as camera:
        assert camera.onvif == f"http://127.0.0.1:{camera.onvif_port}/onvif/device_service"
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                picture = camera.players["main"].snapshot()
                break
            except LookupError:
                time.sleep(0.05)
        assert picture[:2] == b"\xff\xd8"
