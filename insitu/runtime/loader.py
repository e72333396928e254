"""From `Code` to an address that can be called: process table, disk cache, LLVM, memory that can be executed.

What is on disk runs without LLVM: nothing of it is imported as long as nothing has to be compiled.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from insitu.codegen import target as targets
from insitu.config import config
from insitu.errors import ArgumentError, InternalError
from insitu.runtime import system
from insitu.runtime.cache import KernelCache, version_key

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from insitu.codegen.generated import Code
    from insitu.codegen.target import Target


class _Making(threading.local):
    """What a thread has under way between the first kernel of a program and the last.

    Attributes
    ----------
    images : dict of str to callable, or None
        For each kernel how to wait for its image; None outside.
    pool : ThreadPoolExecutor, optional
        Its threads are in LLVM.
    """

    images: dict[str, Callable[[], bytes]] | None = None
    pool: ThreadPoolExecutor | None = None


class Loader:
    """Loads each kernel once per process and keeps it for the process's life.

    Attributes
    ----------
    compiled, from_disk : int
        Kernels that LLVM made, and kernels that the disk cache had.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}
        self._lock = threading.RLock()
        self._making = _Making()
        self._cache: KernelCache | None = None
        self.compiled = self.from_disk = 0

    def load(self, codes: Sequence[Code]) -> list[int]:
        """Addresses of the kernels' functions, in order.

        Raises
        ------
        ArgumentError
            If a kernel is for a CPU with features that this machine lacks.
        InternalError
            If LLVM refuses a kernel.
        """
        table = self._addresses
        try:
            return [table[code.key] for code in codes]
        except KeyError:
            with self._lock:
                missing = {code.key: code for code in codes if code.key not in table}  # another thread may have loaded them by now
                if missing:
                    self._load_all(list(missing.values()))
                return [table[code.key] for code in codes]

    @property
    def cache(self) -> KernelCache:
        """The disk cache that `insitu.config` names."""
        folder, limit = config.cache_dir, config.cache_limit
        if self._cache is None or self._cache.folder != folder:
            self._cache = KernelCache(folder, limit)
        self._cache.limit = limit
        return self._cache

    def kept(self, key: str) -> bytes | None:
        """What this version of insitu has left on disk under that key, or None."""
        return self.cache.get(f"{key}-{version_key()}")

    def keep(self, key: str, content: bytes) -> None:
        """Leave something on disk for processes to come."""
        self.cache.put(f"{key}-{version_key()}", content)

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """While inside, LLVM works in other threads on kernels that this one has named to `ahead`; at the end nothing is under way."""
        making = self._making
        if making.images is not None:
            yield
            return
        making.images = {}
        try:
            yield
        finally:
            pool, making.images, making.pool = making.pool, None, None
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def ahead(self, codes: Sequence[Code]) -> None:
        """Begin with kernels that will be loaded before `making` ends. Outside of it, and where one thread does everything, they wait for that."""
        if self._making.images is not None and config.threads > 1:
            self._begin([code for code in codes if code.key not in self._addresses])

    def images(self, codes: Sequence[Code]) -> list[bytes]:
        """What `insitu.codegen.cpu.link` makes of kernels, from the disk cache or from LLVM (which then fills the cache), on all threads."""
        with self.making():
            images = self._begin(codes)
            return [images[code.key]() for code in codes]

    def _begin(self, codes: Sequence[Code]) -> dict[str, Callable[[], bytes]]:
        """What is under way, which now are these kernels, too."""
        images = self._making.images
        if images is None:
            raise InternalError("kernels begun outside of `making`")
        for code in codes:
            if code.key not in images:
                images[code.key] = _unknown  # the text of a kernel may come from passes that name this kernel again
                images[code.key] = self._begun(code)
        return images

    def _begun(self, code: Code) -> Callable[[], bytes]:
        kept = self.kept(code.key)
        if kept is not None:
            self.from_disk += 1
            return lambda: kept
        assembled = self._assembled(code)

        def image() -> bytes:
            made = assembled()
            self.compiled += 1
            self.keep(code.key, made)
            return made

        return functools.cache(image)

    def _assembled(self, code: Code) -> Callable[[], bytes]:
        """LLVM's work on a kernel; its text is written here while other threads are in LLVM."""
        if config.threads == 1:
            return lambda: _image(code.ir(), code.target)
        if self._making.pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._making.pool = ThreadPoolExecutor(config.threads, "insitu-llvm")
        return self._making.pool.submit(_image, code.ir(), code.target).result

    def _load_all(self, codes: Sequence[Code]) -> None:
        for target in {code.target for code in codes}:
            check_runs(target)
        for code, functions in zip(codes, self._placed(codes), strict=True):
            self._addresses[code.key] = functions[code.symbol]

    def functions(self, code: Code) -> dict[str, int]:
        """Addresses of all functions of a module, of which one has the code's symbol."""
        with self._lock:
            functions = self._placed([code])[0]
            self._addresses[code.key] = functions[code.symbol]
            return functions

    def _placed(self, codes: Sequence[Code]) -> list[dict[str, int]]:
        """The kernels' functions, in memory that can be executed."""
        content, tables = bytearray(), []
        for image in self.images(codes):
            line, _, code = image.partition(b"\n")
            words = line.decode().split()
            content += bytes(-len(content) % targets.PAGE)
            tables.append({name: len(content) + int(at) for name, at in zip(words[::2], words[1::2], strict=True)})
            content += code
        base = system.executable(content)
        return [{name: base + at for name, at in table.items()} for table in tables]

    def _after_fork(self) -> None:
        self._lock = threading.RLock()


def _unknown() -> bytes:
    raise InternalError("a kernel was asked for while its text was written")


def _image(ir: str, target: Target) -> bytes:
    from insitu.codegen.cpu import assemble, link

    return link.linked(assemble.object_code(ir, target))


@functools.cache
def host() -> tuple[str, str, dict[str, bool]]:
    """What `insitu.codegen.target.host` says, kept on disk: LLVM is asked once for each CPU."""
    about = system.cpu_identity()
    key = f"host-{hashlib.sha256(about).hexdigest()}"
    kept = loader.kept(key) if about else None
    if kept is None:
        kept = json.dumps(targets.host()).encode()
        if about:
            loader.keep(key, kept)
    triple, cpu, features = json.loads(kept)
    return triple, cpu, features


@functools.cache
def native_target(vector_bits: int | None = None) -> Target:
    """The `Target` of this machine; ``vector_bits`` forces a narrower vector."""
    return targets.from_features(*host(), vector_bits)


def host_features() -> dict[str, bool]:
    """LLVM's names of the features this machine's CPU has (or has not)."""
    return host()[2]


@functools.cache
def check_runs(target: Target) -> None:
    """Refuse code that this machine cannot execute.

    Raises
    ------
    ArgumentError
        Naming the features that are missing.
    """
    host = host_features()
    needed = [name[1:] for name in target.features.split(",") if name.startswith("+")]
    lacking = [name for name in needed if not host.get(name, True)]
    if lacking:
        raise ArgumentError(
            f"Code for the CPU {target.cpu} cannot run on this machine, which lacks {', '.join(lacking)}.",
            expected="a CPU whose features this machine has, or native",
            received=target.cpu,
            fix="unset INSITU_CPU, or only inspect the code instead of running it",
            slug="config-cpu-cannot-run",
        )


loader = Loader()
load = loader.load

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=loader._after_fork)
