"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.errors import InternalError, ShapeError, many_axes
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import broadcast_shapes, check_kind, describe, size_of

TITLE = "matmul (x1 @ x2)"


@register
class MatMul(Primitive):
    name = "matmul"
    title = TITLE
    meaning = "matrix products: (..., m, k) @ (..., k, n) with equal leading extents"
    arity = 2
    kind = "contract"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        a, b = avals
        for name, av in (("x1", a), ("x2", b)):
            check_kind(TITLE, name, av, "iuf")
        if a.dtype is not b.dtype or a.ndim < 2 or a.shape[:-2] != b.shape[:-2]:
            raise InternalError(f"matmul of {a} and {b}")
        _check_inner(a, b)
        return aval((*a.shape[:-1], b.shape[-1]), a.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return (ops.matmul(ct, ops.swap_last(b)), ops.matmul(ops.swap_last(a), ct))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        a, b = arrays
        wide = np.float64 if dt.as_dtype(a.dtype).kind == "f" else a.dtype
        return np.asarray(np.matmul(a.astype(wide), b.astype(wide))).astype(a.dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        cases: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (
            ((3, 5), (5, 4)), ((1, 7), (7, 1)), ((2, 3, 4), (2, 4, 2)), ((33, 17), (17, 29)), ((2, 0), (0, 3)), ((0, 2), (2, 3)),
            ((2, 1, 3, 2), (2, 1, 2, 5)),
        )  # fmt: skip
        dtypes = (dt.float64, dt.float32, dt.float64, dt.float32, dt.float32, dt.float64, dt.int32)
        for (a, b), dtype in zip(cases, dtypes, strict=True):
            yield (), (draw(rng, a, dtype), draw(rng, b, dtype))
        for dtype in (dt.float16, dt.bfloat16):
            yield (), (draw(rng, (5, 9), dtype), draw(rng, (9, 3), dtype))


_MATMUL = REGISTRY["matmul"]


def _check_inner(a: Aval, b: Aval) -> None:
    k, other = a.shape[-1], b.shape[-2]
    if k == other:
        return
    raise ShapeError(
        f"{TITLE}: shapes {a.shape} and {b.shape} do not fit, because the last axis of x1 has {k} and axis -2 of x2 has {other}.",
        expected="(..., m, k) @ (..., k, n): the same k in both",
        received=f"x1: {describe(a)}, x2: {describe(b)}",
        fix=_inner_fix(a, b),
        slug="matmul-shapes",
    )


def _inner_fix(a: Aval, b: Aval) -> str:
    (m, k), (other, n) = a.shape[-2:], b.shape[-2:]
    t = [".T" if av.ndim == 2 else ".mT" for av in (a, b)]
    if k == n:
        return f"transpose x2: x1 @ x2{t[1]}  →  (..., {m}, {k}) @ (..., {n}, {other}) = (..., {m}, {other})"
    if m == other:
        return f"transpose x1: x1{t[0]} @ x2  →  (..., {k}, {m}) @ (..., {other}, {n}) = (..., {k}, {n})"
    if n == m:
        return f"exchange the operands: x2 @ x1  →  (..., {other}, {n}) @ (..., {m}, {k}) = (..., {other}, {k})"
    return f"make the last axis of x1 have {other} elements, or axis -2 of x2 have {k}; no transposition helps"


def matmul(a: Node, b: Node) -> Node:
    """Matrix products of the last two axes; leading axes broadcast.

    One matrix for a whole stack is applied to all its rows at once, which gives the same bits.

    Parameters
    ----------
    a : Node of shape (..., m, k)
    b : Node of shape (..., k, n)

    Returns
    -------
    Node of shape (..., m, n)

    Raises
    ------
    ShapeError
        If an operand has fewer than two axes, or the axes of length k or the leading axes do not fit.
    """
    if a.aval.dtype is not b.aval.dtype:
        dtype = dt.promote(a.aval.dtype, b.aval.dtype)
        a, b = ops.cast(a, dtype), ops.cast(b, dtype)
    first, second = a.aval.shape, b.aval.shape
    if len(first) == len(second) and len(first) >= 2 and first[:-2] == second[:-2]:
        return apply(_MATMUL, (a, b))
    for name, av in (("x1", a.aval), ("x2", b.aval)):
        if av.ndim < 2:
            raise _needs_matrix(name, av, a.aval, b.aval)
    _check_inner(a.aval, b.aval)
    if size_of(second[:-2]) == 1 and len(second) <= len(first) and size_of(first[:-2]) != 1:
        rows = ops.reshape(a, (size_of(first[:-1]), first[-1]))
        return ops.reshape(apply(_MATMUL, (rows, ops.reshape(b, second[-2:]))), (*first[:-1], second[-1]))
    batch = [aval(s[:-2], a.aval.dtype) for s in (first, second)]
    lead = broadcast_shapes(f"{TITLE}, leading axes", ("x1", "x2"), batch)
    return apply(_MATMUL, (ops.broadcast_to(a, lead + first[-2:]), ops.broadcast_to(b, lead + second[-2:])))


def _needs_matrix(name: str, av: Aval, a: Aval, b: Aval) -> ShapeError:
    return ShapeError(
        f"{TITLE}: {name} has {many_axes(av.ndim)}, but a matrix has two.",
        expected="(..., m, k) @ (..., k, n)",
        received=f"x1: {describe(a)}, x2: {describe(b)}",
        fix="for numbers use x1 * x2" if av.ndim == 0 else f"make it one row, {name}[None, :], or one column, {name}[:, None]",
        slug="matmul-shapes",
    )
