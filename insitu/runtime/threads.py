"""The pool of native worker threads (see `insitu.runtime.runner` for what they do).

Workers are made when a program first wants them, never run Python, sleep when there is nothing to
do, and are not there after a fork: the child makes its own.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from insitu.config import config, usable_cores
from insitu.runtime import system
from insitu.runtime.loader import host, loader
from insitu.runtime.runner import BedAt, PoolAt, text

if TYPE_CHECKING:
    from insitu.codegen.generated import Code

#: How long an idle worker looks for work before it sleeps: longer than the gap between two
#: kernels, shorter than anybody would notice.
SPIN_SECONDS = 40e-6
MAX_WORKERS = 1023
_BEDS = MAX_WORKERS.bit_length()


@functools.cache
def native() -> dict[str, int]:
    """Addresses of the native loops by symbol."""
    return loader.functions(native_code())


@functools.cache
def native_code() -> Code:
    """The machine code of the native loops, which every program needs."""
    from insitu.codegen.generated import Code
    from insitu.codegen.target import from_features

    triple = host()[0]
    # Plain code for the architecture: these loops have nothing to gain from newer instructions.
    target = from_features(triple, "x86-64" if triple.startswith("x86_64") else "generic", {})
    module = text(triple)
    key = "runner-" + hashlib.sha256(module.encode()).hexdigest()
    return Code(key, "insitu_run", lambda: module, target)


class Workers:
    """The worker threads of this process."""

    def __init__(self) -> None:
        self.count = 0
        self._ended = False
        self._pages: system.Pages | None = None
        self._lock = threading.Lock()

    def address(self, threads: int) -> int:
        """The pool's block, with ``threads - 1`` workers alive (fewer if the system has no room); 0 without any."""
        if threads <= 1 or self._ended or not system.has_native_threads:
            return 0
        with self._lock:
            if self._pages is None:
                self._pages = system.immortal(_new_pool())
            spins = _spins(SPIN_SECONDS if threads <= usable_cores() else SPIN_SECONDS / 20)
            self._word(PoolAt.SPINS).value = spins
            while self.count < min(threads - 1, MAX_WORKERS) and self._start(self.count + 1):
                self.count += 1
            return self._pages.address

    def _word(self, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self._pages.address + offset if self._pages else 0)

    def _start(self, number: int) -> bool:
        base = self._pages.address if self._pages else 0
        start = base + PoolAt.WORKERS + PoolAt.WORKER_SIZE * number
        ctypes.c_int64.from_address(start).value = base
        ctypes.c_int64.from_address(start + 8).value = number
        ctypes.c_int64.from_address(start + 16).value = base + PoolAt.BEDS + PoolAt.BED_SIZE * (number.bit_length() - 1)
        self._word(PoolAt.ALIVE).value += 1
        if system.start_thread(native()["insitu_worker"], start):
            return True
        self._word(PoolAt.ALIVE).value -= 1
        return False

    def stop(self) -> None:
        """End the workers and wait until they are gone (at most a second)."""
        self._ended = True
        if self._pages is None or not self.count:
            return
        dismiss = _function("insitu_dismiss", ctypes.c_int64, ctypes.c_void_p)
        deadline = time.monotonic() + 1
        while self._word(PoolAt.ALIVE).value > 0 and time.monotonic() < deadline:
            dismiss(self._pages.address)  # again and again: a worker that is just starting may have missed it
            time.sleep(0.0002)

    def after_fork(self) -> None:
        """In the child: the workers are not there; the next program makes new ones."""
        self.__init__()  # type: ignore[misc]
        config.changed()


def _new_pool() -> system.Pages:
    pages = system.Pages(PoolAt.WORKERS + PoolAt.WORKER_SIZE * (MAX_WORKERS + 1))
    functions = {PoolAt.LOCK: "pthread_mutex_lock", PoolAt.UNLOCK: "pthread_mutex_unlock", PoolAt.WAIT: "pthread_cond_wait",
                 PoolAt.WAKE: "pthread_cond_broadcast", PoolAt.YIELD: "sched_yield"}  # fmt: skip
    for offset, name in functions.items():
        ctypes.c_void_p.from_address(pages.address + offset).value = system.symbol(name)
    for k in range(_BEDS):
        bed = pages.address + PoolAt.BEDS + PoolAt.BED_SIZE * k
        system.init_lock(bed + BedAt.MUTEX, bed + BedAt.CONDITION)
    return pages


@functools.cache
def _spins(seconds: float) -> int:
    spin = _function("insitu_spin", None, ctypes.c_int64)
    best = 1.0
    for _ in range(3):
        start = time.perf_counter()
        spin(1000)
        best = min(best, time.perf_counter() - start)
    return max(10, int(seconds / (best / 1000)))


def _function(symbol: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    made: Callable[..., Any] = ctypes.CFUNCTYPE(result, *arguments)(native()[symbol])
    return made


workers = Workers()
atexit.register(workers.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=workers.after_fork)
