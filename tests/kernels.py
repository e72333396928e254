"""Run one kernel of the code generator on NumPy arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from insitu.codegen.cpu import generate
from insitu.codegen.generated import Code, Generated
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target, named
from insitu.runtime.loader import load

#: Widths of vectors with FMA, which must agree bit for bit, and one target without.
WITH_FMA = (named("native"), named("native", 256), named("native", 128), named("haswell"))
TARGETS = (*WITH_FMA, named("x86-64"))


@functools.cache
def entry(code: Code) -> Any:
    """The code's function, callable through ctypes; linked as programs link theirs."""
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    return kind(load([code])[0])


def scratch(generated: Generated) -> tuple[np.ndarray, int]:
    """Memory for one thread and its aligned address."""
    memory = np.full(generated.scratch_bytes + 64, 0xCC, np.uint8)
    return memory, -(-memory.ctypes.data // 64) * 64


def launcher(kernel: Kernel, target: Target, arrays: Mapping[str, np.ndarray]) -> Any:
    """A function of (begin, end) that runs units of the kernel on the arrays."""
    made = generate(kernel, target)
    pointers = [arrays[b.name].ctypes.data for b in kernel.buffers if b.role != "scratch"] + load(made.calls)
    args = (ctypes.c_int64 * max(1, len(pointers) + len(made.words)))(*pointers, *made.words)
    memory, address = scratch(made)
    function = entry(made.code)

    def run(begin: int = 0, end: int = kernel.units) -> None:
        function(ctypes.addressof(args), begin, end, address, ctypes.addressof(args) + 8 * len(pointers))

    run.keep = (memory, args)  # type: ignore[attr-defined]
    return run


def run(kernel: Kernel, target: Target, arrays: Mapping[str, np.ndarray], split: int = 0) -> dict[str, np.ndarray]:
    """Copies of the arrays after the kernel has run on them; ``split`` cuts the units into two calls."""
    copies = {name: a.copy() for name, a in arrays.items()}
    launch = launcher(kernel, target, copies)
    if split:
        launch(0, split)
        launch(split, kernel.units)
    else:
        launch()
    return copies


@functools.cache
def has_instruction(target: Target) -> bool:
    """Whether this machine can run the target's code."""
    host = named("native").features
    return all(f in host for f in target.features.split(",") if f.startswith("+"))
