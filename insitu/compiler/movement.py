"""Rules for views: chains of them become one, and element-wise work is done before it is stretched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from insitu import ops
from insitu.compiler.algebra import value_of
from insitu.graph.node import Node, Shape, aval
from insitu.ops.rules import broadcast_shapes, literal_value

Rule = Callable[[Node], Node | None]


def _is(x: Node, name: str) -> bool:
    return x.memory is None and x.prim.name == name


def uniform(node: Node) -> Node | None:
    """A view of one number repeated is that number repeated.

    ::

        %1 = broadcast_to(%0, shape=(3, 4)): float32[3, 4]
        %2 = reshape(%1, shape=(12,)): float32[12]

        %1 = broadcast_to(%0, shape=(12,)): float32[12]
    """
    x = node.inputs[0]
    if not _is(x, "broadcast_to") or x.inputs[0].aval.size != 1:
        return None
    return ops.broadcast_to(ops.reshape(x.inputs[0], ()), node.shape)


def reshape_again(node: Node) -> Node | None:
    """Only the last shape counts.

    ::

        %1 = reshape(%0, shape=(3, 4)): float32[3, 4]
        %2 = reshape(%1, shape=(2, 6)): float32[2, 6]

        %1 = reshape(%0, shape=(2, 6)): float32[2, 6]
    """
    x = node.inputs[0]
    return ops.reshape(x.inputs[0] if _is(x, "reshape") else x, node.shape) if _is(x, "reshape") or x.shape == node.shape else None


def permute_again(node: Node) -> Node | None:
    """Two orders of axes become one; an order that changes nothing goes.

    ::

        %1 = permute(%0, axes=(1, 0)): float32[4, 3]
        %2 = permute(%1, axes=(1, 0)): float32[3, 4]

        %0
    """
    x, axes = node.inputs[0], node.attrs[0]
    if _is(x, "permute"):
        inner = x.attrs[0]
        return ops.permute(x.inputs[0], [inner[a] for a in axes])
    return x if all(k == a for k, a in enumerate(axes)) else None


def permute_of_ones(node: Node) -> Node | None:
    """Moving only axes of extent 1 keeps the elements in order: a reshape.

    ::

        %1 = permute(%0, axes=(1, 0, 2)): float32[3, 1, 4]

        %1 = reshape(%0, shape=(3, 1, 4)): float32[3, 1, 4]
    """
    x = node.inputs[0]
    moved = [a for a in node.attrs[0] if x.shape[a] != 1]
    return ops.reshape(x, node.shape) if moved == sorted(moved) else None


def broadcast_again(node: Node) -> Node | None:
    """Stretch once, and from the shape without leading ones; where nothing is repeated, reshape.

    ::

        %1 = reshape(%0, shape=(1, 4)): float32[1, 4]
        %2 = broadcast_to(%1, shape=(3, 4)): float32[3, 4]

        %1 = broadcast_to(%0, shape=(3, 4)): float32[3, 4]
    """
    x = node.inputs[0]
    if _is(x, "broadcast_to"):
        return ops.broadcast_to(x.inputs[0], node.shape)
    if x.aval.size == node.aval.size:
        return ops.reshape(x, node.shape)
    if _is(x, "reshape"):
        source = x.inputs[0]
        if source.aval.size == 1:
            return ops.broadcast_to(ops.reshape(source, ()), node.shape) if x.ndim else None
        if x.shape == (1,) * (x.ndim - source.ndim) + source.shape:
            return ops.broadcast_to(source, node.shape)
    return None


def broadcast_last(node: Node) -> Node | None:
    """Element-wise nodes stretch their inputs by themselves, and what all inputs share is computed once.

    ::

        %2 = broadcast_to(%0, shape=(3, 4)): float32[3, 4]
        %3 = mul(%1, %2): float32[3, 4]
        %4 = broadcast_to(%0, shape=(3, 4)): float32[3, 4]
        %5 = exp(%4): float32[3, 4]

        %2 = mul(%1, %0): float32[3, 4]
        %3 = exp(%0): float32[4]
        %4 = broadcast_to(%3, shape=(3, 4)): float32[3, 4]
    """
    if not any(_is(x, "broadcast_to") for x in node.inputs):
        return None
    inputs = tuple([x.inputs[0] if _is(x, "broadcast_to") else x for x in node.inputs])
    shape = broadcast_shapes(node.prim.name, [""] * len(inputs), [x.aval for x in inputs])
    return ops.broadcast_to(Node(node.prim, inputs, node.attrs, aval(shape, node.dtype)), node.shape)


def reshape_last(node: Node) -> Node | None:
    """Element-wise work is done before axes of extent 1 are put in: the mean of a row stays one number of the row.

    ::

        %2 = reshape(%1, shape=(3, 1)): float32[3, 1]
        %3 = mul(%2, %0): float32[3, 1]

        %2 = mul(%1, %0): float32[3]
        %3 = reshape(%2, shape=(3, 1)): float32[3, 1]
    """
    arrays = [x for x in node.inputs if x.ndim]
    sources = {x.inputs[0].shape for x in arrays if _is(x, "reshape") and x.shape == node.shape}
    if len(sources) != 1 or not all(_is(x, "reshape") and x.shape == node.shape for x in arrays):
        return None
    shape = sources.pop()
    if len(shape) >= node.ndim or [n for n in shape if n != 1] != [n for n in node.shape if n != 1]:
        return None
    inputs = tuple([x.inputs[0] if x.ndim else x for x in node.inputs])
    return ops.reshape(Node(node.prim, inputs, node.attrs, aval(shape, node.dtype)), node.shape)


def slice_again(node: Node) -> Node | None:
    """A part of a part; the whole is no part.

    ::

        %1 = slice(%0, starts=(2,), stops=(8,), steps=(1,)): float32[6]
        %2 = slice(%1, starts=(1,), stops=(6,), steps=(2,)): float32[3]

        %1 = slice(%0, starts=(3,), stops=(8,), steps=(2,)): float32[3]
    """
    x = node.inputs[0]
    if x.shape == node.shape and all(step > 0 for step in node.attrs[2]):
        return x
    if not _is(x, "slice"):
        return None
    starts, stops, steps = [], [], []
    for n, start, step, first, inner in zip(node.shape, node.attrs[0], node.attrs[2], x.attrs[0], x.attrs[2], strict=True):
        starts.append(first + start * inner)
        steps.append(step * inner)
        stops.append(starts[-1] + n * steps[-1])
    return ops.slice_(x.inputs[0], starts, stops, steps)


def slice_of_pad(node: Node) -> Node | None:
    """A part that has nothing of the margin is a part of what is inside.

    ::

        %1 = pad(%0, widths=((2, 2),), value=0.0): float32[8]
        %2 = slice(%1, starts=(3,), stops=(5,), steps=(1,)): float32[2]

        %1 = slice(%0, starts=(1,), stops=(3,), steps=(1,)): float32[2]
    """
    x = node.inputs[0]
    if not _is(x, "pad"):
        return None
    starts, stops, steps = [], [], []
    for n, start, step, m, (before, _) in zip(node.shape, node.attrs[0], node.attrs[2], x.inputs[0].shape, x.attrs[0], strict=True):
        first, last = start - before, start - before + (n - 1) * step
        if min(first, last) < 0 or max(first, last) >= m:
            return None
        starts.append(first)
        stops.append(first + n * step)
        steps.append(step)
    return ops.slice_(x.inputs[0], starts, stops, steps)


def slice_of_concat(node: Node) -> Node | None:
    """A part that lies in one of the joined arrays is a part of that one.

    ::

        %2 = concat(%0, %1, axis=0): float32[7]
        %3 = slice(%2, starts=(3,), stops=(7,), steps=(1,)): float32[4]

        %1
    """
    x = node.inputs[0]
    if not _is(x, "concat"):
        return None
    axis, begin = x.attrs[0], 0
    starts, steps = list(node.attrs[0]), node.attrs[2]
    first = starts[axis]
    last = first + (node.shape[axis] - 1) * steps[axis]
    for part in x.inputs:
        end = begin + part.shape[axis]
        if begin <= min(first, last) and max(first, last) < end:
            starts[axis] = first - begin
            return ops.slice_(part, starts, [a + n * s for a, n, s in zip(starts, node.shape, steps, strict=True)], steps)
        begin = end
    return None


def pad_again(node: Node) -> Node | None:
    """Margins of one value become one; an array of that value only grows.

    ::

        %1 = pad(%0, widths=((1, 0),), value=0.0): float32[4]
        %2 = pad(%1, widths=((0, 2),), value=0.0): float32[6]

        %1 = pad(%0, widths=((1, 2),), value=0.0): float32[6]
    """
    x, (widths, value) = node.inputs[0], node.attrs
    if _is(x, "pad") and x.attrs[1] == value:
        joined = [(a + c, b + d) for (a, b), (c, d) in zip(widths, x.attrs[0], strict=True)]
        return ops.pad(x.inputs[0], joined, literal_value(value, node.dtype))
    if all(pair == (0, 0) for pair in widths):
        return x
    same = value_of(x)
    if same is not None and str(same) == str(literal_value(value, node.dtype)):
        return ops.full(node.shape, same, node.dtype)
    return None


def concat_less(node: Node) -> Node | None:
    """Leave out empty arrays.

    ::

        %2 = concat(%0, %1, axis=0): float32[3]     (%0 is float32[0])

        %1
    """
    axis = node.attrs[0]
    parts = [x for x in node.inputs if x.shape[axis]]
    return ops.concat(parts, axis) if 0 < len(parts) < len(node.inputs) or len(node.inputs) == 1 else None


def take_same(node: Node) -> Node | None:
    """Taking from one number repeated.

    ::

        %2 = broadcast_to(%0, shape=(5,)): float32[5]
        %3 = take(%2, %1, axis=0): float32[3]

        %2 = broadcast_to(%0, shape=(3,)): float32[3]
    """
    return uniform(node)


def first_position(node: Node) -> Node | None:
    """On an axis of extent 1 there is one position.

    ::

        %0 = iota(shape=(1, 3), axis=0, dtype=int64): int64[1, 3]

        %0 = constant(value=0, dtype=int64): int64[]
        %1 = broadcast_to(%0, shape=(1, 3)): int64[1, 3]
    """
    shape: Shape = node.shape
    return ops.full(shape, 0, node.dtype) if shape[node.attrs[1]] == 1 else None


def bits_again(node: Node) -> Node | None:
    """Bits read twice are read once.

    ::

        %1 = bitcast(%0, dtype=uint32): uint32[3]
        %2 = bitcast(%1, dtype=float32): float32[3]

        %0
    """
    x = node.inputs[0]
    return ops.bitcast(x.inputs[0], node.dtype) if _is(x, "bitcast") else None


RULES: Mapping[str, Sequence[Rule]] = {
    "reshape": (reshape_again, uniform),
    "permute": (permute_again, uniform, permute_of_ones),
    "broadcast_to": (broadcast_again,),
    "slice": (slice_again, uniform, slice_of_pad, slice_of_concat),
    "pad": (pad_again,),
    "concat": (concat_less,),
    "take": (take_same,),
    "take_along": (take_same,),
    "iota": (first_position,),
    "bitcast": (bits_again,),
}
