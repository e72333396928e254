"""Small constant matrices applied to two axes from both sides: what Winograd's convolution (`insitu.compiler.winograd`) consists of.

Both primitives compute ``matrix @ x @ matrix.T`` for every element of the other axes. A sum is a chain over the entries of
a row of the matrix that are not 0, in order, first along the first axis; where they have one magnitude that is multiplied at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, apply, aval, register
from insitu.ops.convolution import windows
from insitu.ops.elementwise import Sample, Values, draw

Matrix = tuple[tuple[float, ...], ...]
Index = tuple[nest.Expr, ...]


def transposed(matrix: Matrix) -> Matrix:
    """Rows and columns exchanged."""
    return tuple(zip(*matrix, strict=True))


@register
class Mix(Primitive):
    """The two axes are the first ones: (a, b, ...) becomes (i, j, ...)."""

    name = "mix"
    meaning = "the first two axes times a small matrix, from both sides"
    attributes = ("matrix",)
    kind = "mix"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        (matrix,) = attrs
        if x.ndim < 2 or x.shape[:2] != (len(matrix[0]),) * 2 or x.dtype.kind != "f" or x.dtype.bits < 32:
            raise InternalError(f"mix {attrs} of {x}")
        return aval((len(matrix), len(matrix), *x.shape[2:]), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (mix(ct, transposed(node.attrs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return _by_numpy(attrs[0], arrays[0])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for dtype in (dt.float64, dt.float32):
            yield (_EVEN,), (draw(rng, (4, 4, 2, 3), dtype),)
            yield (_UNEVEN,), (draw(rng, (2, 2, 1, 5), dtype),)
        yield (_EVEN,), (draw(rng, (4, 4, 0, 3), dt.float32),)

    def block(self, node: Node) -> tuple[int, ...]:
        return (*node.shape[:2], *[1] * (node.ndim - 2))

    def element(self, node: Node, index: Index, load: Load, guard: nest.Expr | None) -> nest.Expr:
        return _element(node.attrs[0], index[:2], lambda a, b: load(0, (a, b, *index[2:]), guard))


@register
class MixBlocks(Primitive):
    """The first two axes become neighbours in a grid: (a, b, batch, rows, columns, channels) becomes (batch, rows*i, columns*j, channels)."""

    name = "mix_blocks"
    meaning = "the first two axes times a small matrix, from both sides, as neighbours in a grid"
    attributes = ("matrix",)
    kind = "mix"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        (matrix,) = attrs
        if x.ndim != 6 or x.shape[:2] != (len(matrix[0]),) * 2 or x.dtype.kind != "f" or x.dtype.bits < 32:
            raise InternalError(f"mix_blocks {attrs} of {x}")
        n, rows, columns, channels = x.shape[2:]
        return aval((n, rows * len(matrix), columns * len(matrix), channels), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        (matrix,) = node.attrs
        return (mix(tiles(ct, len(matrix), len(matrix)), transposed(matrix)),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        made = _by_numpy(attrs[0], arrays[0])
        i, j, n, rows, columns, channels = made.shape
        return made.transpose(2, 3, 0, 4, 1, 5).reshape(n, rows * i, columns * j, channels)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for dtype in (dt.float64, dt.float32):
            yield (_EVEN,), (draw(rng, (4, 4, 2, 1, 3, 2), dtype),)
            yield (_UNEVEN,), (draw(rng, (2, 2, 1, 2, 2, 5), dtype),)

    def block(self, node: Node) -> tuple[int, ...]:
        size = len(node.attrs[0])
        return (1, size, size, 1)

    def element(self, node: Node, index: Index, load: Load, guard: nest.Expr | None) -> nest.Expr:
        size = nest.index(len(node.attrs[0]))
        (i, row), (j, column) = [(nest.op("mod", at, size), nest.op("floordiv", at, size)) for at in index[1:3]]
        return _element(node.attrs[0], (i, j), lambda a, b: load(0, (a, b, index[0], row, column, index[3]), guard))


_MIX, _MIX_BLOCKS = REGISTRY["mix"], REGISTRY["mix_blocks"]
#: Matrices of the samples: signs alone, and other numbers.
_EVEN: Matrix = ((1, 0, -1, 0), (0.5, 0.5, 0.5, 0))
_UNEVEN: Matrix = ((2, -3), (0, 1), (-1, 1))


def mix(x: Node, matrix: Matrix) -> Node:
    """``matrix @ x @ matrix.T`` on the first two axes."""
    return apply(_MIX, (x,), (matrix,))


def mix_blocks(x: Node, matrix: Matrix) -> Node:
    """The same with the two axes as neighbours in a grid, ``(batch, rows*i, columns*j, channels)``."""
    return apply(_MIX_BLOCKS, (x,), (matrix,))


def tiles(x: Node, size: int, step: int) -> Node:
    """Squares of ``size`` positions of a grid, ``step`` apart: axes (row in it, column in it, batch, rows, columns, channels)."""
    return ops.permute(windows(x, (size, size), (step, step)), (3, 4, 0, 1, 2, 5))


def _element(matrix: Matrix, at: Index, load: Callable[[nest.Expr, nest.Expr], nest.Expr]) -> nest.Expr:
    return _row(matrix, at[1], lambda b: _row(matrix, at[0], lambda a: load(nest.index(a), nest.index(b))))


def _row(matrix: Matrix, number: nest.Expr, value: Callable[[int], nest.Expr]) -> nest.Expr:
    """The sum of values times a row of the matrix."""
    return nest.pick(number, len(matrix), lambda k: _sum(matrix[k], value))


def _sum(row: Sequence[float], value: Callable[[int], nest.Expr]) -> nest.Expr:
    terms = [(k, factor) for k, factor in enumerate(row) if factor]
    scale = abs(terms[0][1]) if len({abs(factor) for _, factor in terms}) == 1 else 1.0
    total: nest.Expr | None = None
    for k, factor in terms:
        x = value(k)
        if abs(factor) != scale:
            x = nest.op("mul", x, nest.const(abs(factor), x.dtype))
        if total is None:
            total = x if factor > 0 else nest.op("neg", x)
        else:
            total = nest.op("add" if factor > 0 else "sub", total, x)
    if total is None:
        raise InternalError("a row of zeros")
    return total if scale == 1 else nest.op("mul", total, nest.const(scale, total.dtype))


def _by_numpy(matrix: Matrix, x: Values) -> Values:
    wide = np.array(matrix, np.float64)
    return np.asarray(np.einsum("ia,jb,ab...->ij...", wide, wide, x.astype(np.float64)).astype(x.dtype))
