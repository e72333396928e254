"""What code generation hands to the runtime: one machine code and how to run it over a shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from insitu.codegen.target import Target


@dataclasses.dataclass(frozen=True)
class Code:
    """One machine code, not made yet.

    Attributes
    ----------
    key : str
        Identifies the machine code: a hash over the kernel, the target and the schedule; sizes that are runtime words are not part of it.
    symbol : str
        The function's name; where it is launched it is ``void symbol(ptr args, i64 begin, i64 end, ptr scratch, ptr words)``.
    ir : callable
        Makes the LLVM IR text; called only if the machine code is not in a cache.
    target : Target
        The CPU it is for.
    """

    key: str
    symbol: str
    ir: Callable[[], str] = dataclasses.field(compare=False)
    target: Target


@dataclasses.dataclass(frozen=True)
class Generated:
    """A `Code` with what one shape needs to run it.

    Attributes
    ----------
    code : Code
        The machine code.
    words : tuple of int
        Runtime words, to which ``words`` points; they follow buffers and ``calls`` in ``args``.
    units : int
        Independent units of work; any split over threads gives the same bits.
    grain : int
        Smallest number of units worth giving to one thread.
    scratch_bytes : int
        Each thread's own memory, 64-byte aligned.
    shared : float
        Preparation that every call repeats for its units, in the time of a unit.
    calls : tuple of Code
        Functions that the code calls; their addresses follow the buffers' in ``args``.
    """

    code: Code
    words: tuple[int, ...]
    units: int
    grain: int
    scratch_bytes: int
    shared: float = 0
    calls: tuple[Code, ...] = ()

    @property
    def codes(self) -> tuple[Code, ...]:
        """The machine code and that of what it calls."""
        return (self.code, *self.calls)
