"""Kernels of loops made free of their sizes, so that shapes of one structure share machine code.

::

    parallel r < 512:                                       parallel r:
      vector j < 128:                                         vector j < word0 (64 each):
        y0[((r * 128) + j)] = x0[(((r % 64) * 128) + j)]        y0[((r * word1) + j)] = x0[(((r - (...) * word3) * word4) + j)]

So are numbers in reductions of columns. Sizes that the code depends on stay: factors of the axis that runs in lanes, and all in what lanes
compute of their positions.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import survey
from insitu.codegen.nest import Axis, Expr, Kernel, Stmt
from insitu.codegen.nest_text import in_order
from insitu.errors import InternalError

#: Numbers below this are divided by a runtime word with one multiplication.
_DIVIDED = 1 << 32
#: Floats that are words, with the letters of `struct` for their bits.
_NUMBERS = {dt.float32: "<f", dt.float64: "<d"}


@dataclasses.dataclass(frozen=True)
class General:
    """A kernel whose sizes are runtime words.

    Attributes
    ----------
    kernel : Kernel
        An axis or, for floats, a reference named ``word0``, ``word1``, ... is a runtime word.
    words : tuple of int
        The words' values for this shape, modulo 2**64, or bits.
    dtypes : tuple of DType
        What the words are.
    """

    kernel: Kernel
    words: tuple[int, ...] = ()
    dtypes: tuple[dt.DType, ...] = ()


def generalise(kernel: Kernel, steps: Callable[[Sequence[Stmt]], tuple[int, int]]) -> General:
    """Replace the sizes in loops and offsets by runtime words.

    Parameters
    ----------
    kernel : Kernel
        A kernel of loops without reductions of rows: the order in which a row is reduced follows its length.
    steps : callable
        The lanes of a turn of a loop with such a body, and of a vector. Loops of one turn, which is written without a loop, and those
        that end with a part of a vector keep their extents.
    """
    rewriter = _Rewriter(kernel, steps)
    body = tuple(map(rewriter.statement, kernel.body))
    return General(dataclasses.replace(kernel, body=body), tuple(rewriter.words), tuple(rewriter.dtypes))


class _Rewriter:
    """One pass over the statements; equal expressions share their words."""

    def __init__(self, kernel: Kernel, steps: Callable[[Sequence[Stmt]], tuple[int, int]]) -> None:
        self.steps = steps
        self.moving = {s.axis.name for s in survey.statements(kernel.body) if isinstance(s, nest.Loop) and s.axis.kind == "vector"}
        if kernel.vector:
            self.moving.add(kernel.unit)
        self.in_columns = kernel.vector and any(map(survey.is_chain, kernel.body))
        self.words: list[int] = []
        self.dtypes: list[dt.DType] = []
        self._values: dict[Expr, Expr] = {}
        self._offsets: dict[Expr, Expr] = {}
        self._axes: dict[tuple[Axis, tuple[int, int]], Axis] = {}
        self._seen: dict[Expr, bool] = {}

    def statement(self, s: Stmt) -> Stmt:
        if isinstance(s, nest.Let):
            return nest.Let(s.name, self.value(s.value))
        if isinstance(s, nest.Store):
            return nest.Store(s.buffer, self.place(s.offset), self.value(s.value), None if s.guard is None else self.value(s.guard))
        if isinstance(s, nest.Loop):
            in_lanes = s.axis.kind == "vector" and not survey.has_vector_axis(s.body)
            return nest.Loop(self.axis(s.axis, self.steps(s.body) if in_lanes else (1, 1)), tuple(map(self.statement, s.body)))
        if isinstance(s, nest.Reduce):
            body, after = (tuple(map(self.statement, part)) for part in (s.body, s.after))
            return nest.Reduce(s.name, s.how, self.axis(s.axis, (1, 1)), self.value(s.value), body, after)
        raise InternalError(f"a kernel of loops cannot hold a {type(s).__name__}")

    def axis(self, axis: Axis, steps: tuple[int, int]) -> Axis:
        """The axis with its extent as a word, a multiple of a turn or of a vector."""
        lanes, width = steps
        if axis.extent < 1 or axis.extent % width or (axis.kind == "vector" and axis.extent <= lanes):
            return axis
        found = self._axes.get((axis, steps))
        if found is None:
            found = Axis(axis.name, lanes if axis.extent % lanes == 0 else width, axis.kind, self.word(axis.extent))
            self._axes[axis, steps] = found
        return found

    def value(self, x: Expr) -> Expr:
        """The expression with general offsets and guards (without recursion: chains are long)."""
        stack = [x]
        while stack:
            top = stack.pop()
            if top in self._values:
                continue
            missing = [a for a in top.args[top.op == "load" :] if a not in self._values]
            if missing:
                stack += [top, *reversed(missing)]
            else:
                self._values[top] = self._value(top)
        return self._values[x]

    def _value(self, x: Expr) -> Expr:
        if x.op == "const" and self.in_columns and x.attr and x.dtype in _NUMBERS:
            return self.number(x)
        if not x.args:
            return x
        if x.op == "load":
            return nest.load(x.attr, self.place(x.args[0]), x.dtype, *map(self.value, x.args[1:]))
        if x.op in nest.COMPARISONS and x.args[0].dtype is dt.int64 and not self._moves(x):
            return nest.rebuilt(x, list(map(self.offset, x.args)))
        return nest.rebuilt(x, list(map(self.value, x.args)))

    def place(self, x: Expr) -> Expr:
        """An element's offset with words for its sizes, if lanes are evenly apart."""
        return self.value(x) if any(nest.linear(x, axis) is None for axis in self.moving) else self.offset(x)

    def offset(self, x: Expr) -> Expr:
        """An index expression, linear in what moves, with words for its sizes."""
        found = self._offsets.get(x)
        if found is None:
            found = self._offsets[x] = self._offset(x)
        return found

    def _offset(self, x: Expr) -> Expr:
        if x.op == "const":
            return self.word(x.attr) if x.attr else x
        if x.op == "axis":
            return nest.axis(x.attr, None)
        if x.dtype is not dt.int64 or x.op not in nest.OPERATIONS:
            return self.value(x)
        if x.op == "mul" and self._moves(x):
            return nest.rebuilt(x, [self.offset(x.args[0]), x.args[1]])
        if x.op in ("floordiv", "mod") and x.args[1].op == "const":
            return self._divided(x)
        return nest.rebuilt(x, list(map(self.offset, x.args)))

    def _divided(self, x: Expr) -> Expr:
        """Division by a word as the high half of a product."""
        number, by = x.args[0], x.args[1].attr
        if number.lo is None or number.hi is None or number.lo < 0 or number.hi >= _DIVIDED or not 1 < by < _DIVIDED:
            return nest.rebuilt(x, [self.offset(number), x.args[1]])
        general = self.offset(number)
        key = nest.op("floordiv", number, x.args[1])
        quotient = self._offsets.get(key)
        if quotient is None:
            factor = nest.cast(self.word(inverse(by)), dt.uint64)
            quotient = nest.cast(nest.op("mulhi", nest.cast(general, dt.uint64), factor), dt.int64)
            self._offsets[key] = quotient
        if x.op == "floordiv":
            return quotient
        return nest.op("sub", general, nest.op("mul", quotient, self.word(by)))

    def _moves(self, x: Expr) -> bool:
        """Whether the expression differs between lanes."""
        return survey.any_part(x, lambda e: e.op == "ref" or (e.op == "axis" and e.attr in self.moving), self._seen)

    def number(self, x: Expr) -> Expr:
        """A float as a word: what becomes of columns of another length is divided by another number."""
        self.words.append(int.from_bytes(struct.pack(_NUMBERS[x.dtype], x.attr), "little"))
        self.dtypes.append(x.dtype)
        return nest.ref(word(len(self.words) - 1), x.dtype)

    def word(self, value: int) -> Expr:
        """One more word."""
        self.words.append(value)
        self.dtypes.append(dt.int64)
        return nest.axis(word(len(self.words) - 1), None)


def inverse(by: int) -> int:
    """2**64 / by, rounded up: the high half of its product with a number below 2**32 is that number's quotient (Lemire, 2019)."""
    return -(-(1 << 64) // by)


def word(number: int) -> str:
    """The name of a runtime word."""
    return f"word{number}"


def bounds(kernel: Kernel) -> list[str]:
    """The bounds of positions that a kernel's code relies on."""
    return sorted({f"{x.attr} <= {x.hi}" for x in in_order(survey.roots(kernel.body)) if x.op == "axis" and x.hi is not None})
