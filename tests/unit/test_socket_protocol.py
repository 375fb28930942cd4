"""The socket's protocol: what strangers may send, and what comes back; and the page that documents it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edusense.box import connect, connect_async
from edusense.box.audit import AUDIT_NAME, AuditLog
from edusense.box.log import EventLog
from edusense.box.place import BoxLock, short_path, socket_of
from edusense.box.protocol import LINE_LIMIT, REQUESTS, encode, error_line, error_of, parse_request
from edusense.box.server import SocketServer
from edusense.errors import (
    BoxBusyError,
    BoxNotRunningError,
    BoxProtocolError,
    BoxTimeoutError,
    BoxUnknownError,
    CaseUnknownError,
    DeviceTimeoutError,
    PermissionDeniedError,
)

PAGE = Path(__file__).parents[2] / "docs/reference/socket-protocol.md"
WHY = "a window was broken"


class School:
    """A service whose answers are known: the real socket is under test here, not the real box."""

    def __init__(self, folder: Path) -> None:
        self.log = EventLog(folder / "events", clock=lambda: 1_790_000_000.0)
        self.audit = AuditLog(folder, clock=lambda: 1_790_000_000.0)
        self.retried: list[str] = []
        self.wait = threading.Event()

    def hello(self):
        return {"version": "0.1.0", "site": "school-1", "pid": os.getpid(), "cursor": self.log.cursor}

    def status(self):
        yield {"kind": "box", "version": "0.1.0", "pid": os.getpid(), "uptime_s": 12.0, "clock": "ҚР"}
        yield {"kind": "camera", "id": "205-front", "state": "up"}

    def clip(self, event):
        if event != "205-front-17":
            raise BoxUnknownError(f"no event `{event}`", hint="`edusense events` lists them")
        return bytes(range(256)) * 8192

    def thumbnail(self, event):
        return self.clip(event)[:16]

    def heatmap(self, camera):
        return b"\x89PNG of " + camera.encode()

    def snapshot(self, camera):
        if camera == "silent":
            raise DeviceTimeoutError("`silent` did not answer")
        if camera == "broken":
            raise ZeroDivisionError("with a secret in its text")
        if camera == "slow":
            self.wait.wait(20)
        return b"\xff\xd8\xff\xd9"

    def retry(self, camera):
        self.retried.append(camera)

    def cases(self, open_only, most):
        yield {"kind": "case", "open_only": open_only, "most": most}

    def case(self, name):
        if name != "1":
            raise CaseUnknownError(f"there is no case `{name}`", hint="`edusense alerts list` names them")
        yield {"kind": "case", "case": name}
        yield {"kind": "entry", "position": 1}

    def case_file(self, name, part):
        return f"{name} {part}".encode(), "image/jpeg"

    def answer(self, case, answer, by, note, via):
        return {"kind": "case", "case": case, "answer": answer, "by": by, "note": note, "via": via}

    def raise_finding(self, finding, still, source):
        return {"kind": "case", "finding": finding, "still": None if still is None else len(still), "source": source}

    def test_alert(self, zone, by):
        return {"kind": "case", "zone": zone, "by": by}

    def tap(self, terminal, card, by):
        return self.log.append("tap", terminal=terminal, card=card, granted=True, by=by)


@pytest.fixture
def school(tmp_path):
    return School(tmp_path)


@pytest.fixture
def server(tmp_path, school):
    server = SocketServer(tmp_path / "box.sock", school, line_s=0.5, answer_s=1.0, clients=8, beat_s=0.2)
    yield server
    school.wait.set()
    server.close()
    school.log.close()


@pytest.fixture
def box(server):
    return connect(server.path, deadline_s=5)


def speak(path: Path, *pieces: bytes) -> list[bytes]:
    """Sends bytes as they are, says no more, and returns the lines that came back."""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(path))
        try:
            for piece in pieces:
                stranger.sendall(piece)
            stranger.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the box had enough of it
        data = b""
        while part := _receive(stranger):
            data += part
    return data.splitlines()


def written(box) -> list[dict]:
    """The lines of the audit log."""
    return [json.loads(line) for line in box.audit_path.read_text("utf-8").splitlines()]


def _receive(stranger: socket.socket) -> bytes:
    try:
        return stranger.recv(65536)
    except ConnectionResetError:
        return b""


def test_every_call_of_the_client(box, school):
    assert box.hello()["site"] == "school-1"
    assert [row["kind"] for row in box.status()] == ["box", "camera"]
    assert box.clip("205-front-17", reason=WHY) == bytes(range(256)) * 8192
    assert box.thumbnail("205-front-17", reason=WHY) == bytes(range(16))
    assert box.snapshot("205-front", reason=WHY).startswith(b"\xff\xd8")
    assert box.heatmap("205-front", reason=WHY) == b"\x89PNG of 205-front"
    box.retry("205-front")
    assert school.retried == ["205-front"]
    row = box.tap("canteen-left", "010063E9AE")
    assert row["granted"]
    assert row["by"] == f"process {os.getpid()} of user {os.getuid()}"
    assert list(box.events()) == [row]
    assert box.cursor == row["cursor"]


async def test_every_call_of_the_async_client(server, school):
    box = await connect_async(server.path, deadline_s=5)
    hello, status = await asyncio.gather(box.hello(), box.status())
    assert hello["pid"] == os.getpid()
    assert len(status) == 2
    assert len(await box.clip("205-front-17", reason=WHY)) == 256 * 8192
    assert await box.thumbnail("205-front-17", reason=WHY) == bytes(range(16))
    assert await box.snapshot("205-front", reason=WHY)
    await box.record_export("snapshot", "206", reason=WHY)
    assert [row["what"] for row in written(box)] == ["clip", "thumbnail", "snapshot", "snapshot"]
    await box.retry("a")
    row = await box.tap("canteen-left", "010063E9AE")
    assert [event async for event in box.events()] == [row]
    with pytest.raises(BoxUnknownError):
        await box.clip("nothing", reason=WHY)
    with pytest.raises(BoxTimeoutError):
        await box.snapshot("slow", reason=WHY)


async def test_an_async_follower_sees_what_happens(server, school):
    box = await connect_async(server.path)
    seen = []

    async def follow():
        async for event in box.events(follow=True):
            seen.append(event["number"])
            if len(seen) == 5:
                return

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    for number in range(5):
        school.log.append("box", number=number)
    await asyncio.wait_for(follower, 5)
    assert seen == list(range(5))


def test_errors_come_through_as_what_they_are(box):
    with pytest.raises(BoxUnknownError, match="no event `x`") as caught:
        box.clip("x", reason=WHY)
    assert caught.value.hint == "`edusense events` lists them"
    with pytest.raises(DeviceTimeoutError):
        box.snapshot("silent", reason=WHY)
    with pytest.raises(BoxTimeoutError, match="no answer within 1 s"):
        box.snapshot("slow", reason=WHY)


def test_who_takes_a_picture_and_why_is_on_the_disk_before_it_goes(box, school, monkeypatch):
    synced: list[str] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(Path(f"/proc/self/fd/{file}").resolve()), sync(file)))
    box.clip("205-front-17", reason=WHY)
    box.case_file("17", "still")
    assert synced == [box.audit_path, box.audit_path.parent, box.audit_path]
    clip, still = written(box)
    assert clip == {
        "time_s": 1_790_000_000.0,
        "time": "2026-09-21T14:13:20.000+00:00",
        "uid": os.getuid(),
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "pid": os.getpid(),
        "what": "clip",
        "of": "205-front-17",
        "reason": WHY,
    }
    assert still["reason"] == "case 17"
    assert box.audit_path.stat().st_mode & 0o777 == 0o640 & ~umask()
    with pytest.raises(BoxUnknownError):
        box.clip("x", reason=WHY)
    assert len(written(box)) == 2  # what is not handed out was not taken


def test_without_a_reason_nothing_is_handed_out(box, server):
    for request in ("clip", "thumbnail", "snapshot", "record-export"):
        assert REQUESTS[request]["reason"].required
    (line,) = speak(server.path, b'{"request":"clip","event":"205-front-17"}\n')
    assert json.loads(line)["message"] == "`clip` needs `reason`"
    with pytest.raises(BoxProtocolError, match="blank"):
        box.snapshot("205-front", reason=" ")
    assert not box.audit_path.exists()


def test_where_it_cannot_be_written_down_nothing_is_handed_out(box):
    box.audit_path.mkdir()
    with pytest.raises(PermissionDeniedError, match="nothing is handed out"):
        box.clip("205-front-17", reason=WHY)


def test_a_line_that_a_power_cut_tore_does_not_swallow_the_next(tmp_path):
    log = AuditLog(tmp_path)
    log.write("clip", "1", WHY, None)
    with log.path.open("ab") as file:
        file.write(b'{"time_s":17')
    log.write("clip", "2", WHY, None)
    first, torn, second = log.path.read_text("utf-8").splitlines()
    assert torn == '{"time_s":17'
    assert [json.loads(line)["of"] for line in (first, second)] == ["1", "2"]
    assert log.path.name == AUDIT_NAME


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_bug_is_named_without_its_text_and_the_connection_goes_on(server):
    lines = speak(server.path, b'{"request":"snapshot","camera":"broken","reason":"x"}\n{"request":"hello"}\n')
    assert json.loads(lines[0])["message"] == "a bug in edusense: ZeroDivisionError"
    assert json.loads(lines[1])["ok"] is True


def test_following_with_a_cursor_loses_nothing_and_repeats_nothing(box, school, server):
    rows = [school.log.append("box" if number % 2 else "motion", number=number) for number in range(50)]
    assert list(box.events()) == rows
    assert list(box.events(since=rows[20]["cursor"])) == rows[21:]
    assert list(box.events(kinds=["motion"])) == rows[::2]
    follower = box.events(since=rows[40]["cursor"], follow=True)
    assert [next(follower) for _ in range(9)] == rows[41:]
    late = school.log.append("box", number=50)
    assert next(follower) == late
    follower.close()
    deadline = time.monotonic() + 3
    while server.clients and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.clients == 0


def test_a_follower_without_a_cursor_begins_now(box, school):
    school.log.append("box", number=1)
    follower = box.events(follow=True)
    timer = threading.Timer(0.3, school.log.append, ["box"], {"number": 2})
    timer.start()
    assert next(follower)["number"] == 2
    follower.close()
    timer.join()


def test_a_filtered_follower_keeps_its_cursor_by_beats(box, school):
    follower = box.events(since=0, follow=True, kinds=["motion"])
    first = school.log.append("motion")
    assert next(follower) == first
    for _ in range(5):
        last = school.log.append("box")
    threading.Timer(0.6, school.log.append, ["motion"]).start()
    next(follower)
    follower.close()
    assert box.cursor == last["cursor"] + 1


def test_a_follower_outlives_a_restart_of_the_box(tmp_path, school):
    server = SocketServer(tmp_path / "box.sock", school)
    box = connect(server.path)
    school.log.append("box", number=0)
    follower = box.events(since=0, follow=True, reconnect=True)
    assert next(follower)["number"] == 0
    server.close()
    school.log.append("box", number=1)
    with pytest.raises(BoxNotRunningError):
        next(box.events(since=0))
    again = threading.Timer(0.2, lambda: servers.append(SocketServer(tmp_path / "box.sock", school)))
    servers: list[SocketServer] = []
    again.start()
    assert next(follower)["number"] == 1
    follower.close()
    servers[0].close()
    school.log.close()


def test_a_follower_of_a_box_that_stops_is_told(box, school, server):
    follower = box.events(follow=True, since=0)
    school.log.append("box")
    next(follower)
    threading.Timer(0.1, server.close).start()
    with pytest.raises(BoxNotRunningError, match="went away"):
        next(follower)


def test_a_follower_who_does_not_read_holds_up_nobody(tmp_path, school):
    server = SocketServer(tmp_path / "box.sock", school, slow_s=0.5)
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(server.path))
        lazy.sendall(b'{"request":"events","follow":true,"since":0}\n')
        begun = time.monotonic()
        for _ in range(3000):
            school.log.append("box", text="x" * 300)
        took_s = time.monotonic() - begun
        assert len(connect(server.path).status()) == 2
        deadline = time.monotonic() + 5
        while server.clients and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.clients == 0
    assert took_s < 5
    server.close()
    school.log.close()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"status", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 60_000, "not JSON"),
        (b'{"request":NaN}', "not JSON"),
        (b'["status"]', "not a list"),
        (b"{}", "needs the key `request`"),
        (b'{"request":"stauts"}', "perhaps `status`"),
        (b'{"request":"status","all":true}', "`all` is not an argument"),
        (b'{"request":"clip"}', "`clip` needs `event`"),
        (b'{"request":"clip","event":17}', "must be a string, not a number"),
        (b'{"request":"clip","event":""}', "1 to 200 characters"),
        (b'{"request":"events","since":true}', "must be a whole number"),
        (b'{"request":"events","since":-1}', "must be 0 or more"),
        (b'{"request":"events","since":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"request":"events","kinds":[1]}', "list of strings"),
        (b'{"request":"\\ud800"}', "is not a request"),
    ],
)
def test_a_malformed_request_is_answered_and_the_next_one_served(server, line, says):
    lines = speak(server.path, line + b'\n{"request":"hello"}\n')
    answer = json.loads(lines[0])
    assert answer["ok"] is False
    assert answer["error"] == "box-protocol"
    assert says in f"{answer['message']} {answer['hint']}"
    assert json.loads(lines[1])["ok"] is True


def test_a_line_without_end_is_refused(server):
    (answer,) = speak(server.path, b"x" * (LINE_LIMIT + 10))
    assert "longer than" in json.loads(answer)["message"]


def test_a_line_that_is_never_finished_is_let_go(server):
    with socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(5)
        slow.connect(str(server.path))
        slow.sendall(b'{"requ')
        assert b"not finished within" in slow.recv(4096)
        assert slow.recv(10) == b""


def test_one_client_too_many_is_turned_away(server, box):
    deadline = time.monotonic() + 20
    while server.clients and time.monotonic() < deadline:  # those of the test before may still be leaving
        time.sleep(0.01)
    with contextlib.ExitStack() as held:
        for _ in range(8):
            held.enter_context(socket.socket(socket.AF_UNIX)).connect(str(server.path))
        while server.clients < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(BoxBusyError):
            box.hello()
    while server.clients and time.monotonic() < deadline:
        time.sleep(0.01)
    assert box.hello()


@given(st.lists(st.binary(max_size=200), max_size=6))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_get_lines_of_json_and_leave_the_box_alone(server, pieces):
    for line in speak(server.path, *pieces):
        assert json.loads(line)["error"] == "box-protocol"
    assert connect(server.path).hello()["ok"] is True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
arguments = st.sampled_from(sorted({key for known in REQUESTS.values() for key in known}))


@given(st.sampled_from(sorted(REQUESTS)), st.dictionaries(arguments, json_values, max_size=4))
@settings(max_examples=200, deadline=None)
def test_well_formed_json_with_any_values_is_a_request_or_a_protocol_error(name, told):
    with contextlib.suppress(BoxProtocolError):
        assert parse_request(encode({"request": name, **told})).name == name


def test_an_error_survives_the_wire():
    error = BoxUnknownError("no camera `x`", hint="look")
    back = error_of(json.loads(encode(error_line(error))))
    assert type(back) is BoxUnknownError
    assert (back.message, back.hint) == ("no camera `x`", "look")


def test_the_socket_has_its_mode_and_goes_with_the_box(tmp_path, school):
    server = SocketServer(tmp_path / "box.sock", school)
    assert server.path.stat().st_mode & 0o777 == 0o660
    assert [path.name for path in tmp_path.iterdir() if "sock" in path.name] == ["box.sock"]
    server.close()
    server.close()
    assert not server.path.exists()
    with pytest.raises(BoxNotRunningError, match="no box answers"):
        connect(server.path)
    school.log.close()


def test_a_path_longer_than_a_socket_address_is_reached_all_the_same(tmp_path):
    folder = tmp_path / ("far" * 30) / ("away" * 30)
    folder.mkdir(parents=True)
    school = School(tmp_path)
    server = SocketServer(folder / "box.sock", school)
    assert len(str(server.path)) > 108
    assert connect(folder).hello()["ok"] is True
    server.close()
    assert not server.path.exists()
    school.log.close()


def test_a_folder_that_does_not_exist_is_told(tmp_path, school):
    with pytest.raises(PermissionDeniedError, match=r"box\.sock"):
        SocketServer(tmp_path / "nowhere" / "box.sock", school)
    school.log.close()


def test_where_a_box_is_looked_for(tmp_path, monkeypatch):
    site = tmp_path / "school.toml"
    site.write_text('[site]\nid = "x"\nnumber = 1\ntimezone = "Asia/Almaty"\ndata = "data"\n')
    assert socket_of(site) == tmp_path / "data/box.sock"
    assert socket_of(tmp_path) == tmp_path / "data/box.sock"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    assert socket_of() == tmp_path / "data/box.sock"
    monkeypatch.setenv("EDUSENSE_SITE", str(site))
    monkeypatch.chdir("/")
    assert socket_of() == tmp_path / "data/box.sock"
    assert socket_of("/run/edusense/box.sock") == Path("/run/edusense/box.sock")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BoxNotRunningError, match="holds neither"):
        socket_of(tmp_path / "empty")


def test_the_lock_names_its_holder_and_outlives_nobody(tmp_path):
    first = BoxLock(tmp_path, tmp_path / "school.toml")
    with pytest.raises(BoxBusyError, match=f"process {os.getpid()} of user {os.getuid()}, since .*school.toml"):
        BoxLock(tmp_path, tmp_path / "school.toml")
    first.close()
    first.close()
    BoxLock(tmp_path, tmp_path / "school.toml").close()


def test_calls_about_cases(box):
    assert box.cases(open_only=True, most=3) == [{"kind": "case", "open_only": True, "most": 3}]
    assert [row["kind"] for row in box.case("1")] == ["case", "entry"]
    with pytest.raises(CaseUnknownError, match="`2`"):
        box.case("2")
    assert box.case_file("1", "clip") == b"1 clip"
    told = box.answer("1", "seen", by="А. Серикова", note="жоқ")
    assert (told["by"], told["note"]) == ("А. Серикова", "жоқ")
    assert told["via"].startswith("process ")
    assert box.test_alert("door")["zone"] == "door"
    finding = box.raise_finding("fire", camera="a", rule="smoke", version="3", boxes=[[0, 0, 1, 1]], start_s=7.0)
    assert finding["finding"]["boxes"] == [[0, 0, 1, 1]]
    assert finding["still"] is None
    picture = bytes(range(256)) * 2000
    assert box.raise_finding("fire", rule="smoke", version="3", still=picture)["still"] == len(picture)


def test_bytes_after_a_request_that_is_none_are_no_requests(server):
    wrong = b'{"request":"raise-finding","bytes":14}\n{"request":"x"}'
    (told,) = speak(server.path, wrong)
    assert b"needs `finding`" in told
    for size in (b"1048577", b"-1", b"true", b'"9"'):
        (told,) = speak(server.path, b'{"request":"raise-finding","finding":{},"bytes":' + size + b"}\n" + b"x" * 100)
        assert b'"box-protocol"' in told
    assert speak(server.path, b'{"request":"raise-finding","finding":{},"bytes":9}\nshort') == []
    (told,) = speak(server.path, b'{"request":"raise-finding","finding":[]}\n')
    assert b"must be an object, not a list" in told


def test_short_paths_are_left_alone(tmp_path):
    with short_path(tmp_path / "box.sock") as name:
        assert name == str(tmp_path / "box.sock")


def test_the_transcript_on_the_page_is_what_happens(server, school):
    text = PAGE.read_text("utf-8")
    for name in REQUESTS:
        assert f"`{name}`" in text, f"{PAGE.name} tells of every request"
    blocks = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    told = [line for block in blocks for line in block.splitlines() if line.startswith(("> ", "< "))]
    assert len(told) > 20
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(5)
        client.connect(str(server.path))
        stream = stack.enter_context(client.makefile("rb"))
        for line in told:
            if line.startswith("> "):
                client.sendall(line[2:].encode() + b"\n")
            elif found := re.fullmatch(r"< \((\d+) bytes\)", line):
                assert len(stream.read(int(found[1]))) == int(found[1])
            else:
                got = stream.readline().decode().rstrip("\n")
                pattern = re.escape(line[2:]).replace("…", ".*?")
                assert re.fullmatch(pattern, got), f"the page says {line[2:]}, the box {got}"
