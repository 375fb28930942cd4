"""Where a secret is, and who may read it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edusense import Site
from edusense.errors import SiteSecretError
from edusense.site import resolve_secret


def secret_file(folder: Path, content: bytes = b"correct horse\n", mode: int = 0o600) -> Path:
    path = folder / "cameras.secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_file_of_its_owner_alone_is_read(tmp_path: Path):
    secret_file(tmp_path)
    assert resolve_secret("file:cameras.secret", tmp_path) == "correct horse"
    secret_file(tmp_path, b" with spaces \r\n")
    assert resolve_secret(f"file:{tmp_path}/cameras.secret") == " with spaces "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_may_touch_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int):
    path = secret_file(tmp_path, mode=mode)
    with pytest.raises(SiteSecretError, match=f"mode {mode:04o}") as caught:
        resolve_secret("file:cameras.secret", tmp_path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"a\0b", b"hunter2" * 1000])
def test_what_is_not_one_line_is_refused_and_not_repeated(tmp_path: Path, content: bytes):
    secret_file(tmp_path, content)
    with pytest.raises(SiteSecretError) as caught:
        resolve_secret("file:cameras.secret", tmp_path)
    assert "hunter2" not in f"{caught.value}{caught.value.hint}{caught.value.__context__}"


def test_missing_ones_say_how_to_make_them(tmp_path: Path, monkeypatch):
    with pytest.raises(SiteSecretError, match="does not exist") as caught:
        resolve_secret("file:none", tmp_path)
    assert "install -m 600" in (caught.value.hint or "")
    with pytest.raises(SiteSecretError, match="not a file"):
        resolve_secret(f"file:{tmp_path}")
    monkeypatch.delenv("EDUSENSE_TEST_SECRET", raising=False)
    with pytest.raises(SiteSecretError, match="not set"):
        resolve_secret("env:EDUSENSE_TEST_SECRET")
    monkeypatch.setenv("EDUSENSE_TEST_SECRET", "")
    with pytest.raises(SiteSecretError, match="empty"):
        resolve_secret("env:EDUSENSE_TEST_SECRET")


def test_a_pipe_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SiteSecretError, match="not a file"):
        resolve_secret("file:pipe", tmp_path)


def test_the_error_names_the_line_of_the_site_file(tmp_path: Path):
    text = '[site]\nid = "a"\nnumber = 1\n[credentials.cameras]\nuser = "u"\npassword = "file:none"\n'
    (tmp_path / "school.toml").write_text(text)
    site = Site.load(tmp_path / "school.toml")
    with pytest.raises(SiteSecretError, match=re.escape("school.toml:6:12: ")):
        site.credentials["cameras"].secret()
