"""One function for several independent kernels of different extents: a launch instead of many small ones.

Work is counted in units of about the same time, numbered through all kernels, so that any split is even::

    joined(args, begin, end, scratch):          kernel 0 has units 0 to 39 of 512 elements, kernel 1 has unit 40
      k_1(args, 512*begin, 512*end)             where these lie between begin and end
      k_1(args + 4 pointers, ...)               a kernel of the same text is the same function

Extents are runtime words; the kernels' own functions are those that they would have alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.loops import GRAIN_TIME, Nest, generate
from insitu.codegen.generated import Code, Generated
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target

#: Nanoseconds that a unit takes, roughly.
_UNIT_TIME = 500
#: Runtime words of each kernel: its first unit, turns of its loop in a unit, all its turns.
_WORDS = 3
i64 = dt.int64


def join(kernels: Sequence[Kernel], target: Target) -> Generated:
    """Machine code that runs all the kernels, and how to launch it.

    Parameters
    ----------
    kernels : sequence of Kernel
        Independent kernels of loops.
    target : Target
        The CPU.

    Returns
    -------
    Generated
        As of `insitu.codegen.cpu.generate`; the buffers are those of all kernels, one after the other.
    """
    alone = [generate(kernel, target) for kernel in kernels]
    words: list[int] = []
    units = 0
    for kernel in kernels:
        step = _turns(kernel, target)
        words += [units, step, kernel.units]
        units += -(-kernel.units // step)
    pointers = [sum(b.role != "scratch" for b in kernel.buffers) for kernel in kernels]
    identity = ("joined", *zip([made.code.key for made in alone], pointers, strict=True))
    key = hashlib.sha256(repr(identity).encode()).hexdigest()
    symbol = f"joined_{key[:18]}"
    symbols = [made.code.symbol for made in alone]
    code = Code(key, symbol, lambda: _module(kernels, symbols, pointers, target, symbol), target)
    return Generated(code, tuple(words), units, GRAIN_TIME // _UNIT_TIME, max(made.scratch_bytes for made in alone))


def _turns(kernel: Kernel, target: Target) -> int:
    """Turns of the kernel's loop that make a unit; whole lines of the cache where a turn is an element."""
    time = survey.nanoseconds(kernel.body, target.lanes(survey.element_bits(kernel.body)))
    turns = max(1, round(_UNIT_TIME / max(0.01, time)))
    return -(-turns // 64) * 64 if kernel.vector else turns


def _module(kernels: Sequence[Kernel], symbols: Sequence[str], pointers: Sequence[int], target: Target, symbol: str) -> str:
    b = Emitter(target)
    for name, kernel in dict(zip(symbols, kernels, strict=True)).items():
        Nest(kernel, target, b).write(name, "private")
    with b.function(symbol, [("args", None), ("begin", i64), ("end", i64), ("scratch", None)]) as (args, begin, end, scratch):
        at, table = 0, sum(pointers)
        for name, count in zip(symbols, pointers, strict=True):
            first, step, turns = (b.load(b.offset(args, table + k, i64), i64) for k in range(_WORDS))
            low, high = (b.mul(b.sub(x, first), step) for x in (begin, end))
            low, high = b.max(low, b.const(0, i64)), b.min(high, turns)
            with b.when(b.cmp("lt", low, high)):
                _call(b, name, (b.offset(args, at, i64), low, high, scratch))
            at, table = at + count, table + _WORDS
    return b.module()


def _call(b: Emitter, name: str, arguments: Sequence[Value]) -> None:
    b.void(f"call void @{name}({', '.join(map(repr, arguments))})")
