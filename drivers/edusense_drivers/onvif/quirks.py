"""Which camera gets which policy: data below `firmware_configs/quirks/`, one file a maker, each entry with its source.

An entry says which cameras it is about (`manufacturer`, `model`, `firmware`: `*` stands for any characters, capitals do
not matter), what they do, where that is told, and the policy that it needs. Where several fit, the later ones of a file
and the more particular ones go before the others. A `firmware_configs/` of one's own goes before ours:

```toml
[[quirk]]
manufacturer = "Acme"
does = "accepts Digest in its web server alone"
source = "seen on site, firmware 2.1"
policy = { login = "token" }
```
"""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import DriverBrokenError
from edusense.nearest import nearest
from edusense_drivers.onvif.policies import Policies

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Quirk", "catalogue", "choose", "folders"]

_MAX_BYTES: Final = 1 << 20
_TEXTS: Final = ("manufacturer", "model", "firmware", "does", "source", "how", "left")
_LISTS: Final = ("faults", "tests")


@dataclass(frozen=True, slots=True)
class Quirk:
    """One thing that some cameras do.

    Args:
        does: what they do.
        source: where that is told.
        manufacturer: the cameras that it is about, as they spell themselves.
        model: likewise.
        firmware: likewise.
        number: its number in `docs/reference/camera-quirks.md`; 0 for one that is not of that list.
        policy: the policies that they need; empty where what everybody gets will do.
        how: how it is dealt with, where no policy of its own is needed.
        left: why nothing is done about it; empty where something is.
        faults: switches of the virtual camera that does the same.
        tests: where that is tested.
        path: the file that it stands in.
    """

    does: str
    source: str
    manufacturer: str = "*"
    model: str = "*"
    firmware: str = "*"
    number: int = 0
    policy: dict[str, Any] = field(default_factory=dict)
    how: str = ""
    left: str = ""
    faults: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    path: Path | None = None

    def fits(self, manufacturer: str, model: str, firmware: str) -> bool:
        """Whether it is about a camera."""
        return all(
            fnmatch.fnmatchcase(said.casefold(), pattern.casefold())
            for said, pattern in ((manufacturer, self.manufacturer), (model, self.model), (firmware, self.firmware))
        )

    @property
    def particular(self) -> int:
        """How narrowly it says which cameras it is about."""
        return sum(one != "*" for one in (self.manufacturer, self.model, self.firmware))


def folders(own: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The folders `firmware_configs/quirks` that there are: one's own first.

    Args:
        own: folders `firmware_configs` besides ours.
    """
    here = Path(__file__).resolve().parent.parent
    found = [*own, here / "firmware_configs", here.parent.parent / "firmware_configs"]
    return tuple(place / "quirks" for place in dict.fromkeys(found) if (place / "quirks").is_dir())


def catalogue(own: Iterable[Path] = ()) -> list[Quirk]:
    """Every quirk that is known: one's own first, then by file.

    Args:
        own: folders `firmware_configs` besides ours.

    Raises:
        DriverBrokenError: a file is wrong; the message names it.
    """
    return [one for place in folders(own) for one in _read(place, _stamp(place))]


def _stamp(place: Path) -> tuple[tuple[str, int], ...]:
    """What files there are and when they were written: a file that was mended is read again."""
    return tuple(sorted((file.name, file.stat().st_mtime_ns) for file in place.glob("*.toml")))


@cache
def _read(place: Path, stamp: tuple[tuple[str, int], ...]) -> tuple[Quirk, ...]:
    return tuple(one for name, _ in stamp for one in _quirks(place / name))


def _quirks(path: Path) -> list[Quirk]:
    def wrong(what: str, hint: str | None = None) -> DriverBrokenError:
        return DriverBrokenError(f"`{path}`: {what}", hint=hint)

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise wrong("it is longer than any list of quirks")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise wrong(f"it is no TOML: {error}") from None
    except OSError as error:
        raise wrong(f"it cannot be read: {error.strerror}") from None
    entries = data.get("quirk")
    if set(data) - {"quirk"} or not isinstance(entries, list):
        raise wrong("it holds something besides `[[quirk]]` tables")
    return [_quirk(entry, index, path, wrong) for index, entry in enumerate(entries, 1)]


def _quirk(entry: Any, index: int, path: Path, wrong: Any) -> Quirk:
    known = (*_TEXTS, *_LISTS, "number", "policy")
    if not isinstance(entry, dict):
        raise wrong(f"`quirk` {index} is no table")
    for key, value in entry.items():
        if key not in known:
            guess = nearest(key, known)
            raise wrong(f"there is no key `{key}` in `[[quirk]]` {index}", f"perhaps `{guess}`" if guess else None)
        kind: Any = str if key in _TEXTS else list if key in _LISTS else int if key == "number" else dict
        if not isinstance(value, kind) or (kind is list and not all(isinstance(one, str) for one in value)):
            raise wrong(f"`{key}` of `[[quirk]]` {index} is no {kind.__name__}")
    for key in ("does", "source"):
        if not entry.get(key):
            raise wrong(f"`[[quirk]]` {index} does not say `{key}`", "who reads it later must be able to check it")
    try:
        Policies().with_values(entry.get("policy", {}))
    except ValueError as error:
        raise wrong(f"`[[quirk]]` {index}: {error}") from None
    lists = {key: tuple(entry.get(key, ())) for key in _LISTS}
    return Quirk(**{**entry, **lists}, path=path)


def choose(
    manufacturer: str, model: str, firmware: str, own: Sequence[Path] = (), given: Policies | None = None
) -> tuple[Policies, list[Quirk]]:
    """The policies for a camera, and the quirks that they come from.

    Args:
        manufacturer: as the camera spells it.
        model: likewise.
        firmware: likewise.
        own: folders `firmware_configs` besides ours.
        given: what to begin with.

    Raises:
        DriverBrokenError: a file is wrong.
    """
    fitting = [one for one in catalogue(own) if one.policy and one.fits(manufacturer, model, firmware)]
    # What comes later wins: the general ones first, one's own last.
    mine = {place / "quirks" for place in own}
    order = sorted(fitting, key=lambda one: (one.path is not None and one.path.parent in mine, one.particular))
    policies = given or Policies()
    for one in order:
        policies = policies.with_values(one.policy)
    return policies, order
