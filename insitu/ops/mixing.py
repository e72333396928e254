"""Small constant matrices applied to two axes from both sides: what Winograd's convolution (`insitu.compiler.winograd`) consists of.

``matrix @ x @ matrix.T`` is computed for every element of the other axes, first along the first axis; the order of a sum is that
of `insitu.codegen.nest.weighted`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, Shape, apply, aval, register
from insitu.ops.convolution import Pairs, window_extents
from insitu.ops.elementwise import Sample, Values, draw

Matrix = nest.Matrix
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


#: Channels and outputs of a convolution by squares are a multiple of this: whole vectors on every CPU.
LANES = 16


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """How two neighbouring outputs of a chain over some taps are made of fewer products: ``outputs @ ((inputs @ x) * (kernel @ taps))``.

    From the inputs of two outputs to those of the next two it is two strides.
    """

    inputs: Matrix
    kernel: Matrix
    outputs: Matrix


#: By the number of taps and the stride: Winograd's F(2, 3), from Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015),
#: section 4.1; for five taps that one for the first three, F(2, 2) for the others: all numbers stay as small; with stride 2 F(2, 2) for the
#: taps that see every second position from the first one on, and plain products for the one that sees those between.
ALGORITHMS = {
    (2, 1): Algorithm(((1, -1, 0), (0, 1, 0), (0, -1, 1)), ((1, 0), (1, 1), (0, 1)), ((1, 1, 0), (0, 1, 1))),
    (3, 1): Algorithm(
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
        ((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    (3, 2): Algorithm(
        ((1, 0, -1, 0, 0), (0, 0, 1, 0, 0), (0, 0, -1, 0, 1), (0, 1, 0, 0, 0), (0, 0, 0, 1, 0)),
        ((1, 0, 0), (1, 0, 1), (0, 0, 1), (0, 1, 0), (0, 1, 0)),
        ((1, 1, 0, 1, 0), (0, 1, 1, 0, 1)),
    ),
    (5, 1): Algorithm(
        (
            (1, 0, -1, 0, 0, 0), (0, 1, 1, 0, 0, 0), (0, -1, 1, 0, 0, 0), (0, 1, 0, -1, 0, 0),
            (0, 0, 0, 1, -1, 0), (0, 0, 0, 0, 1, 0), (0, 0, 0, 0, -1, 1),
        ),
        (
            (1, 0, 0, 0, 0), (0.5, 0.5, 0.5, 0, 0), (0.5, -0.5, 0.5, 0, 0), (0, 0, 1, 0, 0),
            (0, 0, 0, 1, 0), (0, 0, 0, 1, 1), (0, 0, 0, 0, 1),
        ),
        ((1, 1, 1, 0, 1, 1, 0), (0, 1, -1, -1, 0, 1, 1)),
    ),
}  # fmt: skip


@register
class ConvSquares(Primitive):
    """A convolution by products of mixed squares: every 2x2 square of outputs sees a square of inputs.

    Inputs: a grid (batch, rows, columns, channels) and the kernel mixed by the algorithm for its taps and stride, (p, p, channels, outputs).
    Both squares are mixed; the sums over the channels are chains.
    """

    name = "conv_squares"
    meaning = "a convolution by products of mixed squares"
    attributes = ("taps", "stride", "padding")
    arity = 2
    kind = "contract"
    no_gradient = "the compiler chooses algorithms after gradients have been taken"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, w = avals
        taps, stride, padding = attrs
        p = len(ALGORITHMS[taps, stride].inputs)
        fits = x.dtype is w.dtype is dt.float32 and x.ndim == 4 and w.shape[:-1] == (p, p, x.shape[-1])
        if not fits or any(side % LANES for side in w.shape[2:]):
            raise InternalError(f"conv_squares {attrs} of {x} and {w}")
        return aval((*_outputs(x.shape, taps, stride, padding), w.shape[-1]), x.dtype)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, w = arrays
        taps, stride, padding = attrs
        how = ALGORITHMS[taps, stride]
        batch, rows, columns = _outputs(x.shape, taps, stride, padding)
        seen = _squares_of(x, how.inputs, 2 * stride, (rows, columns), padding)
        products = np.einsum("ijnyxc,ijco->ijnyxo", seen, w.astype(np.float64), optimize=True)
        made = np.einsum("ui,vj,ijnyxo->nyuxvo", how.outputs, how.outputs, products, optimize=True)
        return np.asarray(made.reshape(batch, 2 * made.shape[1], 2 * made.shape[3], w.shape[-1])[:, :rows, :columns].astype(x.dtype))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for taps, stride, padding, grid, outputs in _SQUARES:
            p = len(ALGORITHMS[taps, stride].inputs)
            w = draw(rng, (p, p, grid[-1], outputs), dt.float32) / np.float32(8)
            yield (taps, stride, padding), (draw(rng, grid, dt.float32), w)


@register
class ConvSquaresWeight(Primitive):
    """The gradient of `ConvSquares` by its mixed kernel.

    Inputs: the grid and a cotangent of the result; every element is a chain over the squares.
    """

    name = "conv_squares_weight"
    meaning = "the gradient of a convolution by its mixed kernel"
    attributes = ("taps", "stride", "padding")
    arity = 2
    kind = "contract"
    no_gradient = ConvSquares.no_gradient

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, ct = avals
        taps, stride, padding = attrs
        p = len(ALGORITHMS[taps, stride].inputs)
        fits = x.dtype is ct.dtype is dt.float32 and x.ndim == ct.ndim == 4
        if not fits or ct.shape[:-1] != _outputs(x.shape, taps, stride, padding) or x.shape[-1] % LANES or ct.shape[-1] % LANES:
            raise InternalError(f"conv_squares_weight {attrs} of {x} and {ct}")
        return aval((p, p, x.shape[-1], ct.shape[-1]), x.dtype)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, ct = arrays
        taps, stride, padding = attrs
        how, outputs = ALGORITHMS[taps, stride], ct.shape[1:3]
        seen = _squares_of(x, how.inputs, 2 * stride, outputs, padding)
        given = _squares_of(ct, transposed(how.outputs), 2, outputs, ((0, 0), (0, 0)))
        return np.asarray(np.einsum("ijnyxc,ijnyxo->ijco", seen, given, optimize=True).astype(x.dtype))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for taps, stride, padding, grid, outputs in _SQUARES:
            ct = draw(rng, (*_outputs(grid, taps, stride, padding), outputs), dt.float32) / np.float32(8)
            yield (taps, stride, padding), (draw(rng, grid, dt.float32), ct)


#: Taps, stride, padding, grid and outputs of samples: odd and even extents, none, windows larger than the grid, rows that nobody sees.
_SQUARES = (
    (3, 1, ((1, 1), (1, 1)), (2, 5, 6, 16), 32),
    (3, 1, ((0, 2), (1, 0)), (1, 8, 7, 32), 16),
    (5, 1, ((2, 2), (2, 2)), (2, 4, 9, 16), 48),
    (5, 1, ((4, 0), (0, 4)), (1, 2, 1, 16), 16),
    (3, 1, ((1, 1), (1, 1)), (0, 4, 4, 16), 16),
    (3, 2, ((1, 1), (1, 1)), (2, 9, 8, 16), 32),
    (3, 2, ((0, 1), (0, 0)), (1, 12, 6, 32), 16),
    (2, 1, ((1, 0), (0, 0)), (2, 5, 6, 16), 32),
)


def _outputs(grid: Shape, taps: int, stride: int, padding: Pairs) -> Shape:
    """Batch and positions of a convolution."""
    return (grid[0], *window_extents(grid[1:3], (taps,) * 2, (stride,) * 2, padding, (1, 1)))


def _squares_of(x: Values, matrix: Matrix, step: int, outputs: Shape, padding: Pairs) -> Values:
    """Mixed squares by NumPy: axes (element's row, element's column, batch, row, column, channel)."""
    size = len(matrix[0])
    spans = [step * (-(-extent // 2) - 1) + size for extent in outputs]
    more = [(a, max(0, span - a - n)) for n, span, (a, _) in zip(x.shape[1:3], spans, padding, strict=True)]
    padded = np.pad(x.astype(np.float64), [(0, 0), *more, (0, 0)])[:, : spans[0], : spans[1]]
    seen = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))[:, ::step, ::step]
    return np.asarray(np.einsum("nyxcab,ia,jb->ijnyxc", seen, matrix, matrix, optimize=True))


_MIX, _CONV_SQUARES, _CONV_SQUARES_WEIGHT = (REGISTRY[name] for name in ("mix", "conv_squares", "conv_squares_weight"))
#: Matrices of the samples: signs alone, and other numbers.
_EVEN: Matrix = ((1, 0, -1, 0), (0.5, 0.5, 0.5, 0))
_UNEVEN: Matrix = ((2, -3), (0, 1), (-1, 1))


def mix(x: Node, matrix: Matrix) -> Node:
    """``matrix @ x @ matrix.T`` on the first two axes."""
    return apply(_MIX, (x,), (matrix,))


def conv_squares(x: Node, w: Node, taps: int, stride: int, padding: Pairs) -> Node:
    """The convolution of a grid with a mixed kernel."""
    return apply(_CONV_SQUARES, (x, w), (taps, stride, padding))


def conv_squares_weight(x: Node, ct: Node, taps: int, stride: int, padding: Pairs) -> Node:
    """The gradient by the mixed kernel."""
    return apply(_CONV_SQUARES_WEIGHT, (x, ct), (taps, stride, padding))


def _element(matrix: Matrix, at: Index, load: Callable[[nest.Expr, nest.Expr], nest.Expr]) -> nest.Expr:
    return _row(matrix, at[1], lambda b: _row(matrix, at[0], lambda a: load(nest.index(a), nest.index(b))))


def _row(matrix: Matrix, number: nest.Expr, value: Callable[[int], nest.Expr]) -> nest.Expr:
    """The sum of values times a row of the matrix."""
    return nest.pick(number, len(matrix), lambda k: nest.weighted(matrix[k], value))


def _by_numpy(matrix: Matrix, x: Values) -> Values:
    wide = np.array(matrix, np.float64)
    return np.asarray(np.einsum("ia,jb,ab...->ij...", wide, wide, x.astype(np.float64)).astype(x.dtype))
