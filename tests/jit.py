"""Compile one element-wise function of the code generator and run it on NumPy arrays."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu.codegen.cpu.assemble import assembly
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.generated import Code
from insitu.codegen.target import Target
from insitu.runtime.loader import load

Emit = Callable[..., Value]


def module(emit: Emit, dtypes: Sequence[str], target: Target, lanes: int) -> str:
    """LLVM text of ``f(inputs..., out, n)``: a loop of ``lanes`` lanes and a scalar tail."""
    b = Emitter(target)
    kinds = [dt.as_dtype(name) for name in dtypes]
    names = [f"in{k}" for k in range(len(kinds))]
    with b.function("f", [*((name, None) for name in names), ("out", None), ("n", dt.int64)]) as params:
        *pointers, out, n = params
        rest = b.sub(n, b.rem(n, b.const(lanes, dt.int64))) if lanes > 1 else b.const(0, dt.int64)
        for width, start, stop in ((lanes, 0, rest), (1, rest, n)) if lanes > 1 else ((1, 0, n),):
            with b.loop(start, stop, width) as loop:
                values = [b.load(b.offset(p, loop.index, d), d, width) for p, d in zip(pointers, kinds, strict=True)]
                result = emit(b, *values)
                b.store(result, b.offset(out, loop.index, result.dtype))
    return b.module()


@functools.cache
def _compiled(emit: Emit, dtypes: tuple[str, ...], target: Target, lanes: int) -> Callable[..., None]:
    text = module(emit, dtypes, target, lanes)
    code = Code(hashlib.sha256(f"{target.isa}\n{text}".encode()).hexdigest(), "f", lambda: text, target)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(dtypes) + 1), ctypes.c_int64)
    return kind(load([code])[0])


def listing(emit: Emit, dtypes: Sequence[str], target: Target, lanes: int) -> str:
    """The assembly of the same function."""
    return assembly(module(emit, dtypes, target, lanes), target)


def elementwise(emit: Emit, arrays: Sequence[np.ndarray], target: Target, lanes: int, out: str | None = None) -> np.ndarray:
    """``emit`` applied to each element of equally long arrays; ``out`` names the result's dtype if it is not the first array's."""
    inputs = [np.ascontiguousarray(a) for a in arrays]
    result = np.empty(inputs[0].shape, out or inputs[0].dtype)
    function = _compiled(emit, tuple(a.dtype.name for a in inputs), target, lanes)
    function(*(a.ctypes.data for a in inputs), result.ctypes.data, result.size)
    return result
