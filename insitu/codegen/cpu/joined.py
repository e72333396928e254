"""Several independent kernels of loops in one launch: one instead of many small ones.

Work is counted in units of about the same time, numbered through all kernels, so that any split is even::

    joined(args, begin, end, scratch, words):                 kernel 0 has units 0 to 39 of 512 elements, kernel 1 has unit 40
      k_1(args, 512*begin, 512*end, scratch, its words)       where these lie between begin and end
      k_2(args + 4 pointers, ...)

The kernels' functions are those that they would have alone, called by address, and all else is in runtime words: there is one such code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.abi import PARAMETERS
from insitu.codegen.cpu.emitter import Emitter
from insitu.codegen.cpu.loops import GRAIN_TIME, generate
from insitu.codegen.generated import Code, Generated
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target

#: Nanoseconds that a unit takes, roughly.
_UNIT_TIME = 500
#: Runtime words of each kernel: its first unit, turns of its loop in a unit, all its turns, how many buffers and words of its own it has.
#: The latter follow.
_ROW = 5
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
    buffers = [sum(b.role != "scratch" for b in kernel.buffers) for kernel in kernels]
    words = [len(kernels), sum(buffers)]
    units = 0
    for kernel, made, count in zip(kernels, alone, buffers, strict=True):
        step = _turns(kernel, target)
        words += [units, step, kernel.units, count, len(made.words), *made.words]
        units += -(-kernel.units // step)
    key = hashlib.sha256(repr(("joined", target.isa)).encode()).hexdigest()
    symbol = f"joined_{key[:18]}"
    code = Code(key, symbol, lambda: _module(target, symbol), target)
    scratch_bytes = max(made.scratch_bytes for made in alone)
    return Generated(code, tuple(words), units, GRAIN_TIME // _UNIT_TIME, scratch_bytes, calls=tuple([made.code for made in alone]))


def _turns(kernel: Kernel, target: Target) -> int:
    """Turns of the kernel's loop that make a unit; whole lines of the cache where a turn is an element."""
    time = survey.nanoseconds(kernel.body, target.lanes(survey.element_bits(kernel.body)))
    turns = max(1, round(_UNIT_TIME / max(0.01, time)))
    return -(-turns // 64) * 64 if kernel.vector else turns


def _module(target: Target, symbol: str) -> str:
    b = Emitter(target)
    with b.function(symbol, PARAMETERS) as (args, begin, end, scratch, words):
        kernels, functions = (b.load(b.offset(words, k, i64), i64) for k in range(2))
        with b.loop(0, kernels, 1, [args, b.offset(words, 2, i64)]) as turn:
            own, row = turn.values
            first, step, turns, buffers, count = (b.load(b.offset(row, k, i64), i64) for k in range(_ROW))
            low, high = (b.mul(b.sub(x, first), step) for x in (begin, end))
            low, high = b.max(low, b.const(0, i64)), b.min(high, turns)
            own_words = b.offset(row, _ROW, i64)
            with b.when(b.cmp("lt", low, high)):
                function = b.pointer(args, b.add(functions, turn.index))
                b.void(f"call void {function.text}({', '.join(map(repr, (own, low, high, scratch, own_words)))})")
            turn.next = [b.offset(own, buffers, i64), b.offset(own_words, count, i64)]
    return b.module()
