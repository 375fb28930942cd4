"""A camera's reference: the picture that it was aimed by, kept to be held against what it sees later.

`fleet/references/CAMERA.jpg` in the site's data folder, mode 0640.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from edusense.site import Site

    Luma = npt.NDArray[np.uint8]
    Plane = npt.NDArray[np.float64]

__all__ = ["Displaced", "References", "displaced", "luma_of_jpeg", "outline"]

_GRID: Final = (128, 72)
"""Pictures are compared at this size: a shift of one is 0.8 % of the width, half a degree of most lenses."""
SAME: Final = 0.2
"""Agreement below which two pictures do not show the same: the peak of the correlation stands out no more."""
_WIDTH: Final = 1280


@dataclass(frozen=True, slots=True)
class Displaced:
    """How a picture lies beside its reference.

    Args:
        right: by how much of the width its contents lie further right.
        down: by how much of the height they lie further down.
        agreement: how clear that is, 0 to 1.
    """

    right: float
    down: float
    agreement: float

    @property
    def same(self) -> bool:
        """Whether both show the same place at all."""
        return self.agreement >= SAME


class References:
    """The references of a site's cameras.

    Args:
        folder: where they are; `of` takes the site's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, site: Site) -> References:
        """Those of a site, in its data folder."""
        return cls(site.data_folder() / "fleet" / "references")

    def get(self, camera: str) -> bytes | None:
        """A camera's reference, JPEG; None where it has none."""
        try:
            return (self.folder / f"{camera}.jpg").read_bytes()
        except OSError:
            return None

    def put(self, camera: str, picture: bytes) -> None:
        """Keeps a picture as a camera's reference; on disk when it returns.

        Args:
            camera: its id.
            picture: JPEG.

        Raises:
            PermissionDeniedError: the folder may not be written.
            UsageError: it cannot be for another reason.
        """
        path = self.folder / f"{camera}.jpg"
        partial = path.with_name(f".{path.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(picture)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except PermissionError:
            raise PermissionDeniedError(f"`{self.folder}` may not be written by this user") from None
        except OSError as error:
            raise UsageError(f"`{self.folder}` cannot be written: {error.strerror}") from None


def luma_of_jpeg(picture: bytes) -> Luma:
    """The luma of a JPEG.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
            return np.asarray(image.convert("L"))
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def outline(reference: Luma) -> bytes:
    """The edges of a reference as a transparent PNG, to be laid over the live picture.

    Args:
        reference: `uint8[height, width]`.
    """
    image = Image.fromarray(reference)
    image.thumbnail((_WIDTH, _WIDTH))
    steps = _steps(np.asarray(image, np.float64))
    # The strongest edges, whatever the light was; none where the picture has none.
    strong = steps >= max(float(np.quantile(steps, 0.93)), 12.0)
    painted = np.zeros((*steps.shape, 4), np.uint8)
    painted[strong] = (255, 64, 160, 230)
    out = io.BytesIO()
    Image.fromarray(painted, "RGBA").save(out, "PNG", optimize=True)
    return out.getvalue()


def displaced(picture: Luma, reference: Luma) -> Displaced:
    """How a picture lies beside its reference, by phase correlation (Kuglin and Hines, 1975) of their edges.

    Args:
        picture: `uint8[height, width]`.
        reference: likewise, of any size.
    """
    spectra = []
    window = np.outer(np.hanning(_GRID[1]), np.hanning(_GRID[0]))
    for luma in (picture, reference):
        small = np.asarray(Image.fromarray(luma).resize(_GRID, Image.Resampling.BOX), np.float64)
        steps = _steps(small)
        spectra.append(np.fft.rfft2((steps - steps.mean()) * window))
    cross = spectra[0] * np.conj(spectra[1])
    # Weighed by the square root of the strength: phases of what is hardly there are noise.
    found = np.fft.irfft2(cross / np.sqrt(np.abs(cross) + 1e-9), s=(_GRID[1], _GRID[0]))
    down, right = (int(place) for place in np.unravel_index(int(np.argmax(found)), found.shape))
    energy = float(np.sqrt(np.abs(spectra[0]).sum() * np.abs(spectra[1]).sum()))
    peak = float(found[down, right]) * found.size / max(2.0 * energy, 1e-9)
    right = right - _GRID[0] if right > _GRID[0] // 2 else right
    down = down - _GRID[1] if down > _GRID[1] // 2 else down
    return Displaced(right / _GRID[0], down / _GRID[1], round(min(1.0, max(0.0, peak)), 3))


def _steps(plane: Plane) -> Plane:
    """How steep a picture is at each place."""
    down, right = np.gradient(plane)
    steps: Plane = np.hypot(down, right)
    return steps
