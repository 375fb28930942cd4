"""A disk that loses what was not synced, made of a real program's own system calls as strace wrote them down.

Of one recorded run any number of power cuts can be tried: at a moment of your choice each file has what was confirmed
by then, and of everything written since, what chance decides: each 512-byte sector is there, or not, or was cut at a
byte. Names that were not synced (new files, renamed, removed ones) are there in their order, up to some point. That is
what a file system and a disk with a volatile cache may do at worst (`man 2 fsync`; Pillai and others, "All file systems
are not created equal", OSDI 2014).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edusense.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

__all__ = ["CALLS", "Call", "Disk", "read_trace", "sent"]

CALLS: Final = (
    "openat,creat,pwrite64,write,pwritev,writev,fdatasync,fsync,sync_file_range,ftruncate,fallocate,"
    "rename,renameat,renameat2,unlink,unlinkat,link,linkat,sendto"
)
"""What strace must write down (`-e trace=`)."""
_SECTOR: Final = 512
_TORN: Final = 0.3
"""How often a sector that was being written is cut at a byte."""
_LINE: Final = re.compile(r"^(?P<pid>\d+)\s+(?P<rest>.*)$")
_CALL: Final = re.compile(
    r"^(?P<name>\w+)\((?P<arguments>.*)\)\s*=\s*(?P<result>-?\d+|\?)(?:<(?P<path>[^>]*)>)?.*$", re.DOTALL
)
_SYNCHRONOUS: Final = re.compile(r"\bO_D?SYNC\b")
_UNFINISHED: Final = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED: Final = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A system call.

    Args:
        name: `pwrite64`, `fdatasync`, …
        arguments: as strace writes them, bytes as `\\x..`.
        result: what it returned; None where the program ended first.
        begun: its place in the order in which calls began.
        ended: its place in the order in which calls ended.
        path: of the descriptor that it returned.
    """

    name: str
    arguments: str
    result: int | None
    begun: int
    ended: int
    path: str | None


def read_trace(path: Path) -> list[Call]:
    """Calls of a file that `strace -f -y -xx` wrote, in the order in which they ended.

    Args:
        path: the file.

    Raises:
        BenchError: it holds nothing of the kind.
    """
    begun: dict[int, tuple[str, str, int]] = {}
    found: list[Call] = []
    for place, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines()):
        if (match := _LINE.match(line)) is None:
            continue
        pid, rest = int(match["pid"]), match["rest"]
        if (part := _UNFINISHED.match(rest)) is not None:
            begun[pid] = (part["name"], part["arguments"], place)
            continue
        first = place
        if (part := _RESUMED.match(rest)) is not None:
            if pid not in begun:
                continue
            name, arguments, first = begun.pop(pid)
            rest = f"{name}({arguments}{part['arguments']}"
        if (whole := _CALL.match(rest)) is not None and whole["result"] != "?":
            found.append(Call(whole["name"], whole["arguments"], int(whole["result"]), first, place, whole["path"]))
    # What was still going on when the program ended may have been done, or not.
    found += [Call(name, arguments, None, place, 1 << 60, None) for name, arguments, place in begun.values()]
    if not found:
        raise BenchError(f"`{path}` holds no system calls")
    return found


@dataclass
class _File:
    """What a file is, and what of it is sure."""

    now: bytearray = field(default_factory=bytearray)
    sure: bytearray = field(default_factory=bytearray)
    unsure: list[tuple[int, int, int]] = field(default_factory=list)
    """Writes since the last sync: when, offset, length."""
    sized: int = 0
    """Length that a truncation or allocation gave it."""


class Disk:
    """The folder as its files stand after some calls.

    Args:
        folder: files outside of it are not of interest.
        lies: after the first moments it answers syncs without writing anything, as a volatile cache does.
    """

    def __init__(self, folder: Path, *, lies: bool = False) -> None:
        self._lies = lies
        self._folder = str(folder.resolve())
        self._files: list[_File] = []
        self._names: dict[str, int] = {}
        self._sure_names: dict[str, int] = {}
        self._namings: list[tuple[str, str, str | int]] = []
        self._offsets: dict[str, int] = {}
        self._durable: set[int] = set()
        """Descriptors whose writes are on the disk when they return (O_DSYNC, O_SYNC)."""

    def apply(self, call: Call) -> None:
        """Does a call that succeeded.

        Args:
            call: in the order of `read_trace`.
        """
        if call.result is None or call.result < 0:
            return
        match call.name:
            case "openat" | "creat":
                self._open(call)
            case "pwrite64":
                path, data = _described(call.arguments), _bytes(call.arguments)
                offset = int(call.arguments.rpartition(",")[2])
                self._write(path, offset, data[: call.result], call.ended)
                if _descriptor(call.arguments) in self._durable:
                    self._settle(path, offset, call.result)
            case "write":
                path, data = _described(call.arguments), _bytes(call.arguments)
                offset = self._offsets.get(path, 0)
                self._offsets[path] = offset + call.result
                self._write(path, offset, data[: call.result], call.ended)
                if _descriptor(call.arguments) in self._durable:
                    self._settle(path, offset, call.result)
            case "pwritev" | "writev":
                raise BenchError(f"the model of a disk does not know `{call.name}`")
            case "fdatasync" | "fsync":
                self._sync(_described(call.arguments), call)
            case "ftruncate" | "fallocate":
                self._size(call)
            case "rename" | "renameat" | "renameat2":
                old, new = (self._inside(path) for path in _texts(call.arguments)[:2])
                if old is not None and new is not None and old in self._names:
                    self._names[new] = self._names.pop(old)
                    self._namings.append(("rename", old, new))
            case "unlink" | "unlinkat":
                name = self._inside(_texts(call.arguments)[0])
                if name is not None and self._names.pop(name, None) is not None:
                    self._namings.append(("remove", name, ""))
            case _:
                pass

    def _inside(self, path: str) -> str | None:
        """A path relative to the folder; None where it lies elsewhere."""
        whole = os.path.normpath(path if path.startswith("/") else os.path.join(self._folder, path))  # noqa: PTH118
        return whole[len(self._folder) + 1 :] if whole.startswith(f"{self._folder}/") else None

    def _file(self, path: str) -> _File | None:
        name = self._inside(path)
        return None if name is None or name not in self._names else self._files[self._names[name]]

    def _open(self, call: Call) -> None:
        path = _unescaped(call.path or "").decode(errors="surrogateescape")
        if call.result is not None:
            self._durable.discard(call.result)
            if _SYNCHRONOUS.search(call.arguments):
                self._durable.add(call.result)
        name = self._inside(path)
        if name is None or "O_DIRECTORY" in call.arguments:
            return
        if name not in self._names and ("O_CREAT" in call.arguments or call.name == "creat"):
            self._files.append(_File())
            self._names[name] = len(self._files) - 1
            self._namings.append(("create", name, len(self._files) - 1))
        file = self._file(path)
        if file is None:
            return
        self._offsets[path] = len(file.now) if "O_APPEND" in call.arguments else 0
        if "O_TRUNC" in call.arguments and file.now:
            file.now.clear()
            file.sure.clear()

    def _write(self, path: str, offset: int, data: bytes, when: int) -> None:
        file = self._file(path)
        if file is None:
            return
        if len(file.now) < offset:
            file.now.extend(bytes(offset - len(file.now)))
        file.now[offset : offset + len(data)] = data
        file.unsure.append((when, offset, len(data)))

    def _settle(self, path: str, offset: int, length: int) -> None:
        """Makes sure what the newest write wrote, and nothing else: `open(2)`, O_DSYNC."""
        file = self._file(path)
        if file is None or (self._lies and len(file.sure) > _SECTOR):
            return
        file.unsure.pop()
        if len(file.sure) < offset + length:
            file.sure.extend(bytes(offset + length - len(file.sure)))
        file.sure[offset : offset + length] = file.now[offset : offset + length]

    def _size(self, call: Call) -> None:
        file = self._file(_described(call.arguments))
        if file is None:
            return
        numbers = [int(number) for number in re.findall(r"(?<![\w<])\d+(?![\w>])", call.arguments.partition(">")[2])]
        size = numbers[0] if call.name == "ftruncate" else sum(numbers[-2:])
        if len(file.now) < size:
            file.now.extend(bytes(size - len(file.now)))
        elif call.name == "ftruncate":
            del file.now[size:]
        file.unsure.append((call.ended, 0, 0))

    def _sync(self, path: str, call: Call) -> None:
        """Makes sure what was written before the sync began."""
        if path == self._folder or (path.startswith(f"{self._folder}/") and self._inside(path) not in self._names):
            # A folder: its names.
            self._sure_names = dict(self._names)
            self._namings.clear()
            return
        file = self._file(path)
        if file is None:
            return
        if self._lies and len(file.sure) > _SECTOR:
            return
        later = [write for write in file.unsure if write[0] > call.begun]
        sure = bytearray(file.now)
        for _, offset, length in later:  # written while the sync went on: it may have missed them
            before = bytes(file.sure[offset : offset + length]).ljust(length, b"\0")
            sure[offset : offset + length] = before
        file.sure, file.unsure = sure, later

    def after_cut(self, chance: Random, out: Path) -> None:
        """Writes the folder as the next start may find it.

        Args:
            chance: decides what was not sure.
            out: a new folder.
        """
        names = dict(self._sure_names)
        for kind, name, value in self._namings[: chance.randint(0, len(self._namings))]:
            if kind == "create" and isinstance(value, int):
                names[name] = value
            elif kind == "rename" and isinstance(value, str) and name in names:
                names[value] = names.pop(name)
            elif kind == "remove":
                names.pop(name, None)
        out.mkdir(parents=True)
        for name, number in names.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_settled(self._files[number], chance))


def _settled(file: _File, chance: Random) -> bytes:
    """A file's bytes after a cut."""
    if not file.unsure:
        return bytes(file.sure)
    grown = len(file.now) > len(file.sure)
    length = len(file.now) if grown and chance.random() < 0.5 else max(len(file.sure), 0)
    if len(file.now) < len(file.sure) and chance.random() < 0.5:
        length = len(file.now)
    content = bytearray(file.sure[:length].ljust(length, b"\0"))
    # A sector that was written many times has one fate: a cache that was never emptied keeps all of it from the disk.
    touched: dict[int, tuple[int, int]] = {}
    for _, offset, size in file.unsure:
        for start, stop in _sectors(offset, size):
            first, last = touched.get(start // _SECTOR, (start, stop))
            touched[start // _SECTOR] = (min(first, start), max(last, stop))
    for start, stop in touched.values():
        if chance.random() < 0.5:
            end = chance.randint(start, stop) if chance.random() < _TORN else stop
            part = file.now[start : min(end, length)]
            content[start : start + len(part)] = part
    return bytes(content)


def _sectors(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in different sectors."""
    start = offset
    while start < offset + size:
        stop = min(offset + size, (start // _SECTOR + 1) * _SECTOR)
        yield start, stop
        start = stop


def sent(call: Call) -> bytes | None:
    """What a `sendto` sent; None for any other call, and for one that failed."""
    return _bytes(call.arguments) if call.name == "sendto" and call.result is not None and call.result > 0 else None


def _described(arguments: str) -> str:
    """The path of the first descriptor: `3</data/ledger/mark>`."""
    found = re.match(r"\d+<([^>]*)>", arguments)
    return "" if found is None else _unescaped(found[1]).decode(errors="surrogateescape")


def _descriptor(arguments: str) -> int | None:
    """The number of the first descriptor."""
    found = re.match(r"(\d+)<", arguments)
    return None if found is None else int(found[1])


def _bytes(arguments: str) -> bytes:
    """The first text among the arguments, as bytes."""
    found = re.search(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?', arguments)
    if found is None or found[2]:
        raise BenchError("strace has cut off what was written")
    return _unescaped(found[1])


def _texts(arguments: str) -> list[str]:
    """Every text among the arguments."""
    return [
        _unescaped(text).decode(errors="surrogateescape") for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)
    ]


def _unescaped(text: str) -> bytes:
    """What strace wrote with `-xx`: every byte as `\\x..`."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
