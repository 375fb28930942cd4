"""What machine this is: everything that figures depend on and that a reader would ask for, read from the system.

Nothing here names a person, a secret or an address in the network.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["disk_of", "machine", "versions"]

_SYS: Final = Path("/sys")
_PROC: Final = Path("/proc")
_MEASURED_WITH: Final = ("edusense", "edusense-drivers", "av", "numpy", "onvif-zeep", "pyserial", "pyusb", "pillow")


def machine(folder: Path | None = None) -> dict[str, Any]:
    """The machine's facts, by name; a fact that the system does not tell is None.

    Args:
        folder: the one whose disk matters.
    """
    return {
        "host": platform.node(),
        "model": _model(),
        "virtual": _virtual(),
        "architecture": platform.machine(),
        "cpu": _cpu_name(),
        "processors": len(os.sched_getaffinity(0)),
        "frequency_mhz": _frequencies(),
        "governor": _text(_SYS / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(),
        "temperature_c": temperature(),
        "memory_gb": round(_memory() / 1e9, 2),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _system(),
        "disk": disk_of(folder or Path.cwd()),
        "network": _network(),
    }


@functools.cache
def versions() -> dict[str, str | None]:
    """Versions of what takes part in measuring."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _MEASURED_WITH:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["ffmpeg in av"] = _ffmpeg()
    return found


def _ffmpeg() -> str | None:
    """Version of FFmpeg's libavcodec inside PyAV: asked of another process, since the harness must stay light."""
    code = "import av; print('.'.join(map(str, av.library_versions['libavcodec'])))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return told.stdout.strip() or None


def temperature() -> float | None:
    """The hottest sensor, in °C."""
    found = []
    for zone in sorted((_SYS / "class/thermal").glob("thermal_zone*/temp")):
        text = _text(zone)
        if text is not None and re.fullmatch(r"-?\d+", text):
            found.append(int(text) / 1000)
    return round(max(found), 1) if found else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _model() -> str | None:
    """The computer's make: DMI on PCs, the device tree on boards."""
    for folder in (_SYS / "class/dmi/id", _SYS / "devices/virtual/dmi/id"):
        parts = [_text(folder / name) for name in ("sys_vendor", "product_name")]
        if any(parts):
            return " ".join(part for part in parts if part)
    return _text(_PROC / "device-tree/model")


def _virtual() -> str | None:
    """What virtualises this machine, as far as it says; None on bare metal."""
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "container"
    hypervisor = _text(_SYS / "hypervisor/type")
    if hypervisor:
        return hypervisor
    flags = _text(_PROC / "cpuinfo") or ""
    return "virtual machine" if re.search(r"^flags\s*:.*\bhypervisor\b", flags, re.MULTILINE) else None


def _cpu_name() -> str | None:
    text = _text(_PROC / "cpuinfo") or ""
    for key in ("model name", "Model", "Hardware"):
        if found := re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE):
            return found[1].strip()
    parts = [re.search(rf"^CPU {key}\s*:\s*(\S+)$", text, re.MULTILINE) for key in ("implementer", "part")]
    return " ".join(f"CPU {found[0].split()[1]} {found[1]}" for found in parts if found) or None


def _frequencies() -> list[float] | None:
    """Least and largest frequency in MHz; where there is no governor, what the processor says it runs at."""
    limits = [_text(_SYS / f"devices/system/cpu/cpu0/cpufreq/cpuinfo_{name}_freq") for name in ("min", "max")]
    if all(limit is not None and limit.isdigit() for limit in limits):
        return [int(limit or 0) / 1000 for limit in limits]
    now = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", _text(_PROC / "cpuinfo") or "", re.MULTILINE)
    return [min(map(float, now)), max(map(float, now))] if now else None


def _turbo() -> bool | None:
    text = _text(_SYS / "devices/system/cpu/intel_pstate/no_turbo")
    if text is not None:
        return text == "0"
    text = _text(_SYS / "devices/system/cpu/cpufreq/boost")
    return None if text is None else text == "1"


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _system() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def disk_of(folder: Path) -> dict[str, Any]:
    """The disk under a folder: device, model, kind, cache, scheduler, file system and mount options.

    Args:
        folder: it, or the nearest folder above it that is there, is looked at.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    device = there.stat().st_dev
    mount = _mount(there, device)
    name = _block(device, mount.get("source"))
    found: dict[str, Any] = {"folder": str(folder), "device": name, **mount}
    queue = _SYS / "class/block" / name / "queue" if name else None
    for key, path in {
        "model": None if name is None else _SYS / "class/block" / name / "device/model",
        "cache": None if queue is None else queue / "write_cache",
        "rotational": None if queue is None else queue / "rotational",
        "scheduler": None if queue is None else queue / "scheduler",
    }.items():
        text = None if path is None else _text(path)
        if key == "rotational" and text is not None:
            found[key] = text == "1"
        elif key == "scheduler" and text is not None:
            chosen = re.search(r"\[(\S+)\]", text)
            found[key] = chosen[1] if chosen else text
        else:
            found[key] = text
    found["free_gb"] = round(shutil.disk_usage(there).free / 1e9, 1)
    size = None if name is None else _text(_SYS / "class/block" / name / "size")
    found["size_gb"] = round(int(size) * 512 / 1e9, 1) if size and size.isdigit() else None
    return found


def _mount(folder: Path, device: int) -> dict[str, Any]:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    best: tuple[int, dict[str, Any]] = (-1, {"filesystem": None, "options": None, "source": None})
    for line in (_text(_PROC / "self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 6 or len(rest) < 3:
            continue
        point = fields[4].replace("\\040", " ")
        inside = str(folder.resolve()) == point or str(folder.resolve()).startswith(point.rstrip("/") + "/")
        # btrfs and overlay give files another device number than their mount; then the longest path decides.
        weight = len(point) + (10_000 if fields[2] == wanted else 0)
        if inside and weight >= best[0]:
            options = ",".join(dict.fromkeys([*fields[5].split(","), *rest[2].split(",")]))
            best = (weight, {"filesystem": rest[0], "options": options, "source": rest[1]})
    return best[1]


def _block(device: int, source: str | None) -> str | None:
    """The kernel's name of the whole disk: that of its parent where the file system lies on a partition."""
    link = _SYS / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
    path = link.resolve() if link.exists() else None
    if path is None and source is not None and source.startswith("/dev/"):
        path = (_SYS / "class/block" / Path(source).resolve().name).resolve()
    if path is None or not path.exists():
        return None
    return path.parent.name if (path / "partition").exists() else path.name


def _network() -> list[dict[str, Any]]:
    """Network interfaces that are hardware, or pose as it: name, speed in Mbit/s, state."""
    found = []
    for card in sorted((_SYS / "class/net").glob("*")):
        if not (card / "device").exists() and not card.name.startswith(("eth", "en", "wl")):
            continue
        speed = _text(card / "speed")
        found.append(
            {
                "name": card.name,
                "speed_mbit": int(speed) if speed and re.fullmatch(r"\d+", speed) else None,
                "state": _text(card / "operstate"),
            }
        )
    return found
