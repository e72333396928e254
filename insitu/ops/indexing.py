"""Elements picked and updated at positions that are themselves arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import DTypeError, IndexingError, InternalError, ShapeError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import check_kind, describe, normal_axis, size_of


def _check_indices(title: str, av: Aval) -> None:
    if av.dtype.is_integer:
        return
    mask = av.dtype.kind == "b"
    raise DTypeError(
        f"{title}: indices must be integers, but they are {av.dtype.name}.",
        expected="indices: an integer dtype",
        received=f"indices: {describe(av)}",
        fix="for a mask use si.where(mask, x, y)" if mask else "convert them: indices.astype(si.int64)",
        slug="index-dtype",
    )


def _positions(indices: Values, extent: int) -> Values:
    """Positions as NumPy ints: negative ones counted from the end, then moved into range."""
    at = indices.astype(np.int64)
    return np.clip(np.where(at < 0, at + extent, at), 0, extent - 1)


def position(at: nest.Expr, extent: int) -> nest.Expr:
    """The same for a loaded index, so that memory outside an array is never touched."""
    at = nest.cast(at, dt.int64)
    wrapped = nest.op("select", nest.op("lt", at, nest.index(0)), nest.op("add", at, nest.index(extent)), at)
    return nest.op("min", nest.op("max", wrapped, nest.index(0)), nest.index(max(0, extent - 1)))


@register
class Take(Primitive):
    """``out[a, i, b] = x[a, indices[i], b]`` for positions a before the axis, i in the indices, b after the axis."""

    name = "take"
    meaning = "elements along an axis at given positions; negative ones count from the end, and all are moved into range"
    attributes = ("axis",)
    arity = 2
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, indices = avals
        axis = attrs[0]
        _check_indices("take", indices)
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        if x.shape[axis] == 0 and size_of(shape):
            raise IndexingError(
                f"take: axis {axis} has no elements to take from.",
                expected=f"at least one element on axis {axis}",
                received=f"x: {describe(x)}, indices: {describe(indices)}",
                fix="check why the array is empty",
                slug="take-empty",
                argument="x",
            )
        return aval(shape, x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x, indices = node.inputs
        axis, k = node.attrs[0], indices.ndim
        front = (*range(axis, axis + k), *range(axis), *range(axis + k, ct.ndim))
        rest = (*x.shape[:axis], *x.shape[axis + 1 :])
        updates = ops.reshape(ops.permute(ct, front), (indices.aval.size, *rest))
        zeros = ops.full((x.shape[axis], *rest), 0, ct.dtype)
        if not x.shape[axis]:
            return (ops.reshape(zeros, x.shape), None)
        total = ops.scatter(zeros, ops.reshape(indices, (indices.aval.size,)), updates, "add")
        return (ops.permute(total, (*range(1, axis + 1), 0, *range(axis + 1, x.ndim))), None)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, indices = arrays
        if x.shape[attrs[0]] == 0:
            return np.zeros((*x.shape[: attrs[0]], *indices.shape, *x.shape[attrs[0] + 1 :]), x.dtype)
        return np.take(x, _positions(indices, x.shape[attrs[0]]), axis=attrs[0])

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        axis, k = node.attrs[0], node.inputs[1].ndim
        at = position(load(1, index[axis : axis + k], guard), node.inputs[0].shape[axis])
        return load(0, (*index[:axis], at, *index[axis + k :]), guard)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield (0,), (draw(rng, (5,), dt.float64), np.array([0, 4, -1, 2, 2, 0]))
        yield (1,), (draw(rng, (3, 4, 2), dt.float64), np.array([[1, -4], [3, 1]], np.int32))
        yield (0,), (draw(rng, (4, 3), dt.float32), np.array([9, -9, 3], np.int8))
        yield (1,), (draw(rng, (2, 3), dt.uint8), np.array(2, np.uint8))
        far = np.array([1 << 40, -(1 << 40), (1 << 32) + 1, 1 << 31, -(1 << 31) - 2, 1, -1])
        yield (0,), (draw(rng, (4,), dt.float32), np.tile(far, 5))
        yield (1,), (draw(rng, (2, 3, 4), dt.float32), far)
        yield (0,), (draw(rng, (0, 2), dt.float32), np.zeros((0,), np.int64))
        yield (0,), (draw(rng, (3, 2), dt.float64), np.zeros((0, 2), np.uint64))


_TAKE = REGISTRY["take"]


def take(x: Node, indices: Node, axis: int = 0) -> Node:
    """Elements along an axis: the axis is replaced by those of ``indices``.

    Raises
    ------
    DTypeError
        If the indices are not integers.
    IndexingError
        If the axis is empty.
    """
    return apply(_TAKE, (x, indices), (normal_axis("take", axis, x.aval),))


@register
class Scatter(Primitive):
    """For i in increasing order: ``x[indices[i]] += updates[i]`` (or ``=``), for rows x[j] along axis 0."""

    name = "scatter"
    meaning = "rows changed at given positions, in increasing order of the updates; positions as in take"
    attributes = ("how",)
    arity = 3
    kind = "scatter"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, indices, updates = avals
        _check_indices("scatter", indices)
        if updates.dtype is not x.dtype or not x.ndim or (attrs[0] == "add" and x.dtype.is_float and x.dtype.bits == 16):
            raise InternalError(f"scatter {attrs[0]} of {updates} into {x}")
        if attrs[0] == "add":
            check_kind("scatter", "x", x, "iuf")
        if indices.ndim != 1 or updates.shape != (indices.size, *x.shape[1:]):
            raise ShapeError(
                f"scatter: updates of shape {updates.shape} do not fit rows of shape {x.shape[1:]} at {indices.size} positions.",
                expected=f"indices with 1 axis, updates of shape {(indices.size, *x.shape[1:])}",
                received=f"x: {describe(x)}, indices: {describe(indices)}, updates: {describe(updates)}",
                fix="give one row of updates for each index",
                slug="scatter-shapes",
            )
        if x.shape[0] == 0 and indices.size:
            raise IndexingError(
                "scatter: the array has no rows to update.",
                expected="at least one row on axis 0",
                received=f"x: {describe(x)}, indices: {describe(indices)}",
                fix="check why the array is empty",
                slug="scatter-empty",
            )
        return x

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x, indices, updates = node.inputs
        if not indices.aval.size:
            return (ct, None, ops.full(updates.shape, 0, ct.dtype))
        taken = ops.take(ct, indices, 0)
        if node.attrs[0] == "add":
            return (ct, None, taken)
        zero = ops.full(updates.shape, 0, ct.dtype)
        turns = ops.iota(indices.shape)
        last = ops.take(ops.scatter(ops.full(x.shape[:1], -1, dt.int64), indices, turns, "set"), indices, 0)
        stays = ops.reshape(ops.eq(last, turns), (indices.aval.size,) + (1,) * (x.ndim - 1))
        return (ops.scatter(ct, indices, zero, "set"), None, ops.where(stays, taken, zero))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, indices, updates = arrays
        out = x.copy()
        for at, row in zip(_positions(indices, x.shape[0]).tolist(), updates, strict=True):
            out[at] = out[at] + row if attrs[0] == "add" else row
        return out

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for how in ("add", "set"):
            for dtype in (dt.float64, dt.float32, dt.int32):
                at = np.array([3, 0, -1, 3, 1, 77], np.int64)
                yield (how,), (draw(rng, (5, 2), dtype), at, draw(rng, (6, 2), dtype))
            yield (how,), (draw(rng, (4,), dt.float64), np.array([2, 2, 2], np.int32), draw(rng, (3,), dt.float64))
            yield (how,), (draw(rng, (3, 2, 2), dt.float64), np.zeros(0, np.int64), draw(rng, (0, 2, 2), dt.float64))
        yield ("set",), (draw(rng, (3,), dt.bool_), np.array([1, -1], np.int8), draw(rng, (2,), dt.bool_))
        yield ("set",), (draw(rng, (3,), dt.bfloat16), np.array([1, -1], np.int8), draw(rng, (2,), dt.bfloat16))


_SCATTER = REGISTRY["scatter"]


def scatter(x: Node, indices: Node, updates: Node, how: str = "add") -> Node:
    """Rows of ``x`` along axis 0 changed by ``updates`` at ``indices``: ``"add"`` or ``"set"``.

    Updates are converted to the dtype of ``x``. 16-bit floats are added in float32 and rounded once.

    Raises
    ------
    ShapeError
        If there is not one row of updates for each index.
    DTypeError
        If the indices are not integers.
    """
    updates = ops.cast(updates, x.aval.dtype)
    dtype = x.aval.dtype
    if how == "add" and dtype.compute is not dtype:
        wide = [ops.cast(n, dtype.compute) for n in (x, updates)]
        return ops.cast(apply(_SCATTER, (wide[0], indices, wide[1]), (how,)), dtype)
    return apply(_SCATTER, (x, indices, updates), (how,))


@register
class TakeAlong(Primitive):
    """``out[a, i, b] = x[a, indices[a, i, b], b]`` for positions a before the axis, b after it; extents of 1 of the indices stretch."""

    name = "take_along"
    meaning = "elements along an axis at positions that each row has for itself; positions as in take"
    attributes = ("axis",)
    arity = 2
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, indices = avals
        axis = attrs[0]
        _check_indices("take_along_axis", indices)
        shape = tuple(indices.shape[k] if k == axis else n for k, n in enumerate(x.shape)) if indices.ndim == x.ndim else ()
        if indices.ndim != x.ndim or any(n not in (1, m) for n, m in zip(indices.shape, shape, strict=True)):
            raise ShapeError(
                f"take_along_axis: indices of shape {indices.shape} do not fit an array of shape {x.shape} along axis {axis}.",
                expected="the same extents on every other axis",
                received=f"x: {describe(x)}, indices: {describe(indices)}, axis={axis}",
                fix="for one list of positions for all rows, use si.take(x, indices, axis=axis)",
                slug="take-along-axis-shapes",
            )
        if x.shape[axis] == 0 and size_of(shape):
            raise IndexingError(
                f"take_along_axis: axis {axis} has no elements to take from.",
                expected=f"at least one element on axis {axis}",
                received=f"x: {describe(x)}, indices: {describe(indices)}",
                fix="check why the array is empty",
                slug="take-empty",
                argument="x",
            )
        return aval(shape, x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        """For one position in a row a choice, which fuses with what is around it; for several an addition in order."""
        x, indices = node.inputs
        axis = node.attrs[0]
        if not ct.aval.size:
            return (ops.full(x.shape, 0, ct.dtype), None)
        line = ops.iota(x.shape, axis, dt.int32 if x.shape[axis] < 1 << 31 else dt.int64)
        at = ops.take_along_axis(line, indices, axis)  # the positions, in range
        if indices.shape[axis] == 1:
            return (ops.where(ops.eq(line, at), ct, ops.constant(0, ct.dtype)), None)
        places = ops.reshape(_flat_places(ops.cast(at, dt.int64), x.shape, axis), (ct.aval.size,))
        zeros = ops.full((x.aval.size,), 0, ct.dtype)
        return (ops.reshape(ops.scatter(zeros, places, ops.reshape(ct, (ct.aval.size,)), "add"), x.shape), None)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, indices = arrays
        axis = attrs[0]
        shape = tuple(indices.shape[k] if k == axis else n for k, n in enumerate(x.shape))
        if x.shape[axis] == 0 or not size_of(shape):
            return np.zeros(shape, x.dtype)
        return np.take_along_axis(x, np.broadcast_to(_positions(indices, x.shape[axis]), shape), axis)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        axis, (x, indices) = node.attrs[0], node.inputs
        place = tuple(nest.index(0) if n == 1 else at for n, at in zip(indices.shape, index, strict=True))
        at = position(load(1, place, guard), x.shape[axis])
        return load(0, (*index[:axis], at, *index[axis + 1 :]), guard)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield (1,), (draw(rng, (3, 4), dt.float64), np.array([[1], [-1], [9]]))
        yield (0,), (draw(rng, (3, 4), dt.float64), np.array([[2, 0, 1, -3]], np.int32))
        yield (1,), (draw(rng, (3, 4, 2), dt.float64), rng.integers(-4, 4, (3, 5, 1), dtype=np.int8))
        yield (1,), (draw(rng, (2, 3), dt.float32), np.array([[2, 2, 0, -9]], np.int64))
        yield (0,), (draw(rng, (5,), dt.float64), np.array([1, 1, 4, 1], np.uint8))
        yield (0,), (draw(rng, (5,), dt.bfloat16), np.array([3]))
        yield (1,), (draw(rng, (0, 3), dt.float32), np.zeros((0, 1), np.int64))
        yield (0,), (draw(rng, (0, 3), dt.float32), np.zeros((0, 3), np.int64))


_TAKE_ALONG = REGISTRY["take_along"]


def take_along_axis(x: Node, indices: Node, axis: int = -1) -> Node:
    """``out[.., i, ..] = x[.., indices[.., i, ..], ..]``: positions for each row by itself.

    Parameters
    ----------
    x : Node
    indices : Node
        Integers of the shape of ``x`` but for the axis; other extents may be 1 and stretch.

    Raises
    ------
    ShapeError
        If the shapes differ elsewhere.
    DTypeError
        If the indices are not integers.
    IndexingError
        If the axis is empty.
    """
    return apply(_TAKE_ALONG, (x, indices), (normal_axis("take_along_axis", axis, x.aval),))


def _flat_places(at: Node, shape: Sequence[int], axis: int) -> Node:
    """Positions in the flattened array of that shape."""
    strides = [size_of(shape[k + 1 :]) for k in range(len(shape))]
    flat = _times(at, strides[axis])
    for k, n in enumerate(shape):
        if k != axis and n != 1:
            line = ops.iota(tuple(n if j == k else 1 for j in range(len(shape))), k)
            flat = ops.add(flat, _times(line, strides[k]))
    return flat


def _times(x: Node, factor: int) -> Node:
    return x if factor == 1 else ops.mul(x, ops.constant(factor, dt.int64))
