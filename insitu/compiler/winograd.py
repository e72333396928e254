"""Convolutions with a 3x3 kernel and many channels as sixteen matrix products on less arithmetic."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu import ops
from insitu.graph.node import Node, topological
from insitu.ops.mixing import Matrix, transposed

Pairs = Sequence[tuple[int, int]]

#: Fewer channels on either side do not pay for the transformations; the gradient by the kernel reads more for what it computes.
CHANNELS = {"conv": 64, "conv_weight": 128}
#: Fewer positions do not pay for the transformation of the kernel, which is larger than the kernel; its gradient is for many examples.
POSITIONS = {"conv": 64, "conv_weight": 16}
#: Bytes of transformed grids above which the examples of a batch are taken some at a time; one example must stay below.
BYTES = 1 << 27

#: Winograd's F(2x2, 3x3), from Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), section 4.1:
#: four inputs, three weights and two outputs of each axis.
_INPUT: Matrix = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL: Matrix = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OUTPUT: Matrix = ((1, 1, 1, 0), (0, 1, -1, -1))
#: The same algorithm for the kernel read backwards: its transformation only exchanges the first and the last of the four.
_BACKWARDS = (3, 1, 2, 0)
_INPUT_BACK: Matrix = tuple(_INPUT[k] for k in _BACKWARDS)
_OUTPUT_BACK: Matrix = tuple(tuple(row[k] for k in _BACKWARDS) for row in _OUTPUT)


def winograd(outputs: Sequence[Node]) -> list[Node]:
    """Replace convolutions with 3x3 kernels, and their gradients, where that saves time.

    Every 2x2 square of outputs takes 16 products for each pair of channels instead of 36.

    ::

        %2 = conv(%0, %1, ...): float32[8, 14, 14, 256]

        %2 = pad(%0, ...): float32[8, 16, 16, 256]
        %3 = windows(%2, kernel=(4, 4), strides=(2, 2), dilation=(1, 1)): float32[8, 7, 7, 4, 4, 256]
        %4 = permute(%3, axes=(3, 4, 0, 1, 2, 5)): float32[4, 4, 8, 7, 7, 256]
        %5 = mix(%4, ...): float32[4, 4, 8, 7, 7, 256]
        %6 = reshape(%5, shape=(4, 4, 392, 256)): float32[4, 4, 392, 256]
        %7 = mix(%1, ...): float32[4, 4, 256, 256]
        %8 = matmul(%6, %7): float32[4, 4, 392, 256]
        %9 = reshape(%8, shape=(4, 4, 8, 7, 7, 256)): float32[4, 4, 8, 7, 7, 256]
        %10 = mix_blocks(%9, ...): float32[8, 14, 14, 256]
    """
    made: dict[Node, Node] = {}
    kernels: dict[Node, Node] = {}
    for n in topological(outputs, lambda n: n.memory is not None):
        if n.memory is None and any(made[i] is not i for i in n.inputs):
            made[n] = Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
        else:
            made[n] = n
        if n.memory is not None or not _pays(n):
            continue
        made[n] = _convolution(made[n], kernels) if n.prim.name == "conv" else _gradient(made[n])
    return [made[n] for n in outputs]


def _pays(n: Node) -> bool:
    """Whether to replace a node; the number of examples does not count, as one alone must give the bits it gives among others."""
    if n.prim.name not in CHANNELS or n.dtype is not dt.float32:
        return False
    strides, _, dilation, groups = n.attrs[-4:]
    grid, kernel = (n, n.inputs[1]) if n.prim.name == "conv" else (n.inputs[1], n)
    if kernel.shape[:-2] != (3, 3) or (*strides, *dilation) != (1, 1, 1, 1) or groups != 1 or min(kernel.shape[-2:]) < CHANNELS[n.prim.name]:
        return False
    _, rows, columns, _ = grid.shape
    return bool(rows * columns >= POSITIONS[n.prim.name] and grid.aval.size and _bytes(n) <= BYTES)


def _bytes(n: Node) -> int:
    """Bytes of both transformed grids of one example: each has 16 elements for every 4 positions."""
    x, other = n.inputs[0], n if n.prim.name == "conv" else n.inputs[1]
    return 16 * math.prod([-(-extent // 2) for extent in other.shape[1:3]]) * (x.shape[-1] + other.shape[-1]) * n.dtype.itemsize


def _parts(n: Node) -> list[tuple[int, int]]:
    """The examples in parts whose transformed grids are not too large, as even as they can be."""
    batch = n.inputs[0].shape[0]
    count = -(-batch // (BYTES // _bytes(n)))
    return [(batch * k // count, batch * (k + 1) // count) for k in range(count)]


def _examples(x: Node, part: tuple[int, int]) -> Node:
    return ops.slice_(x, (part[0], *[0] * (x.ndim - 1)), (part[1], *x.shape[1:]))


def _convolution(n: Node, kernels: dict[Node, Node]) -> Node:
    """The convolution; the kernel's transformation serves the gradient by the grid, too, which reads the kernel backwards."""
    x, w = n.inputs
    forwards = _turned(w)
    source = w if forwards is None else forwards
    if source not in kernels:
        kernels[source] = ops.mix(source, _KERNEL)
    kernel = kernels[source] if forwards is None else ops.swap_last(kernels[source])
    matrix, back = (_INPUT, _OUTPUT) if forwards is None else (_INPUT_BACK, _OUTPUT_BACK)
    made = []
    for part in _parts(n):
        seen = ops.mix(_squares(_examples(x, part), n.attrs[1], n), matrix)
        products = ops.matmul(_flat(seen), kernel)
        made.append(ops.mix_blocks(ops.reshape(products, (*seen.shape[:-1], n.shape[-1])), back))
    return ops.slice_(ops.concat(made, 0), (0, 0, 0, 0), n.shape)


def _gradient(n: Node) -> Node:
    """The gradient by the kernel."""
    x, ct = n.inputs
    sums = []
    for part in _parts(n):
        seen = ops.mix(_squares(_examples(x, part), n.attrs[2], ct), _INPUT)
        given = ops.mix(ops.tiles(ops.pad(_examples(ct, part), _evened(((0, 0), (0, 0)), ct)), 2, 2), transposed(_OUTPUT))
        sums.append(ops.matmul(ops.swap_last(_flat(seen)), _flat(given)))
    return ops.mix(functools.reduce(ops.add, sums), transposed(_KERNEL))


def _squares(x: Node, padding: Pairs, outputs: Node) -> Node:
    """The 4x4 squares of a grid that 2x2 squares of outputs see."""
    return ops.tiles(ops.pad(x, _evened(padding, outputs)), 4, 2)


def _evened(padding: Pairs, outputs: Node) -> list[tuple[int, int]]:
    """The padding of a grid with one row or column more at the end where those of the outputs are odd in number."""
    return [(0, 0), *[(a, b + extent % 2) for (a, b), extent in zip(padding, outputs.shape[1:3], strict=True)], (0, 0)]


def _flat(x: Node) -> Node:
    """Sixteen matrices: positions by channels."""
    return ops.reshape(x, (4, 4, -1, x.shape[-1]))


def _turned(w: Node) -> Node | None:
    """The kernel that ``w`` is with its taps read backwards and its inputs and outputs exchanged; None if it is none."""
    if w.memory is None and w.prim.name == "slice" and w.attrs[2] == (-1, -1, 1, 1):
        x = w.inputs[0]
        if x.memory is None and x.prim.name == "permute" and x.attrs[0] == (0, 1, 3, 2) and x.shape == w.shape:
            return x.inputs[0]
    return None
