"""What every kernel's function has in common: its identity, its arguments, a thread's own memory."""

from __future__ import annotations

import hashlib

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target

_ALIGN = 64
#: Parameters of a kernel's function.
PARAMETERS = (("args", None), ("begin", dt.int64), ("end", dt.int64), ("scratch", None), ("words", None))


def kernel_key(kernel: Kernel, target: Target, *schedule: str) -> str:
    """The identity of a kernel's machine code: text, target and choices of schedule."""
    parts = (str(kernel), target.isa, *schedule)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def scratch_offsets(kernel: Kernel) -> tuple[dict[str, int], int]:
    """Where each scratch buffer starts in a thread's memory, in bytes, and how much there is in all."""
    offsets, total = {}, 0
    for buffer in kernel.buffers:
        if buffer.role == "scratch":
            offsets[buffer.name] = total
            total += -(-buffer.size * buffer.dtype.itemsize // _ALIGN) * _ALIGN
    return offsets, total


def pointers(b: Emitter, kernel: Kernel, args: Value, scratch: Value) -> dict[str, Value]:
    """The address of each buffer, read from a kernel's arguments."""
    offsets, _ = scratch_offsets(kernel)
    out: dict[str, Value] = {}
    words = 0
    for buffer in kernel.buffers:
        if buffer.role == "scratch":
            out[buffer.name] = b.offset(scratch, offsets[buffer.name], dt.uint8)
        else:
            out[buffer.name] = b.pointer(args, words)
            words += 1
    return out
