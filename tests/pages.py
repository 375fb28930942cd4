"""What is to be run of a page: its ```console commands with what they show, and its ```python blocks."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs/guide"


@dataclass
class Step:
    """One command of a page and what is shown below it."""

    line: int
    command: str
    shown: list[str] = field(default_factory=list)


@dataclass
class Block:
    """One ``` block of a page."""

    page: Path
    line: int
    kind: str
    lines: list[str]
    skipped: bool
    """It stands under `<!-- not run: … -->`."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, kind: str) -> list[Block]:
    """All blocks of that kind, also those that are not run."""
    found: list[Block] = []
    inside, before = "", ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = "" if inside else line[3:] or "plain"
            if inside == kind:
                found.append(Block(page, number, kind, [], before.startswith("<!-- not run: ")))
        elif inside == kind:
            found[-1].lines.append(line)
        if line:
            before = line
    return found


def steps(page: Path) -> list[Step]:
    """The commands of ```console blocks that are run; one as root (`# …`) must not be among them."""
    found: list[Step] = []
    for block in blocks(page, "console"):
        if block.skipped:
            continue
        for number, line in enumerate(block.lines, block.line + 1):
            assert not (line.startswith("# ") and line == block.lines[0]), f"{page.name}:{number}: root is not at hand"
            if line.startswith("$ "):
                found.append(Step(number, line[2:]))
            elif line.startswith(">"):
                found[-1].command += "\n" + line[1:].removeprefix(" ")
            else:
                found[-1].shown.append(line)
    return found


def fits(shown: list[str], printed: str) -> bool:
    """Whether a page's lines are what was printed; `…` stands for anything, also for whole lines.

    How wide a column is depends on what else stands in it: two spaces or more are as good as any other number of them.
    """
    pattern = "".join(
        ".*?" if part == "…" else re.escape(part) for part in re.split("(…)", _unaligned("\n".join(shown)))
    )
    return re.fullmatch(pattern, _unaligned(printed), re.DOTALL) is not None


def _unaligned(text: str) -> str:
    return re.sub(r" {2,}", "  ", "\n".join(line.rstrip() for line in text.strip().splitlines()))


def walk(page: Path, folder: Path, change: Callable[[str], str] = str, **variables: str) -> int:
    """Runs a page in a folder: its commands in their order, then its Python.

    Args:
        page: the page.
        folder: where it is run.
        change: what is put in the place of the page's own names.
        variables: of the environment, beside the usual ones.

    Returns:
        How many commands and blocks were run.
    """
    environment = {key: value for key, value in os.environ.items() if key != "EDUSENSE_SITE"} | variables
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200", "NO_COLOR": "1"}

    def run(*words: str) -> tuple[int, str]:
        told = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        printed = "\n".join(part.strip("\n") for part in (told.stdout, told.stderr) if part.strip())
        return told.returncode, printed

    done = steps(page)
    for step in done:
        status, printed = run("bash", "-c", change(step.command))
        place = f"{page.name}:{step.line}: $ {step.command}\n{printed}"
        assert "Traceback" not in printed, place
        if step.shown:
            assert fits(step.shown, printed), place
        else:
            assert status == 0, place
    scripts = [block for block in blocks(page, "python") if not block.skipped and not of_a_file(block)]
    for block in scripts:
        status, printed = run(sys.executable, "-c", change(block.text))
        assert status == 0, f"{block}\n{printed}"
    return len(done) + len(scripts)


def of_a_file(block: Block) -> bool:
    """Whether it is the text of a file, which another test writes and runs."""
    return re.match(r"# \S+\.py$", block.lines[0]) is not None


def mistakes(block: Block) -> Iterator[str]:
    """Names and arguments of edusense that a Python block uses and that are not there.

    The block is compiled and its imports are made; then every `name.attribute` of what it imported is looked up, and
    the named arguments of every call of such a function are held against its signature.
    """
    tree = ast.parse(block.text, str(block))
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                (each.asname or each.name).split(".")[0]: importlib.import_module(each.name) for each in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for each in node.names:
                try:
                    found = getattr(module, each.name, None) or importlib.import_module(f"{node.module}.{each.name}")
                except ModuleNotFoundError:
                    yield f"{block}: `{node.module}` has no `{each.name}`"
                    continue
                names[each.asname or each.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = _found(node.value, names)
            if owner is not _NOTHING and not hasattr(owner, node.attr):
                yield f"{block}: `{ast.unparse(node.value)}` has no `{node.attr}`"
        elif isinstance(node, ast.Call):
            called = _found(node.func, names)
            if called is _NOTHING or not callable(called):
                continue
            try:
                known = inspect.signature(called).parameters
            except ValueError:
                continue  # code of others that was compiled tells no arguments
            if any(one.kind is one.VAR_KEYWORD for one in known.values()):
                continue
            for keyword in node.keywords:
                if keyword.arg is not None and keyword.arg not in known:
                    yield f"{block}: `{ast.unparse(node.func)}` has no argument `{keyword.arg}`"


_NOTHING = object()


def _found(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What a dotted name of something imported is; `_NOTHING` where it is anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, _NOTHING)
    if isinstance(node, ast.Attribute):
        owner = _found(node.value, names)
        return _NOTHING if owner is _NOTHING else getattr(owner, node.attr, _NOTHING)
    return _NOTHING
