"""Convolutions with a small square kernel and many channels on less arithmetic, by Winograd's algorithm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu import ops
from insitu.graph.node import Node, topological
from insitu.ops.mixing import ALGORITHMS, LANES, transposed

#: By the number of taps of an axis and the stride, fewest channels on either side and fewest positions that pay for the transformations: that of
#: the kernel makes it larger, and its gradient is for many examples. The more arithmetic is saved the fewer positions may be, but for one example
#: alone.
LEAST = {
    "conv": {(2, 1): (64, 49), (3, 1): (64, 16), (3, 2): (64, 49), (5, 1): (32, 49)},
    "conv_weight": {(2, 1): (64, 16), (3, 1): (64, 16), (3, 2): (128, 16), (5, 1): (32, 16)},
}
#: Products that a convolution may need of those that it has as a chain; more do not pay for the transformations.
PRODUCTS = 0.8
#: Outputs that lie together in a panel of the mixed kernel, where their number allows it.
PANEL = 32


def winograd(outputs: Sequence[Node]) -> list[Node]:
    """Replace convolutions with small square kernels, and their gradients, where that saves time.

    Every 2x2 square of outputs takes 16 products for each pair of channels instead of 36, or 49 instead of 100; with stride 2, whose
    gradients by the grid are convolutions with two taps, 25 instead of 36, and 9 instead of 16.

    ::

        %2 = conv(%0, %1, ...): float32[8, 14, 14, 256]

        %2 = reshape(%1, shape=(9, 256, 8, 32)): float32[9, 256, 8, 32]
        %3 = reshape(permute(%2, axes=(0, 2, 1, 3)), ...): float32[3, 3, 8, 256, 32]
        %4 = mix(%3, ...): float32[4, 4, 8, 256, 32]
        %5 = reshape(%4, shape=(16, 8, 256, 32)): float32[16, 8, 256, 32]
        %6 = panels(%5, shape=(4, 4, 256, 256)): float32[4, 4, 256, 256]
        %7 = conv_squares(%0, %6, taps=3, stride=1, padding=((1, 1), (1, 1))): float32[8, 14, 14, 256]
    """
    made: dict[Node, Node] = {}
    for n in topological(outputs, lambda n: n.memory is not None):
        if n.memory is None and any(made[i] is not i for i in n.inputs):
            made[n] = Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
        else:
            made[n] = n
        if n.memory is None and n.prim.name in LEAST and _pays(n):
            made[n] = (_convolution if n.prim.name == "conv" else _gradient)(made[n])
    return [made[n] for n in outputs]


def _pays(n: Node) -> bool:
    """Whether to replace a node; the number of examples does not count, as one alone must give the bits it gives among others."""
    strides, _, dilation, groups = n.attrs[-4:]
    grid, kernel = (n, n.inputs[1].shape) if n.prim.name == "conv" else (n.inputs[1], n.shape)
    taps, sides, how = kernel[:-2], kernel[-2:], _how(n)
    square = taps == taps[:1] * 2 and strides == strides[:1] * 2 and dilation == (1, 1) and groups == 1
    if n.dtype is not dt.float32 or not square or how not in LEAST[n.prim.name] or any(side % LANES for side in sides):
        return False
    channels, least = LEAST[n.prim.name][how]
    positions, squares = math.prod(grid.shape[1:3]), math.prod([-(-extent // 2) for extent in grid.shape[1:3]])
    fewer = squares * len(ALGORITHMS[how].inputs) ** 2 <= PRODUCTS * positions * math.prod(taps)
    return bool(fewer and min(sides) >= channels and positions >= least and grid.aval.size)


def _how(n: Node) -> tuple[int, int]:
    """The taps and the stride of the first axis of a convolution or of its gradient by the kernel."""
    kernel = n.inputs[1].shape if n.prim.name == "conv" else n.shape
    return kernel[0], n.attrs[-4][0]


def _convolution(n: Node) -> Node:
    x, w = n.inputs
    how, (taps, _, channels, outputs) = _how(n), w.shape
    if w.prim.name == "slice":  # a kernel turned for the gradient by the grid: its panels are read many times
        w = ops.identity(w)
    width = PANEL if outputs % PANEL == 0 else LANES
    panels = ops.to_panels(ops.reshape(w, (taps * taps, channels, outputs)), width)
    mixed = ops.mix(ops.reshape(panels, (taps, taps, *panels.shape[1:])), ALGORITHMS[how].kernel)
    p = mixed.shape[0]
    laid = ops.from_panels(ops.reshape(mixed, (p * p, *mixed.shape[2:])), (p, p, channels, outputs))
    return ops.conv_squares(x, laid, *how, n.attrs[1])


def _gradient(n: Node) -> Node:
    (x, ct), how = n.inputs, _how(n)
    return ops.mix(ops.conv_squares_weight(x, ct, *how, n.attrs[2]), transposed(ALGORITHMS[how].kernel))
