"""Parts of arrays, arrays with a margin, and arrays joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import InternalError, ShapeError, many_axes
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, Shape, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import argument_error, describe, elements, literal, literal_value, normal_axis


def _normal_range(start: int, stop: int, step: int) -> tuple[int, int, int]:
    """Equal ranges written in one way: ``stop`` is one past the last position (one before it, going down)."""
    if step == 1 and start < stop:
        return start, stop, 1
    n = len(range(start, stop, step))
    if n == 0:
        return 0, 0, 1
    if n == 1:
        return start, start + 1, 1
    return start, start + (n - 1) * step + (1 if step > 0 else -1), step


@register
class Slice(Primitive):
    """Position k on an axis is ``start + k*step`` of the input; ``stop`` is -1 where the way down ends at 0."""

    name = "slice"
    meaning = "evenly spaced positions of each axis; a negative step goes down"
    attributes = ("starts", "stops", "steps")
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        ranges = [range(*r) for r in zip(*attrs, strict=True)]
        if len(ranges) != x.ndim or any(r and (min(r[0], r[-1]) < 0 or max(r[0], r[-1]) >= n) for r, n in zip(ranges, x.shape, strict=True)):
            raise InternalError(f"slice {attrs} of {x}")
        return aval(tuple(len(r) for r in ranges), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        starts, _, steps = node.attrs
        down = tuple(k for k, step in enumerate(steps) if step < 0)
        ct = ops.flip(ct, down) if down else ct
        first = [start + (n - 1) * step if step < 0 else start for start, n, step in zip(starts, node.shape, steps, strict=True)]
        return (spread(ct, node.inputs[0].shape, first, [step if step > 0 else -step for step in steps]),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        at = tuple(slice(a, None if b < 0 else b, c) for a, b, c in zip(*attrs, strict=True))
        return np.ascontiguousarray(arrays[0][at]).reshape(arrays[0][at].shape)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        starts, _, steps = node.attrs
        moved = [nest.op("mul", at, nest.index(step)) for at, step in zip(index, steps, strict=True)]
        place = [nest.op("add", at, nest.index(start)) for at, start in zip(moved, starts, strict=True)]
        return load(0, tuple(place), guard)

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...] | None:
        starts, _, steps = node.attrs
        return _moved(index, [-start for start in starts]) if all(step == 1 for step in steps) else None

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((1, 0), (3, 4), (1, 1)), (draw(rng, (3, 5), dt.float64),)
        yield ((0, 1), (5, 7), (2, 3)), (draw(rng, (5, 8), dt.float64),)
        yield ((4, 5), (-1, 0), (-1, -2)), (draw(rng, (5, 7), dt.float64),)
        yield ((2,), (-1,), (-2,)), (draw(rng, (3,), dt.float32),)
        yield ((0, 0), (0, 2), (1, 1)), (draw(rng, (3, 2), dt.int32),)
        yield ((1, 1, 1), (2, 3, 2), (1, 1, 1)), (draw(rng, (2, 3, 4), dt.float16),)


_SLICE = REGISTRY["slice"]


def _moved(index: tuple[nest.Expr, ...], by: Sequence[int]) -> tuple[nest.Expr, ...]:
    return tuple([nest.op("add", at, nest.index(distance)) for at, distance in zip(index, by, strict=True)])


def slice_(x: Node, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None) -> Node:
    """The positions ``range(start, stop, step)`` of each axis, as ``slice.indices`` gives them; none may be outside."""
    av = x.aval
    ranges = [_normal_range(*r) for r in zip(starts, stops, steps or (1,) * av.ndim, strict=True)]
    if ranges == [(0, n, 1) for n in av.shape]:
        return x
    return apply(_SLICE, (x,), tuple(zip(*ranges, strict=True)))


def flip(x: Node, axes: Sequence[int]) -> Node:
    """The axes in reverse order."""
    down = {normal_axis("flip", a, x.aval) for a in axes}
    shape = x.aval.shape
    return slice_(
        x, [n - 1 if k in down else 0 for k, n in enumerate(shape)], [-1 if k in down else n for k, n in enumerate(shape)],
        [-1 if k in down else 1 for k in range(len(shape))],
    )  # fmt: skip


def spread(x: Node, shape: Shape, first: Sequence[int], steps: Sequence[int]) -> Node:
    """Zeros of a shape with ``x`` at the positions ``first + k*step``: what a slice takes, put back."""
    for axis, step in enumerate(steps):
        n = x.shape[axis]
        if step > 1 and n > 1:
            row = ops.reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
            row = ops.pad(row, [(0, step - 1) if k == axis + 1 else (0, 0) for k in range(row.ndim)])
            full = ops.reshape(row, (*x.shape[:axis], n * step, *x.shape[axis + 1 :]))
            x = slice_(full, (0,) * x.ndim, [(n - 1) * step + 1 if k == axis else m for k, m in enumerate(full.shape)])
    if not x.aval.size:
        return ops.full(shape, 0, x.dtype)
    return ops.pad(x, [(at, n - at - m) for at, n, m in zip(first, shape, x.shape, strict=True)])


@register
class Pad(Primitive):
    name = "pad"
    meaning = "a margin of one value around the array"
    attributes = ("widths", "value")
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        widths = attrs[0]
        if len(widths) != x.ndim or any(w < 0 for pair in widths for w in pair):
            raise ShapeError(
                f"pad: the widths {widths} do not fit an array with {many_axes(x.ndim)}.",
                expected=f"{x.ndim} pairs (before, after) of 0 or more",
                received=f"{widths} for {describe(x)}",
                fix="give one pair for each axis, (0, 0) where nothing is added; to cut, use a slice",
                slug="pad-widths",
            )
        return aval(tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        shape = node.inputs[0].shape
        before = [a for a, _ in node.attrs[0]]
        return (ops.slice_(ct, before, [a + n for a, n in zip(before, shape, strict=True)]),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        value = np.asarray(literal_value(attrs[1], dt.as_dtype(arrays[0].dtype)), arrays[0].dtype)
        out = np.full([n + a + b for n, (a, b) in zip(arrays[0].shape, attrs[0], strict=True)], value)
        out[tuple(slice(a, a + n) for n, (a, _) in zip(arrays[0].shape, attrs[0], strict=True))] = arrays[0]
        return out

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        shape, dtype = node.inputs[0].shape, node.dtype
        inside = nest.const(True, dt.bool_)
        place = []
        for at, n, (before, after) in zip(index, shape, node.attrs[0], strict=True):
            moved = nest.op("add", at, nest.index(-before))
            place.append(moved)
            if before:
                inside = nest.op("and", inside, nest.op("le", nest.index(0), moved))
            if after:
                inside = nest.op("and", inside, nest.op("lt", moved, nest.index(n)))
        within = inside if guard is None else nest.op("and", guard, inside)
        value = nest.const(literal_value(node.attrs[1], dtype), dtype)
        if inside.op == "const":
            return load(0, tuple(place), guard) if inside.attr else value
        return nest.op("select", inside, load(0, tuple(place), within), value)

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...]:
        return _moved(index, [before for before, _ in node.attrs[0]])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield (((1, 2),), literal(0, dt.float64)), (draw(rng, (4,), dt.float64),)
        yield (((0, 1), (2, 0)), literal(-1.5, dt.float64)), (draw(rng, (2, 3), dt.float64),)
        yield (((0, 0), (1, 1), (0, 2)), literal(7, dt.int32)), (draw(rng, (2, 3, 2), dt.int32),)
        yield (((1, 0),), literal(float("-inf"), dt.float32)), (draw(rng, (0,), dt.float32),)
        yield (((1, 1),), literal(True, dt.bool_)), (draw(rng, (3,), dt.bool_),)


_PAD = REGISTRY["pad"]


def pad(x: Node, widths: Sequence[tuple[int, int]], value: Any = 0) -> Node:
    """``(before, after)`` elements of a value added on each axis.

    Raises
    ------
    ShapeError
        If there is not one pair of non-negative widths for each axis.
    """
    pairs = tuple((int(a), int(b)) for a, b in widths)
    if len(pairs) == x.aval.ndim and all(p == (0, 0) for p in pairs):
        return x
    return apply(_PAD, (x,), (pairs, literal(value, x.aval.dtype)))


@register
class Concat(Primitive):
    """Takes any number of inputs."""

    name = "concat"
    meaning = "arrays joined along an axis"
    attributes = ("axis",)
    arity = -1
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        axis, first = attrs[0], avals[0]
        for k, av in enumerate(avals):
            if av.ndim != first.ndim or any(a != b for j, (a, b) in enumerate(zip(av.shape, first.shape, strict=True)) if j != axis):
                raise self._misfit(axis, first, av, k)
        return aval((*first.shape[:axis], sum(av.shape[axis] for av in avals), *first.shape[axis + 1 :]), first.dtype)

    def _misfit(self, axis: int, first: Aval, av: Aval, k: int) -> ShapeError:
        if av.ndim != first.ndim:
            what = f"concat: array 0 has {many_axes(first.ndim)}, but array {k} has {av.ndim}."
            fix = "give both the same number of axes, for example with x[None]; to put arrays side by side on a new axis, use si.stack"
        else:
            wrong = next(j for j in range(av.ndim) if j != axis and av.shape[j] != first.shape[j])
            what = f"concat along axis {axis}: axis {wrong} has {elements(first.shape[wrong])} in array 0 and {av.shape[wrong]} in array {k}."
            others = [j for j in range(av.ndim) if all(a == b for i, (a, b) in enumerate(zip(av.shape, first.shape, strict=True)) if i != j)]
            fix = f"join along axis {others[0]}: axis={others[0]}" if others else "make the extents of all other axes equal"
        return ShapeError(
            what,
            expected="arrays of one shape, but for the axis along which they are joined",
            received=f"array 0: {describe(first)}, array {k}: {describe(av)}, axis={axis}",
            fix=fix,
            slug="concat-shapes",
            argument="arrays",
        )

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        axis, out, at = node.attrs[0], [], 0
        for x in node.inputs:
            starts = [at if k == axis else 0 for k in range(ct.ndim)]
            at += x.shape[axis]
            out.append(ops.slice_(ct, starts, [at if k == axis else n for k, n in enumerate(ct.shape)]))
        return out

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.concatenate(arrays, axis=attrs[0])

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...]:
        axis = node.attrs[0]
        return _moved(index, [sum(x.shape[k] for x in node.inputs[:number]) if k == axis else 0 for k in range(node.ndim)])

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        axis = node.attrs[0]
        begins = np.cumsum([0, *[x.shape[axis] for x in node.inputs]]).tolist()
        parts = [k for k, x in enumerate(node.inputs) if x.shape[axis]] or [0]
        out: nest.Expr | None = None
        for k in reversed(parts):
            here = nest.op("lt", index[axis], nest.index(begins[k + 1]))
            inside = nest.op("and", nest.op("le", nest.index(begins[k]), index[axis]), here)
            within = inside if guard is None else nest.op("and", guard, inside)
            only = node.inputs[k].shape[axis] == 1
            place = (*index[:axis], nest.index(0) if only else nest.op("add", index[axis], nest.index(-begins[k])), *index[axis + 1 :])
            value = load(k, place, None if within.op == "const" and within.attr else within)
            out = value if out is None else nest.op("select", here, value, out)
        if out is None:
            raise InternalError("concat of nothing")
        return out

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield (0,), (draw(rng, (3,), dt.float64), draw(rng, (2,), dt.float64))
        yield (1,), (draw(rng, (2, 1), dt.float64), draw(rng, (2, 3), dt.float64), draw(rng, (2, 2), dt.float64))
        yield (1,), (draw(rng, (2, 0, 2), dt.float32), draw(rng, (2, 3, 2), dt.float32), draw(rng, (2, 0, 2), dt.float32))
        yield (2,), (draw(rng, (1, 2, 3), dt.uint8), draw(rng, (1, 2, 1), dt.uint8))
        yield (0,), (draw(rng, (2, 3), dt.bfloat16),)


_CONCAT = REGISTRY["concat"]
#: Most arrays that one node joins: each element looks for its array among them, so that a thousand took minutes to compile.
WIDEST = 32


def concat(arrays: Sequence[Node], axis: int = 0) -> Node:
    """Arrays joined along an axis, in the dtype in which they all meet; many are joined in parts, which are stored.

    Raises
    ------
    ShapeError
        If their other extents differ, or an array has no axes.
    ArgumentError
        If there is no array.
    """
    if not arrays:
        raise argument_error("concat needs at least one array.", "one or more arrays", "none", "check that the list is not empty", "concat-empty")
    dtype = arrays[0].aval.dtype
    for x in arrays[1:]:
        dtype = dt.promote(dtype, x.aval.dtype)
    inputs = tuple([ops.cast(x, dtype) for x in arrays])
    place = normal_axis("concat", axis, inputs[0].aval)
    if len(inputs) > WIDEST:
        inputs = tuple([concat(inputs[k : k + WIDEST], place) for k in range(0, len(inputs), WIDEST)])
    return inputs[0] if len(inputs) == 1 else apply(_CONCAT, inputs, (place,))
