"""Strangers' programs that several peer tests talk to: where they are, or what installs them."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def nfcpy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with nfcpy: not among our dependencies, since its last release is of 2022."""
    folder = tmp_path_factory.mktemp("nfcpy")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = subprocess.run([folder / "bin/pip", "install", "--quiet", "nfcpy==1.0.4"], check=False)
    if installed.returncode:
        pytest.skip("nfcpy 1.0.4 cannot be installed: no package index")
    return str(folder / "bin/python")
