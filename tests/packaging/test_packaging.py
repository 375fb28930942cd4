"""The distributions as strangers get them: wheels, a USB stick, one without the other (`make test-packaging`)."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.packaging


def run(*command: str | Path, path: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment, cwd="/", check=False
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "stick"
    done = subprocess.run([ROOT / "tools" / "make-bundle", out], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_folder_installs_without_network_or_compiler(bundle: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "id", "python3"):
        found = (
            sys.executable
            if name == "python3"
            else next(p for p in (Path("/bin") / name, Path("/usr/bin") / name) if p.exists())
        )
        (tools / name).symlink_to(
            Path(found).resolve() if name != "python3" else getattr(sys, "_base_executable", found)
        )
    done = run(bundle / "install", tmp_path / "box", path=str(tools))
    assert done.stdout.startswith("edusense ")
    drivers = run(
        tmp_path / "box/bin/python",
        "-c",
        "from edusense.devices import drivers; print(sorted(d.name for d in drivers()))",
    )
    assert "rdm6300" in drivers.stdout
    template = run(
        tmp_path / "box/bin/python",
        "-c",
        "import importlib.resources as r;"
        "print((r.files('edusense_drivers') / 'firmware_configs/cameras/generic/onvif-t.toml').is_file())",
    )
    assert template.stdout.strip() == "True"


def test_both_distributions_install_from_the_tree(tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "both")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", ROOT, ROOT / "drivers")
    versions = run(
        bin_folder / "python",
        "-c",
        "import importlib.metadata as m, edusense._native as n;"
        "print(m.version('edusense'), m.version('edusense-drivers'), n.__version__)",
    ).stdout.split()
    assert len(set(versions)) == 1


def test_alone_it_says_what_is_missing_when_a_driver_is_asked_for(tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "alone")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", ROOT)
    assert run(bin_folder / "edusense", "--help").returncode == 0
    listened = run(bin_folder / "edusense", "reader", "listen", "rdm6300:/dev/ttyUSB0", check=False)
    assert listened.returncode == 4
    assert "edusense-drivers" in listened.stderr
