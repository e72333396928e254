"""Loop nests of the kernels that hold one special node: contractions, scans, sorts, scatters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Axis
from insitu.compiler.fuse import Group
from insitu.compiler.lower import Index, Lowered, Lowerer, accumulate
from insitu.errors import InternalError
from insitu.graph.node import Node, Shape
from insitu.ops.convolution import sees_itself
from insitu.ops.mixing import ALGORITHMS, transposed


# -- contractions --------------------------------------------------------------------------------
def strided(node: Node, stored: set[Node]) -> nest.Operand | None:
    """The node as a strided view of a stored value: (batch, i, j) strides, or None if it is not one.

    One of the last two strides must be 1, as the kernels read along it.
    """
    low = Lowerer(stored, ())
    batch = node.shape[:-2]
    if (node in stored or node.memory is not None or node.prim.kind == "leaf") and min(node.shape) > 1:
        rows, columns = node.shape[-2:]
        return nest.Operand(low.buffer(node), node.dtype, rows * columns if math.prod(batch) > 1 else 0, columns, 1)
    b, i, j = (nest.axis(n, e) for n, e in zip("bij", (math.prod(batch), *node.shape[-2:]), strict=True))
    try:
        x = low.value(node, (*nest.unravel(b, batch), i, j))
    except InternalError:
        return None
    if x.op != "load" or len(x.args) != 1:
        return None
    offset, strides = x.args[0], []
    for name, extent in zip("bij", (math.prod(batch), *node.shape[-2:]), strict=True):
        found = nest.linear(offset, name)
        if found is None:
            return None
        offset = found[0]
        strides.append(found[1] if extent > 1 else None)
    if node.aval.size == 0:
        return nest.Operand(x.attr, x.dtype, 0, max(node.shape[-1], 1), 1)
    if offset.op != "const" or offset.attr != 0:
        return None
    step, row, col = strides
    row, col = _one_is_unit(row, col, node.shape[-2], node.shape[-1])
    if 1 not in (row, col) or row < 1 or col < 1:
        return None
    return nest.Operand(x.attr, x.dtype, step or 0, row, col)


def _one_is_unit(row: int | None, col: int | None, rows: int, cols: int) -> tuple[int, int]:
    """Strides of axes of extent 1 are free: choose them so that the layout is a known one."""
    if col is None:
        return (1, max(rows, 1)) if row is None else (row, 1) if row != 1 else (1, max(rows, 1))
    if row is None:
        return (max(cols, 1), 1) if col == 1 else (1, col)
    return row, col


def lower_contract(group: Group, stored: set[Node]) -> Lowered:
    """A matrix product with everything of its shape that follows it as its epilogue.

    ::

        acc[batch < 1, m < 100, n < 10] = contract k < 784: float32
          a = x0: float32 strides 0, 784, 1
          b = x1: float32 strides 0, 10, 1
          epilogue:
            y0[m*10 + n] = acc + x2[n]
    """
    product = group.nodes[0]
    low = Lowerer(stored, group.nodes)
    c, index = contraction(product, low)
    low.refs[product] = nest.cast(nest.ref("acc", c.dtype), product.dtype)
    contract = dataclasses.replace(c, epilogue=low.store_all(group, index))
    buffers, nodes = low.buffers()
    return Lowered(nest.Kernel("u", 0, tuple(buffers), (contract,)), nodes, group)


def contraction(product: Node, low: Lowerer) -> tuple[nest.Contract, Index]:
    """A product without an epilogue, and the index of its elements."""
    return _CONTRACTIONS[product.prim.name](product, low)


def in_panels(node: Node, stored: set[Node], outer_first: bool) -> nest.Operand | None:
    """The node as an operand that lies in panels; ``outer_first`` if its first index is the one that is cut into panels."""
    while node not in stored and node.prim.kind == "view" and node.prim.name != "panels":
        node = node.inputs[0]
    if node in stored or node.prim.name != "panels":
        return None
    matrices, *panels = node.inputs[0].shape
    width = panels[-1]
    strides = (1, width) if outer_first else (width, 1)
    return nest.Operand("", node.dtype, math.prod(panels) if matrices > 1 else 0, *strides, width)


def _matmul(product: Node, low: Lowerer) -> tuple[nest.Contract, Index]:
    batch_shape, (m, n), k = product.shape[:-2], product.shape[-2:], product.inputs[0].shape[-1]
    batch = math.prod(batch_shape)
    sides = []
    for x, outer_first in zip(product.inputs, (True, False), strict=True):
        found = in_panels(x, low.stored, outer_first) or strided(x, low.stored)
        if found is None:
            raise InternalError(f"operand {x!r} of a contraction is not a strided view of a stored value")
        sides.append(found)
    sources = [source_of(x, low.stored) for x in product.inputs]
    a, b = (dataclasses.replace(o, buffer=low.buffer(s)) for s, o in zip(sources, sides, strict=True))
    rows_merge = batch > 1 and b.batch_stride == 0 and a.col_stride == 1 and a.batch_stride == m * a.row_stride
    index: Index
    if rows_merge:
        flat = nest.axis("m", batch * m)
        index = (*nest.unravel(flat, (*batch_shape, m)), nest.axis("n", n))
        batch, m = 1, batch * m
    else:
        index = (*nest.unravel(nest.axis("batch", batch), batch_shape), nest.axis("m", m), nest.axis("n", n))
    return nest.Contract("acc", batch, m, n, k, a, b, product.dtype.compute, ()), index


def _conv(product: Node, low: Lowerer) -> tuple[nest.Contract, Index]:
    """Rows are positions, k runs over the window, batches are groups; of a gradient by the kernel it is the other way round: rows are
    elements of the window, and k runs over positions.

    ::

        acc[batch < 1, m < 72, n < 8] = contract k < 27: float32
          a = x0: float32 windows of 2x1x6x6x3: position m of 1x6x6 strides 1x1x1 before 0x1x1, element k of 1x3x3x3 dilation 1x1x1
          b = x1: float32 strides 0, 8, 1
          epilogue:
            y0[m*8 + n] = acc

    Where each position sees itself alone, ``a`` is a plain matrix.
    """
    x, other = product.inputs
    *_, strides, padding, dilation, groups = product.attrs
    forward = product.prim.name == "conv"
    grid, window = (product.shape, other.shape) if forward else (other.shape, product.shape)
    positions, elements, outputs = math.prod(grid[:-1]), math.prod(window[:-1]), product.shape[-1]
    m, k = (positions, elements) if forward else (elements, positions)
    n = outputs // groups
    source, pixel = low.buffer(source_of(x, low.stored)), max(x.shape[-1], 1)
    laid = in_panels(other, low.stored, False)
    b = laid or nest.Operand("", other.dtype, n if groups > 1 else 0, max(outputs, 1), 1)
    a: nest.Operand | nest.Windows
    if sees_itself(product):
        a = nest.Operand(source, x.dtype, elements if groups > 1 else 0, *((pixel, 1) if forward else (1, pixel)))
        b = (strided(other, low.stored) if forward and groups == 1 and not laid else None) or b
    else:
        moves = strides, dilation, tuple([before for before, _ in padding])
        a = _windows(x, source, grid[1:-1], window[:-2], moves, groups, forward)
    b = dataclasses.replace(b, buffer=low.buffer(source_of(other, low.stored)))
    index = (*nest.unravel(nest.axis("m", m), product.shape[:-1]), _of_group(groups, n))
    return nest.Contract("acc", groups, m, n, k, a, b, product.dtype.compute, ()), index


def _squares(product: Node, low: Lowerer) -> tuple[nest.Contract, Index]:
    """Each matrix of the right operand has to do with one element of a mixed square; the sums are mixed again.

    ::

        acc[batch < 1, m < 128, n < 64] = contract k < 64: float32
          a = x0: float32 2x4x4 squares 4x4 by steps of 2 before 1x1 mixed to 4x4 of 2x8x8x64
          b = x1: float32 strides 4096, 32, 1 panels of 32
          mixed to positions 8x8
          epilogue:
            y0[m*64 + n] = acc
    """
    x, w = product.inputs
    taps, stride, padding = product.attrs
    (_, rows, columns, n), k, how = product.shape, w.shape[2], ALGORITHMS[taps, stride]
    m = math.prod(product.shape[:-1])
    a = _shown(x, how.inputs, 2 * stride, product.shape[1:3], padding, low)
    b = in_panels(w, low.stored, False) or nest.Operand("", w.dtype, k * n, n, 1)
    b = dataclasses.replace(b, buffer=low.buffer(source_of(w, low.stored)))
    index = (*nest.unravel(nest.axis("m", m), product.shape[:-1]), nest.axis("n", n))
    outputs = nest.Outputs(how.outputs, (rows, columns))
    return nest.Contract("acc", 1, m, n, k, a, b, product.dtype.compute, (), outputs), index


def _squares_weight(product: Node, low: Lowerer) -> tuple[nest.Contract, Index]:
    """k runs over squares: of the grid, and of what is given for the outputs.

    ::

        acc[batch < 16, m < 64, n < 64] = contract k < 32: float32
          a = x0: float32 2x4x4 squares 4x4 by steps of 2 before 1x1 mixed to 4x4 of 2x8x8x64
          b = x1: float32 2x4x4 squares 2x2 by steps of 2 before 0x0 mixed to 4x4 of 2x8x8x64
          epilogue:
            y0[batch*4096 + m*64 + n] = acc
    """
    x, ct = product.inputs
    taps, stride, padding = product.attrs
    (p, _, m, n), how = product.shape, ALGORITHMS[taps, stride]
    a = _shown(x, how.inputs, 2 * stride, ct.shape[1:3], padding, low)
    b = _shown(ct, transposed(how.outputs), 2, ct.shape[1:3], ((0, 0), (0, 0)), low)
    index = (*nest.unravel(nest.axis("batch", p * p), (p, p)), nest.axis("m", m), nest.axis("n", n))
    return nest.Contract("acc", p * p, m, n, a.items * math.prod(a.count), a, b, product.dtype.compute, ()), index


def _shown(x: Node, matrix: nest.Matrix, step: int, positions: Shape, padding: Sequence[tuple[int, int]], low: Lowerer) -> nest.Squares:
    """The mixed squares of a stored grid that two by two positions have to do with."""
    items, rows, columns, channels = x.shape
    count = -(-positions[0] // 2), -(-positions[1] // 2)
    before = padding[0][0], padding[1][0]
    return nest.Squares(low.buffer(source_of(x, low.stored)), x.dtype, items, (rows, columns), channels, count, step, before, matrix)


def _of_group(groups: int, n: int) -> nest.Expr:
    """The channel that column n of a group is."""
    column = nest.axis("n", n)
    return nest.op("add", nest.op("mul", nest.axis("batch", groups), nest.index(n)), column) if groups > 1 else column


def _windows(x: Node, buffer: str, out: Shape, taps: Shape, moves: tuple[Shape, Shape, Shape], groups: int, positions_first: bool) -> nest.Windows:
    """The windows of a stored grid; axes of extent 1 make up three axes of positions."""

    def three(extents: Shape, fill: int) -> tuple[int, int, int]:
        z, y, x = (*(fill,) * (3 - len(extents)), *extents)
        return z, y, x

    if len(out) > 3:
        raise InternalError(f"windows over {len(out)} axes")
    strides, dilation, before = moves
    return nest.Windows(
        buffer, x.dtype, x.shape[0], three(x.shape[1:-1], 1), x.shape[-1], three(out, 1), three(taps, 1),
        x.shape[-1] // groups, three(strides, 1), three(dilation, 1), three(before, 0), positions_first,
    )  # fmt: skip


_CONTRACTIONS = {"matmul": _matmul, "conv": _conv, "conv_weight": _conv, "conv_squares": _squares, "conv_squares_weight": _squares_weight}


def source_of(node: Node, stored: Collection[Node] = ()) -> Node:
    """The stored node that a view shows; without ``stored``, what the views begin with."""
    while node.memory is None and node.prim.kind == "view" and node.inputs and node not in stored:
        node = node.inputs[0]
    return node


# -- scans, sorts, scatters ----------------------------------------------------------------------
def lower_alone(group: Group, stored: set[Node]) -> list[Lowered]:
    """The kernels of a scan, a sort or a scatter (which first copies its array)."""
    node = group.nodes[0]
    if node.prim.kind == "scan":
        return [_scan(node, group, stored)]
    if node.prim.kind == "sort":
        return [_sort(node, group, stored)]
    return [_copy(node, group, stored), _scatter(node, group, stored)]


def _scan(node: Node, group: Group, stored: set[Node]) -> Lowered:
    """Running sums in order along one axis, in lanes over the axes behind it."""
    low = Lowerer(stored, group.nodes)
    axis = node.attrs[0]
    outer, length, inner = node.shape[:axis], node.shape[axis], node.shape[axis + 1 :]
    along = Axis("k", length)
    units = math.prod(outer)
    r, j = nest.axis("r", units), nest.axis("j", math.prod(inner))
    index = (*nest.unravel(r, outer), along.at, *nest.unravel(j, inner))
    value = accumulate(node.prim.how, low.value(node.inputs[0], index))
    low.outputs[node] = "y0"
    running = nest.cast(nest.ref("run", value.dtype), node.dtype)
    after = (nest.Store("y0", nest.ravel(index, node.shape), running),)
    scan: nest.Stmt = nest.Reduce("run", node.prim.how, along, value, (), after)
    if inner:
        scan = nest.Loop(Axis("j", math.prod(inner), "vector"), (scan,))
    buffers, nodes = low.buffers()
    return Lowered(nest.Kernel("r", units, tuple(buffers), (scan,)), nodes, group)


def _sort(node: Node, group: Group, stored: set[Node]) -> Lowered:
    low = Lowerer(stored, group.nodes)
    x, (axis, descending, kept) = node.inputs[0], node.attrs
    outer, length, inner = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    step = math.prod(inner)
    r = nest.axis("r", math.prod(outer) * step)
    column = nest.index(max(step, 1))
    source_base, target_base = (
        nest.op("add", nest.op("mul", nest.op("floordiv", r, column), nest.index(extent * step)), nest.op("mod", r, column))
        for extent in (length, kept)
    )
    source = low.buffer(x)
    low.outputs[node] = "y0"
    sort = nest.ArgSort(source, source_base, step, "y0", target_base, step, length, kept, x.dtype, descending)
    buffers, nodes = low.buffers()
    return Lowered(nest.Kernel("r", math.prod(outer) * step, tuple(buffers), (sort,)), nodes, group)


def _copy(node: Node, group: Group, stored: set[Node]) -> Lowered:
    """The scatter's result starts as a copy of its array."""
    low = Lowerer(stored, group.nodes)
    i = nest.axis("i", node.aval.size)
    low.outputs[node] = "y0"
    body = (nest.Store("y0", i, low.value(node.inputs[0], nest.unravel(i, node.shape))),)
    buffers, nodes = low.buffers()
    return Lowered(nest.Kernel("i", node.aval.size, tuple(buffers), body, vector=True), nodes, group)


def _scatter(node: Node, group: Group, stored: set[Node]) -> Lowered:
    """Updates one after another, in lanes over the columns: a fixed order without atomics."""
    low = Lowerer(stored, group.nodes)
    _, at, updates = node.inputs
    how, inner, rows = node.attrs[0], node.shape[1:], node.shape[0]
    column = nest.axis("i", math.prod(inner))
    along = Axis("k", at.shape[0])
    place = nest.cast(low.value(at, (along.at,)), dt.int64)
    zero, count = nest.index(0), nest.index(rows)
    place = nest.op("select", nest.op("lt", place, zero), nest.op("add", place, count), place)
    place = nest.op("min", nest.op("max", place, zero), nest.index(max(rows - 1, 0)))
    offset = nest.op("add", nest.op("mul", place, nest.index(math.prod(inner))), column)
    low.outputs[node] = "y0"
    new = low.value(updates, (along.at, *nest.unravel(column, inner)))
    if how == "add":
        compute = node.dtype.compute
        old = nest.cast(nest.load("y0", offset, node.dtype), compute)
        join = "or" if compute.kind == "b" else "add"
        new = nest.cast(nest.op(join, old, nest.cast(new, compute)), node.dtype)
    loop = nest.Loop(along, (nest.Store("y0", offset, new),))
    buffers, nodes = low.buffers()
    buffers = [nest.Buffer(b.name, b.dtype, "both") if b.name == "y0" else b for b in buffers]
    return Lowered(nest.Kernel("i", math.prod(inner), tuple(buffers), (loop,), vector=True), nodes, group)
