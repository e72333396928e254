"""Machine code for CPUs: loop nest to LLVM to object code."""

from __future__ import annotations

from collections.abc import Sequence

from insitu.codegen.generated import Generated
from insitu.codegen.nest import ArgSort, Contract, Kernel
from insitu.codegen.target import Target


def join_kernels(kernels: Sequence[Kernel], target: Target) -> Generated:
    """One launch for several independent kernels of loops (see `insitu.codegen.cpu.joined`)."""
    from insitu.codegen.cpu.joined import join

    return join(kernels, target)


def generate(kernel: Kernel, target: Target) -> Generated:
    """The machine code of a kernel and how to launch it.

    Parameters
    ----------
    kernel : Kernel
        A verified kernel.
    target : Target
        The CPU.

    Returns
    -------
    Generated
        A function ``void symbol(ptr args, i64 begin, i64 end, ptr scratch, ptr words)``. ``args`` points to
        8-byte words: the address of each buffer that is not scratch, in order, those of ``calls``, then ``words``.
        Any split of the units over calls gives the same bits.

    Examples
    --------
    >>> from insitu.codegen import nest, target
    >>> from insitu import dtypes as dt
    >>> i = nest.axis("i", None)
    >>> x = nest.load("x", i, dt.float32)
    >>> buffers = (nest.Buffer("x", dt.float32, "in"), nest.Buffer("y", dt.float32, "out"))
    >>> kernel = nest.Kernel("i", 1000, buffers, (nest.Store("y", i, nest.op("mul", x, x)),), vector=True)
    >>> generate(kernel, target.named("native")).units
    1000
    """
    # a kind of kernel is imported with the first one of it: programs differ in which they need
    if any(isinstance(s, Contract) for s in kernel.body):
        from insitu.codegen.cpu.gemm import generate as contract

        return contract(kernel, target)
    if any(isinstance(s, ArgSort) for s in kernel.body):
        from insitu.codegen.cpu.sort import generate as sort

        return sort(kernel, target)
    from insitu.codegen.cpu.loops import generate as loops

    return loops(kernel, target)
