"""Code for contractions: packed, blocked matrix products with a fused epilogue.

The order of arithmetic is that of `insitu.codegen.nest.Contract`: one chain of ``fma`` over k per
output element and block of k, blocks added in order. Schedules differ in tiles, packing and which
axis runs in lanes, never in a bit of the result.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from functools import partial

from insitu.codegen import nest
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.gemm import squares
from insitu.codegen.cpu.gemm.epilogue import generalise
from insitu.codegen.cpu.gemm.function import around, loops
from insitu.codegen.cpu.gemm.layout import runtime_words
from insitu.codegen.cpu.gemm.schedule import Schedule, choose
from insitu.codegen.generated import Code, Generated
from insitu.codegen.nest import Contract, Kernel
from insitu.codegen.nest_text import show_kernel
from insitu.codegen.target import Target
from insitu.errors import InternalError

__all__ = ["choose", "generate"]


def generate(kernel: Kernel, target: Target, schedule: Schedule | None = None) -> Generated:
    """Code for a kernel whose one statement is a `Contract`.

    Parameters
    ----------
    kernel : Kernel
        The kernel; sizes and strides become runtime words, so that shapes with the same schedule share code.
    target : Target
        The CPU.
    schedule : Schedule, optional
        Instead of the one `choose` gives.

    Raises
    ------
    InternalError
        If the kernel is not one contraction.
    """
    if len(kernel.body) != 1 or not isinstance(kernel.body[0], Contract):
        raise InternalError("the code generator of contractions needs a kernel whose one statement is a Contract")
    contract = kernel.body[0]
    made = schedule or (squares.plan if isinstance(contract.a, nest.Squares) else choose)(contract, target)
    epilogue = generalise(contract)
    v, dtype = made.variant, contract.dtype
    flat = epilogue.flat and (v.whole or v.planar)
    words, scratch_bytes = runtime_words(made, contract, [b.name for b in kernel.buffers if b.role != "scratch"])
    sides = [(side.dtype.name, side.along_k) for side in (made.row_side, made.lane_side)]
    inner = _code("gemm", (dataclasses.astuple(v), dtype.name, sides, flat), partial(loops, made, flat, dtype), target)
    text = show_kernel(dataclasses.replace(kernel, units=1, body=epilogue.body))
    identity = (v.lanes, dtype.name, text, epilogue.name, epilogue.bounded)
    code = _code("epilogue", identity, partial(around, kernel, epilogue, dtype, v.lanes), target)
    instructions = survey.instructions(survey.values(epilogue.body))
    values = (*epilogue.words, *words.values())  # in the order of their names
    return Generated(code, values, made.units, made.grain(instructions), scratch_bytes, made.shared, (inner,))


def _code(name: str, identity: tuple[object, ...], ir: Callable[[Target, str], str], target: Target) -> Code:
    key = hashlib.sha256(repr((name, target.isa, *identity)).encode()).hexdigest()
    symbol = f"{name}_{key[:16]}"
    return Code(key, symbol, partial(ir, target, symbol), target)
