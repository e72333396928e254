"""The kernel cache on disk: object code (and how programs use it) by key, checked before it is used.

A file is a header (magic, format, lengths, SHA-256 over everything else) with the key and the
object code behind it. Whatever does not check out is a miss and is deleted, never run. Files
appear by renaming a finished temporary file, so that readers and other writers never see half of
one. The folder must be one that nobody else can write to: what is in it will be executed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import itertools
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from insitu.errors import CacheWarning, UserError, warn
from insitu.runtime import system
from insitu.version import __version__

_MAGIC = b"INSITUK\x00"
_FORMAT = 1
_HEAD = struct.Struct("<8sIIQ32s")  # magic, format, key bytes, object bytes, checksum
_SUFFIX = ".kernel"
_DAY = 86400.0
#: Folders whose code decides what is made of a graph.
_ROOMS = ("graph", "ops", "compiler", "codegen", "runtime")
_temporary = itertools.count()


@functools.cache
def version_key() -> str:
    """What machine code and programs depend on beside kernels and graphs: our compiler and LLVM.

    The compiler's part is a hash over its sources, so that an edit is enough to make the old
    kernels unreachable. (Reading them costs about two milliseconds, once per process.)
    """
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(f"{__version__}\n".encode() + _llvm())
    for name in sorted(name for room in _ROOMS for name in (package / room).rglob("*.py")):
        source = name.read_bytes()
        digest.update(f"\n{name.relative_to(package).as_posix()} {len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()[:24]


def _llvm() -> bytes:
    """Which LLVM it is: what llvmlite says of itself, and the size of its library. To import it would take longer than all that follows."""
    found = importlib.util.find_spec("llvmlite")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")
    folder = Path(found.origin).parent
    sizes = sorted([(path.name, path.stat().st_size) for path in (folder / "binding").glob("*llvmlite.*")])
    return (folder / "_version.py").read_bytes() + repr(sizes).encode()


@dataclasses.dataclass(frozen=True)
class Entry:
    """One kernel on disk: its key, its size in bytes, and when it was last used (seconds since the epoch)."""

    key: str
    nbytes: int
    used: float
    path: Path


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a cache has: ``hits`` and ``misses`` of this process, ``nbytes`` and ``count`` on disk."""

    folder: Path
    usable: bool
    problem: str
    hits: int
    misses: int
    nbytes: int
    count: int
    limit: int


class KernelCache:
    """Object code by key in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Made (for the user alone) when the first kernel is put.
    limit : int
        Most bytes to keep; the least recently used go first. 0: keep nothing, read nothing.

    A folder that other users could write to is not used, one that cannot be written is only read;
    either is said once, as a `CacheWarning`.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = Path(folder), limit
        self.hits = self.misses = 0
        self._problem: str | None = None  # None: not looked at yet
        self._warned = False
        self._size: int | None = None
        self._lock = threading.Lock()

    # -- use -------------------------------------------------------------------------------
    def get(self, key: str) -> bytes | None:
        """The object code under that key, or None."""
        found = self._read(key) if self.limit and not self._unsafe() else None
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def put(self, key: str, code: bytes) -> None:
        """Keep object code under that key. Trouble with the disk is said once and has no other effect."""
        if not self.limit or self._unsafe():
            return
        name = key.encode()
        checksum = hashlib.sha256(_HEAD.pack(_MAGIC, _FORMAT, len(name), len(code), b"") + name + code).digest()
        content = _HEAD.pack(_MAGIC, _FORMAT, len(name), len(code), checksum) + name + code
        path = self._path(key)
        part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}-{next(_temporary)}.part")
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._problem = None
                if self._unsafe():
                    return
            _write(part, content)
            os.replace(part, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            self._warn(
                f"The kernel cache cannot be written: {error}. Kernels are compiled again in each process.",
                "point INSITU_CACHE_DIR to a folder you can write",
                "cache-folder-unwritable",
            )
            return
        self._grow(len(content))

    # -- upkeep ----------------------------------------------------------------------------
    def entries(self) -> list[Entry]:
        """All kernels on disk, the most recently used first (damaged files have the key ``""``)."""
        found = [Entry(_key_of(path), size, used, path) for path, size, used in self._files()]
        return sorted(found, key=lambda e: e.used, reverse=True)

    def stats(self) -> Stats:
        """Counters of this process and the size on disk."""
        files = list(self._files())
        problem = self._unsafe() or ("it is a file, not a folder" if self.folder.is_file() else "")
        return Stats(
            self.folder, not problem and bool(self.limit), problem, self.hits, self.misses, sum(s for _, s, _ in files), len(files), self.limit
        )

    def prune(self, limit: int) -> int:
        """Delete the least recently used kernels until at most ``limit`` bytes are left; the bytes that went."""
        with self._lock:
            files = sorted(self._files(), key=lambda f: f[2])
            total = sum(size for _, size, _ in files)
            before = total
            for path, size, _ in files:
                if total <= limit:
                    break
                if _delete(path):
                    total -= size
            self._size = total
            self._sweep()
            return before - total

    def clear(self) -> int:
        """Delete every kernel; the bytes that went."""
        return self.prune(-1)

    # -- inside ----------------------------------------------------------------------------
    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode()).hexdigest()[:40] + _SUFFIX)

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                content = file.read()
                used = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        code = _checked(content, key)
        if code is None:
            _delete(path)
        elif time.time() - used > _DAY:  # once a day is enough to know what is in use
            with contextlib.suppress(OSError):
                os.utime(path)
        return code

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        try:
            with os.scandir(self.folder) as found:
                for item in found:
                    if item.name.endswith(_SUFFIX):
                        with contextlib.suppress(OSError):  # another process deleted it meanwhile
                            about = item.stat(follow_symlinks=False)
                            yield Path(item.path), about.st_size, about.st_mtime
        except OSError:
            return

    def _grow(self, nbytes: int) -> None:
        with self._lock:
            self._size = sum(size for _, size, _ in self._files()) if self._size is None else self._size + nbytes
            over = self._size > self.limit
        if over:
            self.prune(self.limit * 4 // 5)

    def _sweep(self) -> None:
        """Delete temporary files that a killed process left behind."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.part"):
                if time.time() - path.stat().st_mtime > 3600:
                    _delete(path)

    def _unsafe(self) -> str:
        """Why the folder must not be trusted; empty if it may be (or is not there yet)."""
        if self._problem is None:
            try:
                self._problem = system.private_folder(self.folder)
            except OSError:
                return ""
            if self._problem:
                self._warn(
                    f"The kernel cache {self.folder} is not used: {self._problem}.",
                    f"chmod 700 {self.folder}, or point INSITU_CACHE_DIR to a folder of your own",
                    "cache-folder-unsafe",
                )
        return self._problem

    def _warn(self, what: str, fix: str, slug: str) -> None:
        if self._warned:
            return
        self._warned = True
        warn(UserError(what, fix=fix, slug=slug), CacheWarning)


def _checked(content: bytes, key: str) -> bytes | None:
    """The object code of a file's content, if it is whole and under that key."""
    name = key.encode()
    if len(content) < _HEAD.size:
        return None
    magic, version, key_bytes, code_bytes, checksum = _HEAD.unpack_from(content)
    start = _HEAD.size + key_bytes
    if magic != _MAGIC or version != _FORMAT or len(content) != start + code_bytes or content[_HEAD.size : start] != name:
        return None
    blank = _HEAD.pack(magic, version, key_bytes, code_bytes, b"")
    if hashlib.sha256(blank + content[_HEAD.size :]).digest() != checksum:
        return None
    return content[start:]


def _key_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return ""
            magic, version, key_bytes, _, _ = _HEAD.unpack(head)
            return file.read(min(key_bytes, 4096)).decode(errors="replace") if magic == _MAGIC and version == _FORMAT else ""
    except OSError:
        return ""


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with open(handle, "wb") as file:
        file.write(content)


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
