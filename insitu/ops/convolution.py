"""Windows of grids: convolutions, their gradients, and pooling.

Grids have their channels last: ``(batch, *positions, channels)``. For every axis of positions, output position
``o`` sees tap ``t`` of its window at input position ``o*stride + t*dilation - before``; outside the input lies zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, Shape, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw

Pairs = tuple[tuple[int, int], ...]
Extents = tuple[int, ...]
#: Some neighbouring taps, from their starts and counts on each axis.
Part = Callable[[Sequence[int], Sequence[int]], Node]


def window_extents(extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int]) -> Extents:
    """Output positions of each axis: the places at which a whole window fits into the padded input."""
    spans = [n + a + b - d * (k - 1) - 1 for n, k, (a, b), d in zip(extents, kernel, padding, dilation, strict=True)]
    return tuple([max(0, span // s + 1) if span >= 0 else 0 for span, s in zip(spans, strides, strict=True)])


# -- windows ---------------------------------------------------------------------------------------
@register
class Windows(Primitive):
    """The result's axes are (batch, *positions, *taps, channels)."""

    name = "windows"
    meaning = "the window that each output position sees"
    attributes = ("kernel", "strides", "dilation")
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        kernel, strides, dilation = attrs
        if x.ndim != len(kernel) + 2:
            raise InternalError(f"windows {attrs} of {x}")
        out = window_extents(x.shape[1:-1], kernel, strides, ((0, 0),) * len(kernel), dilation)
        return aval((x.shape[0], *out, *kernel, x.shape[-1]), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        kernel, strides, dilation = node.attrs
        return (unwind(ct, node.inputs[0].shape, kernel, strides, dilation),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        kernel, strides, dilation = attrs
        (x,) = arrays
        out = window_extents(x.shape[1:-1], kernel, strides, ((0, 0),) * len(kernel), dilation)
        made = np.zeros((x.shape[0], *out, *kernel, x.shape[-1]), x.dtype)
        for tap in np.ndindex(*kernel):
            places = tuple([slice(t * d, t * d + (o - 1) * s + 1 if o else 0, s) for t, d, o, s in zip(tap, dilation, out, strides, strict=True)])
            made[(slice(None), *[slice(None)] * len(out), *tap)] = x[(slice(None), *places)]
        return made

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        kernel, strides, dilation = node.attrs
        rank = len(kernel)
        places = []
        for o, t, s, d in zip(index[1 : 1 + rank], index[1 + rank : 1 + 2 * rank], strides, dilation, strict=True):
            places.append(nest.op("add", nest.op("mul", o, nest.index(s)), nest.op("mul", t, nest.index(d))))
        return load(0, (index[0], *places, index[-1]), guard)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((2,), (1,), (1,)), (draw(rng, (2, 5, 3), dt.float64),)
        yield ((3, 2), (2, 1), (1, 2)), (draw(rng, (2, 7, 5, 2), dt.float64),)
        yield ((2, 2), (2, 3), (1, 1)), (draw(rng, (1, 5, 6, 1), dt.float32),)
        yield ((1, 2, 2), (1, 1, 2), (1, 1, 1)), (draw(rng, (1, 2, 3, 4, 2), dt.int32),)
        yield ((3,), (2,), (1,)), (draw(rng, (0, 5, 3), dt.float32),)


_WINDOWS = REGISTRY["windows"]


def windows(x: Node, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int] | None = None) -> Node:
    """The windows of a grid: axes (batch, *positions, *taps, channels)."""
    return apply(_WINDOWS, (x,), (tuple(kernel), tuple(strides), tuple(dilation or (1,) * len(kernel))))


def unwind(ct: Node, shape: Shape, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Node:
    """Windows put back where they were taken, overlapping ones added: a grid of ``shape``."""
    taps = ct.shape[1 + len(kernel) : -1]

    def part(starts: Sequence[int], counts: Sequence[int]) -> Node:
        first = [0] * (1 + len(kernel)) + [*starts, 0]
        stops = [*ct.shape[: 1 + len(kernel)], *[a + n for a, n in zip(starts, counts, strict=True)], ct.shape[-1]]
        return ops.slice_(ct, first, stops)

    return put_back(part, ct.shape[1 : 1 + len(kernel)], shape, taps, strides, dilation, ct.dtype)


def put_back(part: Part, out: Shape, shape: Shape, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int], dtype: dt.DType) -> Node:
    """The sum of the taps of all windows at their places in a grid of ``shape``.

    ``part(starts, counts)`` gives some neighbouring taps of all windows: axes (batch, *positions, *taps, channels). As many taps as a
    stride is long fill the grid without overlap, so they are placed together.
    """
    rank = len(kernel)
    steps = [min(s, k) if d == 1 else 1 for s, k, d in zip(strides, kernel, dilation, strict=True)]
    total: Node | None = None
    for starts in itertools.product(*[range(0, k, step) for k, step in zip(kernel, steps, strict=True)]):
        counts = [min(step, k - a) for a, step, k in zip(starts, steps, kernel, strict=True)]
        placed = _placed(part(starts, counts), [a * d for a, d in zip(starts, dilation, strict=True)], strides, shape)
        total = placed if total is None else ops.add(total, placed)
    if total is None or not math.prod(out):
        return ops.full(shape, 0, dtype)
    if total.ndim != rank + 2:
        raise InternalError(f"windows of {rank} axes put back as {total}")
    return total


def _placed(x: Node, first: Sequence[int], strides: Sequence[int], shape: Shape) -> Node:
    """Axes (batch, *positions, *taps, channels) as a grid: position o and tap t at ``first + o*stride + t``."""
    rank = len(first)
    order = [0, *itertools.chain(*[(1 + k, 1 + rank + k) for k in range(rank)]), 1 + 2 * rank]
    counts = x.shape[1 + rank : 1 + 2 * rank]
    x = ops.permute(x, order)
    x = ops.pad(x, [(0, 0), *itertools.chain(*[((0, 0), (0, s - n)) for s, n in zip(strides, counts, strict=True)]), (0, 0)])
    grid = ops.reshape(x, (x.shape[0], *[x.shape[1 + 2 * k] * x.shape[2 + 2 * k] for k in range(rank)], x.shape[-1]))
    kept = [min(n - a, m) for n, a, m in zip(shape[1:-1], first, grid.shape[1:-1], strict=True)]
    grid = ops.slice_(grid, [0] * (rank + 2), [grid.shape[0], *kept, grid.shape[-1]])
    return ops.pad(grid, [(0, 0), *[(a, n - a - m) for a, n, m in zip(first, shape[1:-1], kept, strict=True)], (0, 0)])


# -- convolution -----------------------------------------------------------------------------------
@register
class Conv(Primitive):
    """Inputs: a grid (batch, *positions, channels) and a kernel (*taps, channels of a group, outputs).

    Every output is one chain over the taps, in row-major order, and the channels; the zeros outside are multiplied like others.
    Some shapes are computed by other sums: `insitu.compiler.winograd`.
    """

    name = "conv"
    meaning = "each window times a kernel, summed over its taps and channels"
    attributes = ("strides", "padding", "dilation", "groups")
    arity = 2
    kind = "contract"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, w = avals
        strides, padding, dilation, groups = attrs
        rank = x.ndim - 2
        fits = x.dtype is w.dtype and w.ndim == x.ndim and len(strides) == len(padding) == len(dilation) == rank
        if not fits or x.shape[-1] != w.shape[-2] * groups or w.shape[-1] % groups or any(a < 0 for pair in padding for a in pair):
            raise InternalError(f"conv {attrs} of {x} and {w}")
        return aval((x.shape[0], *window_extents(x.shape[1:-1], w.shape[:-2], strides, padding, dilation), w.shape[-1]), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x, w = node.inputs
        strides, padding, dilation, groups = node.attrs
        return (
            conv_input(ct, w, x.shape, strides, padding, dilation, groups),
            conv_weight(x, ct, w.shape[:-2], strides, padding, dilation, groups),
        )

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, w = arrays
        strides, padding, dilation, groups = attrs
        rank, dtype = x.ndim - 2, x.dtype
        wide = np.float64 if dt.as_dtype(dtype).kind == "f" else dtype
        seen = _seen(x.astype(wide), w.shape[:-2], strides, padding, dilation)
        parts = []
        for g, part in enumerate(np.split(seen, groups, axis=-1)):
            kernel = np.split(w, groups, axis=-1)[g].astype(wide)
            parts.append(np.tensordot(part, kernel, axes=(range(1 + rank, 2 + 2 * rank), range(rank + 1))))
        return np.concatenate(parts, axis=-1).astype(dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for attrs, x, w, dtype in _CASES:
            yield attrs, (draw(rng, x, dtype), _small(rng, w, dtype))

    def expand(self, node: Node) -> Node | None:
        x, w = node.inputs
        strides, padding, dilation, groups = node.attrs
        if not _depthwise(w.shape, groups):
            return None
        rank, each = x.ndim - 2, w.shape[-1] // groups
        seen = windows(_padded(x, padding), w.shape[:-2], strides, dilation)
        if each > 1:
            seen = ops.reshape(seen, (*seen.shape, 1))
            kernel = ops.reshape(w, (*w.shape[:-2], groups, each))
        else:
            kernel = ops.reshape(w, (*w.shape[:-2], groups))
        sums = ops.reduce_sum(
            ops.mul(seen, ops.broadcast_to(kernel, (*seen.shape[:-1], each) if each > 1 else seen.shape)), range(1 + rank, 1 + 2 * rank)
        )
        return ops.reshape(sums, node.shape)


_CONV = REGISTRY["conv"]

#: Attributes, shape of x, shape of w, dtype: strides past the kernel, dilation with padding, groups, nothing at all.
_CASES: Sequence[tuple[Attrs, Shape, Shape, dt.DType]] = (
    (((1,), ((0, 0),), (1,), 1), (2, 7, 3), (3, 3, 4), dt.float64),
    (((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (2, 5, 6, 3), (3, 3, 3, 5), dt.float64),
    (((2, 2), ((0, 1), (1, 0)), (1, 1), 1), (2, 7, 6, 4), (3, 2, 4, 3), dt.float64),
    (((1, 2), ((2, 2), (0, 3)), (2, 3), 1), (1, 8, 9, 2), (3, 2, 2, 3), dt.float64),
    (((3, 4), ((0, 0), (0, 0)), (1, 1), 1), (1, 8, 9, 5), (2, 1, 5, 2), dt.float64),
    (((1, 1), ((1, 1), (0, 0)), (1, 1), 2), (2, 4, 5, 4), (3, 2, 2, 6), dt.float64),
    (((2, 1), ((1, 1), (1, 1)), (1, 1), 3), (2, 5, 4, 3), (3, 3, 1, 6), dt.float64),
    (((1, 1), ((1, 1), (1, 1)), (1, 1), 4), (1, 5, 4, 4), (3, 3, 1, 4), dt.float64),
    (((1, 2, 1), ((1, 0), (0, 1), (1, 1)), (1, 1, 2), 1), (1, 3, 4, 5, 2), (2, 2, 2, 2, 3), dt.float64),
    (((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (1, 9, 7, 11), (3, 3, 11, 35), dt.float32),
    (((1, 1), ((2, 2), (2, 2)), (1, 1), 1), (3, 6, 7, 1), (5, 5, 1, 33), dt.float32),
    (((2, 2), ((1, 1), (1, 1)), (1, 1), 1), (1, 6, 6, 70), (3, 3, 70, 4), dt.float32),
    (((1,), ((4, 0),), (2,), 1), (0, 7, 3), (3, 3, 4), dt.float32),
    (((1, 1), ((0, 0), (0, 0)), (1, 1), 1), (1, 2, 2, 3), (3, 3, 3, 2), dt.float32),
    (((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (1, 4, 4, 3), (3, 3, 3, 2), dt.float16),
    (((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (1, 4, 4, 3), (3, 3, 3, 2), dt.int32),
)


def _small(rng: np.random.Generator, shape: Shape, dtype: dt.DType) -> Values:
    """Values whose long sums of products stay near 1, so that rounding can be told from a fault."""
    x = draw(rng, shape, dtype)
    return (x / x.dtype.type(8)).astype(x.dtype) if dtype.kind == "f" else x


def _seen(x: Values, kernel: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int]) -> Values:
    """The windows of a padded grid, by NumPy."""
    padded = np.pad(x, [(0, 0), *padding, (0, 0)])
    return _WINDOWS.reference((tuple(kernel), strides, dilation), padded)


def _padded(x: Node, padding: Pairs, value: float = 0) -> Node:
    return ops.pad(x, [(0, 0), *padding, (0, 0)], value)


def _depthwise(kernel: Shape, groups: int) -> bool:
    """One channel for each group: no contraction over channels, so no matrix product."""
    return groups > 1 and kernel[-2] == 1


def sees_itself(node: Node) -> bool:
    """Whether each position of a convolution, or of its gradient by the kernel, sees itself alone: a product of matrices."""
    kernel = node.inputs[1].shape[:-2] if node.prim is _CONV else node.attrs[0]
    strides, padding = node.attrs[-4], node.attrs[-3]
    return math.prod(kernel) == 1 and all(s == 1 for s in strides) and not any(a or b for a, b in padding)


def conv(x: Node, w: Node, strides: Sequence[int], padding: Sequence[tuple[int, int]], dilation: Sequence[int], groups: int = 1) -> Node:
    """The convolution of a grid with a kernel; negative padding cuts off."""
    if any(a < 0 for pair in padding for a in pair):
        starts = [0, *[max(0, -a) for a, _ in padding], 0]
        stops = [x.shape[0], *[n - max(0, -b) for n, (_, b) in zip(x.shape[1:-1], padding, strict=True)], x.shape[-1]]
        x = ops.slice_(x, starts, [max(a, b) for a, b in zip(starts, stops, strict=True)])
        padding = [(max(0, a), max(0, b)) for a, b in padding]
    pairs = tuple([(int(a), int(b)) for a, b in padding])
    return apply(_CONV, (x, w), (tuple(strides), pairs, tuple(dilation), groups))


def conv_input(ct: Node, w: Node, shape: Shape, strides: Sequence[int], padding: Pairs, dilation: Sequence[int], groups: int) -> Node:
    """The gradient of `conv` by its grid, which has ``shape``; also the transposed convolution of ``ct``.

    With strides, the positions fall into phases that see different taps: each phase is a convolution with stride 1.
    """
    rank = len(strides)
    spatial = shape[1:-1]
    axes = [
        [_phase(m, *numbers) for m in range(numbers[3])]
        for numbers in zip(spatial, ct.shape[1:-1], w.shape[:-2], strides, [a for a, _ in padding], dilation, strict=True)
    ]
    most = [-(-n // s) for n, s in zip(spatial, strides, strict=True)]
    turned = _turned(w, groups)
    parts: dict[tuple[int, ...], Node] = {}
    for chosen in itertools.product(*[range(s) for s in strides]):
        phases = [axes[k][m] for k, m in enumerate(chosen)]
        counts = [p[0] for p in phases]
        if all(p[1] for p in phases) and all(counts):
            taps = ops.slice_(
                turned, [*[p[1][-1] for p in phases], 0, 0],
                [*[p[1][0] - 1 if len(p[1]) > 1 else p[1][0] + 1 for p in phases], *turned.shape[-2:]],
                [*[p[1][0] - p[1][1] if len(p[1]) > 1 else 1 for p in phases], 1, 1],
            )  # fmt: skip
            made = conv(ct, taps, (1,) * rank, [p[3] for p in phases], [p[2] for p in phases], groups)
        else:
            made = ops.full((ct.shape[0], *counts, shape[-1]), 0, ct.dtype)
        parts[chosen] = ops.pad(made, [(0, 0), *[(0, n - m) for n, m in zip(most, counts, strict=True)], (0, 0)])
    return _interleaved(parts, strides, shape)


def _phase(m: int, n: int, out: int, kernel: int, stride: int, before: int, dilation: int) -> tuple[int, list[int], int, tuple[int, int]]:
    """Positions m, m + stride, ... of one axis of n: their number, the taps they see, the taps' distance, the padding."""
    count = max(0, -(-(n - m) // stride))
    u = m + before  # position in the padded input: u = q*stride + r
    first, r = divmod(u, stride)
    taps = [t for t in range(kernel) if (t * dilation - r) % stride == 0]
    if not taps:
        return count, taps, 1, (0, 0)
    apart = (taps[1] - taps[0]) * dilation // stride if len(taps) > 1 else 1
    nearest = (taps[0] * dilation - r) // stride
    reach = (len(taps) - 1) * apart
    low = nearest + reach - first
    return count, taps, apart, (low, count + reach - low - out)


def _turned(w: Node, groups: int) -> Node:
    """The kernel with inputs and outputs of each group exchanged."""
    *taps, each, outputs = w.shape
    rank = len(taps)
    if groups == 1:
        return ops.swap_last(w)
    x = ops.reshape(w, (*taps, each, groups, outputs // groups))
    return ops.reshape(ops.permute(x, (*range(rank), rank + 2, rank + 1, rank)), (*taps, outputs // groups, each * groups))


def _interleaved(parts: dict[tuple[int, ...], Node], strides: Sequence[int], shape: Shape) -> Node:
    """Phases put together: position ``q*stride + m`` of each axis from position q of phase m."""
    for k in range(len(strides) - 1, -1, -1):
        joined: dict[tuple[int, ...], Node] = {}
        for head in itertools.product(*[range(s) for s in strides[:k]]):
            some = [parts[(*head, m)] for m in range(strides[k])]
            axis = k + 2
            apart = [ops.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in some]
            x = ops.concat(apart, axis)
            joined[head] = ops.reshape(x, (*x.shape[: axis - 1], x.shape[axis - 1] * x.shape[axis], *x.shape[axis + 1 :]))
        parts = joined
    (whole,) = parts.values()
    return ops.slice_(whole, (0,) * whole.ndim, shape)


@register
class ConvWeight(Primitive):
    """Inputs: a grid and a cotangent of the convolution's result. Every weight is one chain over the batch and the positions, in row-major order.

    Some shapes are computed by other sums: `insitu.compiler.winograd`.
    """

    name = "conv_weight"
    meaning = "the gradient of a convolution by its kernel"
    attributes = ("kernel", "strides", "padding", "dilation", "groups")
    arity = 2
    kind = "contract"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, ct = avals
        kernel, strides, padding, dilation, groups = attrs
        out = window_extents(x.shape[1:-1], kernel, strides, padding, dilation)
        if x.dtype is not ct.dtype or ct.shape[:-1] != (x.shape[0], *out) or x.shape[-1] % groups or ct.shape[-1] % groups:
            raise InternalError(f"conv_weight {attrs} of {x} and {ct}")
        return aval((*kernel, x.shape[-1] // groups, ct.shape[-1]), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x, seen = node.inputs
        _, strides, padding, dilation, groups = node.attrs
        return (conv_input(seen, ct, x.shape, strides, padding, dilation, groups), conv(x, ct, strides, padding, dilation, groups))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, ct = arrays
        kernel, strides, padding, dilation, groups = attrs
        rank, dtype = x.ndim - 2, x.dtype
        wide = np.float64 if dt.as_dtype(dtype).kind == "f" else dtype
        seen = _seen(x.astype(wide), kernel, strides, padding, dilation)
        axes = tuple(range(1 + rank))
        parts = [
            np.tensordot(a, b.astype(wide), axes=(axes, axes)) for a, b in zip(np.split(seen, groups, -1), np.split(ct, groups, -1), strict=True)
        ]
        return np.concatenate(parts, axis=-1).astype(dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for (strides, padding, dilation, groups), x, w, dtype in _CASES:
            out = window_extents(x[1:-1], w[:-2], strides, padding, dilation)
            yield (w[:-2], strides, padding, dilation, groups), (draw(rng, x, dtype), _small(rng, (x[0], *out, w[-1]), dtype))

    def expand(self, node: Node) -> Node | None:
        x, ct = node.inputs
        kernel, strides, padding, dilation, groups = node.attrs
        if not _depthwise(node.shape, groups):
            return None
        rank, each = x.ndim - 2, ct.shape[-1] // groups
        seen = windows(_padded(x, padding), kernel, strides, dilation)
        if each > 1:
            seen = ops.reshape(seen, (*seen.shape, 1))
        other = ops.reshape(ct, (*ct.shape[:-1], *[1] * rank, groups, *([each] if each > 1 else [])))
        both = ops.mul(seen, other) if each == 1 else ops.mul(ops.broadcast_to(seen, (*seen.shape[:-1], each)), other)
        return ops.reshape(ops.reduce_sum(both, range(1 + rank)), node.shape)


_CONV_WEIGHT = REGISTRY["conv_weight"]


def conv_weight(x: Node, ct: Node, kernel: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int], groups: int = 1) -> Node:
    """The gradient of `conv` by its kernel."""
    return apply(_CONV_WEIGHT, (x, ct), (tuple(kernel), tuple(strides), padding, tuple(dilation), groups))


# -- pooling ---------------------------------------------------------------------------------------
@register
class MaxPool(Primitive):
    """NaN wins. The gradient goes to the first of equal ones, in row-major order of the window."""

    name = "max_pool"
    meaning = "the greatest element of each window, by channel"
    attributes = ("kernel", "strides", "padding")
    kind = "composed"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        kernel, strides, padding = attrs
        return aval((x.shape[0], *window_extents(x.shape[1:-1], kernel, strides, padding, (1,) * len(kernel)), x.shape[-1]), x.dtype)

    def expand(self, node: Node) -> Node:
        kernel = node.attrs[0]
        return ops.reduce_max(self._seen(node), range(1 + len(kernel), 1 + 2 * len(kernel)))

    def _seen(self, node: Node) -> Node:
        kernel, strides, padding = node.attrs
        x = node.inputs[0]
        least = float("-inf") if x.dtype.kind == "f" else x.dtype.min
        return windows(_padded(x, padding, least), kernel, strides)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        kernel, strides, padding = node.attrs
        rank, x = len(kernel), node.inputs[0]
        seen = ops.stop_gradient(self._seen(node))
        top = ops.reshape(ops.stop_gradient(node), (*node.shape[:-1], *[1] * rank, node.shape[-1]))
        number = tap_numbers(kernel)
        found = ops.or_(ops.eq(seen, top), ops.isnan(seen)) if x.dtype.kind == "f" else ops.eq(seen, top)
        missing = ops.constant(math.prod(kernel), number.dtype)
        first = ops.reduce_min(
            ops.where(found, ops.broadcast_to(ops.reshape(number, (*kernel, 1)), seen.shape), missing), range(1 + rank, 1 + 2 * rank)
        )
        padded = (x.shape[0], *[n + a + b for n, (a, b) in zip(x.shape[1:-1], padding, strict=True)], x.shape[-1])
        spread = [(*v.shape[:-1], *[1] * rank, v.shape[-1]) for v in (first, ct)]
        chosen, value = ops.reshape(first, spread[0]), ops.reshape(ct, spread[1])

        def part(starts: Sequence[int], counts: Sequence[int]) -> Node:
            here = ops.slice_(number, starts, [a + n for a, n in zip(starts, counts, strict=True)])
            here = ops.broadcast_to(ops.reshape(here, (*counts, 1)), (*node.shape[:-1], *counts, node.shape[-1]))
            return ops.where(ops.eq(chosen, here), value, ops.constant(0, ct.dtype))

        whole = put_back(part, node.shape[1:-1], padded, kernel, strides, (1,) * rank, ct.dtype)
        starts = [0, *[a for a, _ in padding], 0]
        return (ops.slice_(whole, starts, [a + n for a, n in zip(starts, x.shape, strict=True)]),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        kernel, strides, padding = attrs
        x = arrays[0]
        dtype = dt.as_dtype(x.dtype)
        padded = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=-np.inf if dtype.kind == "f" else dtype.min)
        rank = len(kernel)
        seen = _WINDOWS.reference((kernel, strides, (1,) * rank), padded)
        return np.asarray(np.max(seen, axis=tuple(range(1 + rank, 1 + 2 * rank))))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((2, 2), (2, 2), ((0, 0), (0, 0))), (draw(rng, (2, 4, 6, 3), dt.float64),)
        yield ((3, 3), (2, 2), ((1, 1), (0, 1))), (draw(rng, (1, 7, 6, 2), dt.float64),)
        yield ((2, 3), (1, 1), ((0, 1), (1, 1))), (draw(rng, (1, 4, 5, 2), dt.float64),)
        yield ((2,), (3,), ((0, 0),)), (draw(rng, (2, 8, 2), dt.float64),)
        yield ((2, 2), (2, 2), ((0, 0), (0, 0))), (draw(rng, (1, 5, 5, 1), dt.int8),)
        yield ((2, 2), (2, 2), ((0, 0), (0, 0))), (draw(rng, (0, 4, 4, 2), dt.float32),)


_MAX_POOL = REGISTRY["max_pool"]


def tap_numbers(kernel: Sequence[int]) -> Node:
    """The number of each tap in row-major order, in the narrowest dtype that also holds their count."""
    count = math.prod(kernel)
    dtype = dt.uint8 if count <= dt.uint8.max else dt.int32
    return ops.reshape(ops.iota((count,), 0, dtype), tuple(kernel))


def max_pool(x: Node, kernel: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]) -> Node:
    """The greatest element of each window; outside lies the least number."""
    return apply(_MAX_POOL, (x,), (tuple(kernel), tuple(strides), tuple([(int(a), int(b)) for a, b in padding])))
