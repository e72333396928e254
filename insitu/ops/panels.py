"""Matrices that lie in panels: the order in which a product of matrices reads its second factor."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, Shape, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import size_of


@register
class Panels(Primitive):
    """The input's axes are (matrix, panel, row, column of the panel). The last panel has been moved back so that it is full.

    One matrix serves all leading positions of the result, or each has its own.
    """

    name = "panels"
    meaning = "matrices that lie in panels of neighbouring columns"
    attributes = ("shape",)
    kind = "view"
    no_gradient = "the compiler lays matrices in panels after gradients have been taken"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        *leading, rows, columns = attrs[0]
        if x.ndim != 4 or x.shape[0] not in (1, size_of(leading)) or x.shape[1] != -(-columns // x.shape[3]) or x.shape[2] != rows:
            raise InternalError(f"panels {x} of matrices {attrs[0]}")
        return aval(attrs[0], x.dtype)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        (x,) = arrays
        *leading, _, columns = attrs[0]
        panel, inside = np.divmod(np.arange(columns), x.shape[3])
        moved = np.maximum(0, (panel + 1) * x.shape[3] - columns) if columns > x.shape[3] else 0
        matrices = np.moveaxis(x[:, panel, :, inside + moved], 0, -1)
        return np.ascontiguousarray(np.broadcast_to(matrices, (size_of(leading), *matrices.shape[1:]))).reshape(attrs[0])

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        matrices, _, _, width = node.inputs[0].shape
        *leading, row, column = index
        matrix = nest.ravel(tuple(leading), node.shape[:-2]) if matrices > 1 else nest.index(0)
        panel = nest.op("floordiv", column, nest.index(width))
        first = nest.op("min", nest.op("mul", panel, nest.index(width)), nest.index(max(0, node.shape[-1] - width)))
        return load(0, (matrix, panel, row, nest.op("sub", column, first)), guard)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((3, 10),), (draw(rng, (1, 3, 3, 4), dt.float32),)
        yield ((2, 5, 8),), (draw(rng, (2, 2, 5, 4), dt.float64),)
        yield ((2, 3, 4, 3),), (draw(rng, (6, 1, 4, 8), dt.int32),)
        yield ((2, 2, 5),), (draw(rng, (1, 3, 2, 2), dt.float32),)


_PANELS = REGISTRY["panels"]


def from_panels(x: Node, shape: Shape) -> Node:
    """Matrices of ``shape`` (..., rows, columns) that lie in panels."""
    return apply(_PANELS, (x,), (tuple(shape),))


def to_panels(x: Node, width: int) -> Node:
    """Matrices (matrix, row, column) as panels of ``width`` columns; fewer columns than one panel are filled up with zeros."""
    matrices, rows, columns = x.shape
    if columns < width:
        x = ops.pad(x, [(0, 0), (0, 0), (0, width - columns)])
    elif columns % width:
        x = ops.concat([ops.slice_(x, (0, 0, 0), (matrices, rows, columns // width * width)), ops.slice_(x, (0, 0, columns - width), x.shape)], 2)
    return ops.permute(ops.reshape(x, (matrices, rows, -1, width)), (0, 2, 1, 3))
