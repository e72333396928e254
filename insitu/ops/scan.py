"""Running folds along an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, Primitive, apply, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import check_kind, normal_axis


class Scan(Primitive):
    """Element i of the output folds the elements 0 to i of the input, in increasing order."""

    attributes = ("axis",)
    kind = "scan"
    title: str = ""

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        check_kind(self.title, "x", avals[0], "iuf")
        return avals[0]

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        cases: Sequence[tuple[tuple[int, ...], int]] = (((7,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), 1), ((0, 3), 0), ((2, 67), 1), ((1,), 0))
        dtypes = (dt.float64, dt.float32, dt.float64, dt.int32, dt.float32, dt.float64, dt.float16)
        for (shape, axis), dtype in zip(cases, dtypes, strict=True):
            yield (axis,), (draw(rng, shape, dtype, -1.5, 1.5),)


def _double(function: Callable[..., Any], axis: int, x: Values) -> Values:
    wide = np.float64 if dt.as_dtype(x.dtype).kind == "f" else x.dtype
    with np.errstate(all="ignore"):
        return np.asarray(function(x.astype(wide), axis=axis, dtype=wide)).astype(x.dtype)


@register
class CumSum(Scan):
    name = "cumsum"
    title = "cumulative_sum"
    meaning = "the running sum along an axis; 16-bit floats are summed in float32"
    how = "sum"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        down = (node.attrs[0],)
        return (ops.flip(ops.cumsum(ops.flip(ct, down), down[0]), down),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return _double(np.cumsum, attrs[0], arrays[0])


_CUMSUM = REGISTRY["cumsum"]


def cumsum(x: Node, axis: int) -> Node:
    """The running sum along an axis.

    Raises
    ------
    ShapeError
        If the axis does not exist.
    """
    return apply(_CUMSUM, (x,), (normal_axis("cumulative_sum", axis, x.aval),))


@register
class CumProd(Scan):
    name = "cumprod"
    title = "cumulative_prod"
    meaning = "the running product along an axis; 16-bit floats are multiplied in float32"
    how = "prod"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        """The product before element i times s[i] = ct[i] + x[i+1] * s[i+1]; nothing is divided, so zeros are right.

        The recurrence is solved by doubling: after a turn, s[i] has the terms of twice as many elements, and
        f[i] the product of the factors over which it reaches.
        """
        (x,) = node.inputs
        axis = node.attrs[0]
        n = x.shape[axis]
        if n == 0:
            return (ct,)
        before = _moved(node, axis, -1, 1)
        total, factor, reach = ct, _moved(x, axis, 1, 0), 1
        while reach < n:
            total = ops.add(total, ops.mul(factor, _moved(total, axis, reach, 0)))
            factor = ops.mul(factor, _moved(factor, axis, reach, 0))
            reach *= 2
        return (ops.mul(before, total),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return _double(np.cumprod, attrs[0], arrays[0])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield (1,), (np.array([[1.5, 0.0, 2.0, 0.5], [0.0, 0.0, 3.0, 1.0], [1.0, 2.0, -1.0, 0.0]]),)


_CUMPROD = REGISTRY["cumprod"]


def _moved(x: Node, axis: int, by: int, value: float) -> Node:
    """Element i is ``x[i + by]`` along the axis; ``value`` where there is none."""
    n = x.shape[axis]
    start, stop = max(0, by), min(n, n + by)
    part = ops.slice_(x, [start if k == axis else 0 for k in range(x.ndim)], [stop if k == axis else m for k, m in enumerate(x.shape)])
    return ops.pad(part, [(max(0, -by), max(0, by)) if k == axis else (0, 0) for k in range(x.ndim)], value)


def cumprod(x: Node, axis: int) -> Node:
    """The running product along an axis.

    Raises
    ------
    ShapeError
        If the axis does not exist.
    """
    return apply(_CUMPROD, (x,), (normal_axis("cumulative_prod", axis, x.aval),))
