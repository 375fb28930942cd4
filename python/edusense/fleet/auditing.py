"""Audit: which cameras are not as they should be. Reads everything, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edusense.fleet.planning import plan
from edusense.fleet.pool import VISIT_S, WORKERS

if TYPE_CHECKING:
    from edusense.fleet.planning import CameraPlan
    from edusense.fleet.pool import Progress
    from edusense.site import Site

__all__ = ["Audited", "audit"]


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit says about one camera.

    Args:
        camera: its id.
        state: `as-planned`, `drifted` (a setting is not as it should be), `problem` (it could not be asked), or `left`
            (it has no ONVIF or no template).
        drifted: settings that differ, each with `setting`, `actual`, `desired` and `note`.
        unknown: settings that could not be read.
        note: the problem, or why it was left out.
    """

    camera: str
    state: Literal["as-planned", "drifted", "problem", "left"]
    drifted: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    note: str | None = None

    @property
    def well(self) -> bool:
        """Whether there is nothing to do about it."""
        return self.state in ("as-planned", "left")

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera audit --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def audit(
    site: Site,
    *,
    limit: str | None = None,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    deadline_s: float | None = None,
    progress: Progress | None = None,
) -> list[Audited]:
    """Compares every camera of a site with what it should be.

    Args:
        site: the site file.
        limit: only cameras whose id fits this pattern.
        workers: cameras visited at once.
        visit_s: longest visit to one camera, in seconds.
        deadline_s: for all of it together; who was not asked by then is a problem.
        progress: called with how many are done and how many there are.

    Raises:
        SiteError: a template is missing or wrong.
        UsageError: no camera fits `limit`.
    """
    found = plan(site, limit=limit, workers=workers, visit_s=visit_s, deadline_s=deadline_s, progress=progress)
    return [_audited(one) for one in found.cameras]


def _audited(one: CameraPlan) -> Audited:
    if one.problem is not None:
        return Audited(one.camera, "problem", note=one.problem)
    if one.left is not None:
        return Audited(one.camera, "left", note=one.left)
    drifted = [
        {
            "setting": each.wanted.setting,
            "actual": each.actual,
            "desired": each.wanted.want,
            "note": each.note or None,
        }
        for each in one.drifted
    ]
    unknown = [each.wanted.setting for each in one.settings if each.action == "unknown"]
    return Audited(one.camera, "drifted" if drifted else "as-planned", drifted, unknown)
