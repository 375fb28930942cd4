"""Who may import the extension: import-linter holds the other arrows, but it sees no compiled module."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = ("python/edusense/site/", "python/edusense/video/", "python/edusense/meals/", "python/edusense/_version.py")
"""The rooms that have a Rust half, and the one place that compares versions."""


def imported(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_only_site_video_and_meals_know_the_extension():
    sources = [*(ROOT / "python").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    assert len(sources) > 50
    knowing = {str(source.relative_to(ROOT)) for source in sources if "edusense._native" in imported(source)}
    assert knowing
    assert not [name for name in sorted(knowing) if not name.startswith(ALLOWED)]
