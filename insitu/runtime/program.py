"""A finished program: kernel launches in order, run by one native call."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import itertools
import math
import os
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal

from insitu.codegen.generated import Code
from insitu.config import config
from insitu.errors import InternalError
from insitu.runtime.loader import load
from insitu.runtime.memory import PAGE, Memory, allocate
from insitu.runtime.runner import Group, Header, Launched
from insitu.runtime.threads import native, workers

#: Most chunks that each thread gets: a few, so that a thread which is held up leaves some to the others.
CHUNKS_PER_THREAD = 4
#: Share of a chunk's time that the others wait for the last one.
_WAITED = 1 / 16
#: Units that fill whole lines of the cache where a unit is one element.
WHOLE_LINES = 64
_RANGE_BYTES = 128
_WORD = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where a kernel's buffer is: an input or output of the program by number, or a byte offset in its arena."""

    kind: Literal["input", "output", "arena"]
    index: int


@dataclasses.dataclass(frozen=True)
class Launch:
    """One kernel to run.

    Attributes
    ----------
    code : Code
        The kernel.
    args : tuple of Slot
        Its buffers.
    words : tuple of int
        Its signed 64-bit arguments, after buffers and ``calls``.
    units : int
        Its independent pieces of work; with 0 nothing runs.
    grain : int
        Fewest units worth giving to one thread. If it is a multiple of `WHOLE_LINES`, work is cut at multiples of that.
    scratch_bytes : int
        Private memory that each thread needs, 64-byte aligned.
    group : int
        Neighbouring launches with the same number are independent and may run at the same time;
        between groups every thread waits for the others.
    shared : float
        Preparation that every chunk repeats for its units, in the time of a unit.
    calls : tuple of Code
        Further kernels whose functions it calls; their addresses are its arguments after the buffers.
    """

    code: Code
    args: tuple[Slot, ...]
    words: tuple[int, ...]
    units: int
    grain: int
    scratch_bytes: int
    group: int
    shared: float = 0
    calls: tuple[Code, ...] = ()

    @property
    def codes(self) -> tuple[Code, ...]:
        """The kernel and what it calls."""
        return (self.code, *self.calls)


class Program:
    """Launches that run in order with one call.

    Parameters
    ----------
    launches : sequence of Launch
    n_inputs, n_outputs : int
    arena_bytes : int
        Size of the memory for intermediate values; it is kept between runs.

    Raises
    ------
    InternalError
        If a slot names an input, output or arena offset that is not there.
    ArgumentError
        If the code is for a CPU with features that this machine lacks.
    """

    def __init__(self, launches: Sequence[Launch], n_inputs: int, n_outputs: int, arena_bytes: int) -> None:
        self.launches = tuple(launches)
        self.n_inputs, self.n_outputs, self.arena_bytes = n_inputs, n_outputs, arena_bytes
        for launch in self.launches:
            _check(launch, n_inputs, n_outputs, arena_bytes)
        load([code for launch in self.launches for code in launch.codes])  # all at once, on all threads
        self._functions = [load(launch.codes) for launch in self.launches]
        self._revision = -1
        self._lock = threading.Lock()
        self._arena: Memory | None = None
        self._plan: _Plan | None = None
        self._n_pointers = n_inputs + n_outputs
        self._pointers: Any = None
        self._strides: Any = None
        self._turns: Any = None
        self._start: Callable[[], None] = _not_ready
        _programs.add(self)

    def run(self, pointers: Sequence[int]) -> None:
        """Run all launches.

        Parameters
        ----------
        pointers : sequence of int
            Addresses of the inputs, then of the outputs. What they point to must stay alive until
            this returns. Several threads may run one program; each waits for its turn.

        Raises
        ------
        InternalError
            If there are too few or too many pointers.
        """
        with self._lock:
            if self._revision != config.revision:
                self._prepare()
            try:
                self._pointers[:] = pointers
            except ValueError:
                raise self._wrong(len(pointers)) from None
            self._start()

    def run_again(self, first: Sequence[int], last: Sequence[int]) -> bool:
        """Run all launches with other pointers for the first inputs and the last outputs, the rest as in the run before.

        False, and nothing has run, if the settings have changed since.
        """
        with self._lock:
            if self._revision != config.revision:
                return False
            self._pointers[: len(first)] = first
            self._pointers[self._n_pointers - len(last) :] = last
            self._start()
            return True

    def run_many(self, pointers: Sequence[int], strides: Sequence[int], turns: int) -> None:
        """Run all launches ``turns`` times with one native call.

        Parameters
        ----------
        pointers : sequence of int
            As for `run`, of the first turn.
        strides : sequence of int
            Bytes by which each pointer moves from turn to turn.
        turns : int
            How often; at least 1.

        Raises
        ------
        InternalError
            If there are too few or too many pointers or strides, or no turns.
        """
        if len(strides) != self._n_pointers or turns < 1:
            raise InternalError(f"{turns} turns with {len(strides)} strides of a program with {self._n_pointers} pointers")
        with self._lock:
            if self._revision != config.revision:
                self._prepare()
            try:
                self._pointers[:] = pointers
            except ValueError:
                raise self._wrong(len(pointers)) from None
            self._strides[:], self._turns.value = strides, turns
            try:
                self._start()
            finally:
                self._strides[:], self._turns.value = [0] * len(strides), 1

    def _wrong(self, count: int) -> InternalError:
        return InternalError(f"the program takes {self.n_inputs} + {self.n_outputs} pointers, got {count}")

    def _prepare(self) -> None:
        """Lay out everything that the native loop reads, for the settings of this moment."""
        threads = config.threads
        if self._plan is None or self._plan.threads != threads or self._plan.process != os.getpid():
            if self._arena is None and self.arena_bytes:
                self._arena = allocate(self.arena_bytes)
            self._plan = plan = _Plan(self, threads)
            words = ctypes.c_int64 * self._n_pointers
            self._pointers, self._strides = words.from_address(plan.pointers), words.from_address(plan.strides)
            self._turns = ctypes.c_int64.from_address(plan.block.ptr + 8 * Header.TURNS)
            self._start = functools.partial(_run_function(), ctypes.c_void_p(plan.block.ptr))
        self._revision = config.revision


class _Plan:
    """The program's description in memory, for a number of threads (see `insitu.runtime.runner`).

    One block: head, groups, launches, patches, the pointers of a call and their strides, arguments, chunk counters;
    and one more for the threads' scratch.
    """

    def __init__(self, program: Program, threads: int) -> None:
        self.threads, self.process = threads, os.getpid()
        pool = workers.address(threads)
        pairs = [(launch, functions) for launch, functions in zip(program.launches, program._functions, strict=True) if launch.units > 0]
        groups = [list(members) for _, members in itertools.groupby(pairs, key=lambda pair: pair[0].group)]
        width = [threads_for([launch for launch, _ in group], threads if pool else 1) for group in groups]
        widest = max(width, default=1)
        most = max((launch.scratch_bytes for launch, _ in pairs), default=0)
        align = PAGE if most > PAGE // 2 else _RANGE_BYTES  # threads must not write to one line, nor fight for a page's sets
        stride = -(-most // align) * align
        self.scratch = allocate(stride * widest) if stride else None
        n_args = sum(map(_arguments_of, [launch for launch, _ in pairs]))
        n_slots = sum(slot.kind != "arena" for launch, _ in pairs for slot in launch.args)
        n_pointers = program.n_inputs + program.n_outputs
        sizes = (Header.SIZE, Group.SIZE * len(groups), Launched.SIZE * len(pairs), 2 * n_slots, n_pointers, n_pointers, n_args)
        words = sum(sizes)
        counters = -(-words * 8 // _RANGE_BYTES) * _RANGE_BYTES
        self.block = allocate(counters + _RANGE_BYTES * (widest + 1))
        starts = [self.block.ptr + 8 * n for n in itertools.accumulate((0, *sizes[:-1]))]
        head, group_at, launch_at, patch_at, self.pointers, self.strides, args_at = starts
        self._ranges = -(-(self.block.ptr + words * 8) // _RANGE_BYTES) * _RANGE_BYTES
        arguments, patches = self._arguments(program, pairs, args_at)
        group_words: list[int] = []
        launch_words: list[int] = []
        for group, n in zip(groups, width, strict=True):
            start = launch_at + 8 * len(launch_words)
            chunks = 0
            for launch, functions in group:
                chunk = chunk_units(launch, n)
                first, chunks = chunks, chunks - (-launch.units // chunk)
                words_at = args_at + 8 * (len(launch.args) + len(launch.calls))
                launch_words += [functions[0], args_at, words_at, launch.units, chunk, first, chunks]
                args_at += 8 * _arguments_of(launch)
            group_words += [len(group), start, n, self._ranges, chunks, self.scratch.ptr if self.scratch else 0, stride, 0]
        header = [n_slots, patch_at, self.pointers, len(groups), group_at, pool, 1, self.strides]
        content = [*header, *group_words, *launch_words, *patches, *[0] * (2 * n_pointers), *arguments]
        ctypes.memmove(head, struct.pack(f"{words}Q", *content), 8 * words)

    def _arguments(self, program: Program, pairs: Sequence[tuple[Launch, Sequence[int]]], at: int) -> tuple[list[int], list[int]]:
        """All kernels' argument words, and the patches: pairs (address of a word, number of the pointer it gets)."""
        base = program._arena.ptr if program._arena else 0
        arguments: list[int] = []
        patches: list[int] = []
        for launch, functions in pairs:
            for slot in launch.args:
                if slot.kind != "arena":
                    patches += [at + 8 * len(arguments), slot.index + (program.n_inputs if slot.kind == "output" else 0)]
                arguments.append(base + slot.index if slot.kind == "arena" else 0)
            arguments += [*functions[1:], *[word & _WORD for word in launch.words]]
        return arguments, patches


def _arguments_of(launch: Launch) -> int:
    """How many words its arguments take."""
    return len(launch.args) + len(launch.calls) + len(launch.words)


def threads_for(launches: Sequence[Launch], most: int) -> int:
    """How many threads a group of launches is worth: each gets at least a grain."""
    if most == 1:
        return 1
    common = math.lcm(*[launch.grain for launch in launches])
    grains = sum([launch.units * (common // launch.grain) for launch in launches])  # in parts of a grain
    return max(1, min(most, -(-grains // common)))


def chunk_units(launch: Launch, threads: int) -> int:
    """Units that a thread takes at a time: even shares of at least a grain, those with which the last thread is ready first."""
    if threads == 1:
        return launch.units
    grains, step = -(-launch.units // launch.grain), WHOLE_LINES if launch.grain % WHOLE_LINES == 0 else 1
    shares = [-(-launch.units // min(grains, threads * k)) for k in range(1, CHUNKS_PER_THREAD + 1)]
    return min([-(-share // step) * step for share in shares], key=lambda chunk: _time(launch, chunk, threads))


def _time(launch: Launch, chunk: int, threads: int) -> float:
    """How long the thread that gets most takes in chunks of that size, in units."""
    chunks = -(-launch.units // chunk)
    return -(-chunks // threads) * (chunk + launch.shared) + chunk * _WAITED


def _check(launch: Launch, n_inputs: int, n_outputs: int, arena_bytes: int) -> None:
    ends = {"input": n_inputs, "output": n_outputs, "arena": arena_bytes}
    for slot in launch.args:
        if not 0 <= slot.index < max(ends[slot.kind], slot.kind == "arena"):
            raise InternalError(f"{launch.code.symbol}: {slot} of a program with {n_inputs} inputs, {n_outputs} outputs, {arena_bytes} bytes")
    if launch.units < 0 or launch.grain < 1 or launch.scratch_bytes < 0:
        raise InternalError(f"{launch.code.symbol}: {launch.units} units, grain {launch.grain}, {launch.scratch_bytes} bytes of scratch")


@functools.cache
def _run_function() -> Callable[[ctypes.c_void_p], None]:
    # Other Python threads run meanwhile: ctypes lets go of the interpreter lock.
    made: Callable[[ctypes.c_void_p], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native()["insitu_run"])
    return made


def _not_ready() -> None:
    raise InternalError("a program ran before it was laid out")


_programs: weakref.WeakSet[Program] = weakref.WeakSet()


def _after_fork() -> None:
    for program in list(_programs):
        program._lock = threading.Lock()  # a thread that is not there any more may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
