"""The doctor's look at what is installed: Python, the extension, the libraries, the drivers."""

from __future__ import annotations

import importlib
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from edusense.cli.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edusense.devices import DriverRow

__all__ = ["driver_findings", "extension", "ffmpeg", "findings", "libraries", "libusb", "python"]

_DECODERS: Final = ("h264", "hevc", "mjpeg")
_LIBRARIES: Final = ("click", "jinja2", "numpy", "pillow", "pydantic", "rich")
_REINSTALL: Final = "pip install --force-reinstall edusense"


def findings() -> Iterator[Finding]:
    """All of this file."""
    from edusense.devices import drivers

    yield python(sys.version_info[:3])
    yield extension()
    yield ffmpeg()
    yield libraries(metadata.version)
    yield libusb()
    yield from driver_findings(drivers())


def python(version: Sequence[int]) -> Finding:
    """Whether this Python is new enough."""
    told = f"{platform.python_implementation()} {'.'.join(str(part) for part in version)} at {sys.executable}"
    if tuple(version) < (3, 11):
        return fail("python", told, "edusense needs Python 3.11 or newer: apt-get install python3.11")
    return ok("python", told)


def extension() -> Finding:
    """Whether the Rust half is there, of the same version, and built for speed."""
    from edusense import _version

    try:
        built, debug = _version.native()
    except ImportError as error:
        return fail("extension", f"it cannot be loaded: {error}", _REINSTALL)
    wanted = _version.version()
    if built != wanted:
        return fail("extension", f"it is version {built}, the package is version {wanted}", _REINSTALL)
    if debug:
        return warn("extension", f"version {built}, built without optimisation", "make develop builds it for release")
    return ok("extension", f"version {built}, release build")


def ffmpeg() -> Finding:
    """Whether PyAV brings an FFmpeg that decodes what cameras send."""
    try:
        av = importlib.import_module("av")
        versions = {name: ".".join(str(part) for part in parts) for name, parts in av.library_versions.items()}
        missing = [name for name in _DECODERS if not _has_decoder(av, name)]
    except (ImportError, OSError, AttributeError) as error:
        return fail("ffmpeg", f"PyAV cannot be loaded: {error}", "pip install --force-reinstall av")
    told = f"PyAV {av.__version__} with libavcodec {versions.get('libavcodec', '?')}"
    if missing:
        hint = "pip install --force-reinstall --only-binary av av: the wheel has them all"
        return warn("ffmpeg", f"{told}, without a decoder for {', '.join(missing)}", hint)
    return ok("ffmpeg", f"{told}; decodes {', '.join(_DECODERS)}")


def _has_decoder(av: object, name: str) -> bool:
    try:
        av.codec.Codec(name, "r")  # type: ignore[attr-defined] # a module that is imported by name
    except ValueError:
        return False
    return True


def libraries(version_of: Callable[[str], str]) -> Finding:
    """The versions of the libraries that edusense stands on.

    Args:
        version_of: the version of an installed package; raises `PackageNotFoundError`.
    """
    told, missing = [], []
    for name in _LIBRARIES:
        try:
            told.append(f"{name} {version_of(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail("libraries", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return ok("libraries", ", ".join(told))


def libusb() -> Finding:
    """Whether USB readers can be spoken to: pyusb, and a libusb for it."""
    try:
        core = importlib.import_module("usb.core")
        package = importlib.import_module("libusb_package")
    except ImportError as error:
        return warn("libusb", f"USB readers cannot be used: {error}", "pip install edusense-drivers")
    try:
        backend = package.get_libusb1_backend()
        found = len(list(core.find(find_all=True, backend=backend))) if backend is not None else None
    except Exception as error:  # noqa: BLE001 - libusb's own errors differ by backend; each is the same finding
        return warn("libusb", f"USB cannot be searched: {error}", "is /dev/bus/usb there, and readable?")
    if found is None:
        return fail("libusb", "the library cannot be loaded", "pip install --force-reinstall libusb-package")
    return ok("libusb", f"libusb-package {metadata.version('libusb-package')}; {found} USB devices seen")


def driver_findings(installed: Sequence[DriverRow]) -> Iterator[Finding]:
    """The drivers by name, and each that is broken."""
    whole = [row.name for row in installed if row.driver is not None]
    for row in installed:
        if row.driver is None:
            hint = f"reinstall or remove the package: pip install --force-reinstall {row.distribution}"
            yield fail("driver", f"`{row.name}` of {row.distribution} cannot be loaded: {row.problem}", hint)
    if whole:
        yield ok("drivers", ", ".join(whole))
    else:
        yield fail(
            "drivers", "none is installed: no camera and no reader can be opened", "pip install edusense-drivers"
        )
