"""What gates have learned, kept on the disk: what is wrong with the file costs nothing but learning anew."""

from __future__ import annotations

import json

import pytest

from edusense.box.gates import GateStore


def test_what_was_saved_comes_back_and_only_the_owner_and_the_group_may_read_it(tmp_path):
    store = GateStore(tmp_path / "gates.json")
    assert store.load() == {}
    gates = {"205-front": bytes(range(256)), "зал": b""}
    store.save(gates)
    assert store.load() == gates
    assert (tmp_path / "gates.json").stat().st_mode & 0o777 == 0o640
    store.save({"зал": b"2"})
    assert store.load() == {"зал": b"2"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format": 2, "gates": {"a": "AA=="}}',
        b'{"format": 1, "gates": ["a"]}',
        b'{"format": 1, "gates": {"a": "not base64"}}',
        b'{"format": 1, "gates": {"a": 5}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, text, caplog):
    (tmp_path / "gates.json").write_bytes(text)
    assert GateStore(tmp_path / "gates.json").load() == {}
    if text and b"format" not in text[:20]:
        assert "learn their cameras anew" in caplog.text


def test_a_disk_that_refuses_is_told_once(tmp_path, caplog):
    store = GateStore(tmp_path / "away" / "gates.json")
    for _ in range(3):
        store.save({"a": b"1"})
    assert caplog.text.count("cannot be written") == 1
    (tmp_path / "away").mkdir()
    store.save({"a": b"1"})
    assert json.loads((tmp_path / "away" / "gates.json").read_text())["format"] == 1


def test_a_camera_that_is_called_anew_goes_on_from_what_was_kept(tmp_path):
    from edusense.box.cameras import CamerasPart
    from edusense.site import Site
    from edusense.video import CameraSource

    class Restored(list[str]):
        def restore_gate(self, name: str, kept: bytes) -> None:
            self.append(name)

    site = Site.loads('[site]\nid = "s"\nnumber = 1\n', path=tmp_path / "school.toml")
    part = CamerasPart(site, None, None)  # type: ignore[arg-type]
    part._kept = {"a": b"1", "b": b"2", "c": b"3"}
    before = {name: CameraSource(name, "rtsp://127.0.0.1/1", "u", "old") for name in "abc"}
    part._held = before
    zones = ({"kind": "ignore", "polygon": [[0, 0], [1, 0], [1, 1]]},)
    now = {
        "a": CameraSource("a", "rtsp://127.0.0.1/1", "u", "new"),
        "b": CameraSource("b", "rtsp://127.0.0.1/1", "u", "old", zones=zones),
        "c": CameraSource("c", "rtsp://127.0.0.1/2", "u", "old"),
        "d": CameraSource("d", "rtsp://127.0.0.1/4"),
    }
    engine = Restored()
    part._restore_gates(engine, now)  # type: ignore[arg-type]
    assert engine == ["a", "c"], "a password is another call; zones are not"
