"""Convolutions with a 3x3 or 5x5 kernel and many channels on less arithmetic, by Winograd's algorithm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu import ops
from insitu.graph.node import Node, topological
from insitu.ops.mixing import ALGORITHMS, LANES, transposed

#: By the number of taps of an axis, fewest channels on either side that pay for the transformations.
CHANNELS = {3: 64, 5: 32}
#: Fewer positions do not pay for the transformation of the kernel, which is larger than the kernel; its gradient is for many examples.
POSITIONS = {"conv": 49, "conv_weight": 16}
#: Outputs that lie together in a panel of the mixed kernel, where their number allows it.
PANEL = 32


def winograd(outputs: Sequence[Node]) -> list[Node]:
    """Replace convolutions with 3x3 and 5x5 kernels, and their gradients, where that saves time.

    Every 2x2 square of outputs takes 16 products for each pair of channels instead of 36, or 49 instead of 100.

    ::

        %2 = conv(%0, %1, ...): float32[8, 14, 14, 256]

        %2 = reshape(%1, shape=(9, 256, 8, 32)): float32[9, 256, 8, 32]
        %3 = reshape(permute(%2, axes=(0, 2, 1, 3)), ...): float32[3, 3, 8, 256, 32]
        %4 = mix(%3, ...): float32[4, 4, 8, 256, 32]
        %5 = reshape(%4, shape=(16, 8, 256, 32)): float32[16, 8, 256, 32]
        %6 = panels(%5, shape=(4, 4, 256, 256)): float32[4, 4, 256, 256]
        %7 = conv_squares(%0, %6, taps=3, padding=((1, 1), (1, 1))): float32[8, 14, 14, 256]
    """
    made: dict[Node, Node] = {}
    for n in topological(outputs, lambda n: n.memory is not None):
        if n.memory is None and any(made[i] is not i for i in n.inputs):
            made[n] = Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
        else:
            made[n] = n
        if n.memory is None and n.prim.name in POSITIONS and _pays(n):
            made[n] = (_convolution if n.prim.name == "conv" else _gradient)(made[n])
    return [made[n] for n in outputs]


def _pays(n: Node) -> bool:
    """Whether to replace a node; the number of examples does not count, as one alone must give the bits it gives among others."""
    strides, _, dilation, groups = n.attrs[-4:]
    grid, kernel = (n, n.inputs[1].shape) if n.prim.name == "conv" else (n.inputs[1], n.shape)
    taps, sides = kernel[0], kernel[-2:]
    if n.dtype is not dt.float32 or kernel[:-2] != (taps, taps) or (*strides, *dilation, groups) != (1, 1, 1, 1, 1) or taps not in CHANNELS:
        return False
    enough = min(sides) >= CHANNELS[taps] and not any(side % LANES for side in sides)
    return bool(enough and math.prod(grid.shape[1:3]) >= POSITIONS[n.prim.name] and grid.aval.size)


def _convolution(n: Node) -> Node:
    x, w = n.inputs
    taps, (channels, outputs) = w.shape[0], w.shape[2:]
    if w.prim.name == "slice":  # a kernel turned for the gradient by the grid: its panels are read many times
        w = ops.identity(w)
    width = PANEL if outputs % PANEL == 0 else LANES
    panels = ops.to_panels(ops.reshape(w, (taps * taps, channels, outputs)), width)
    mixed = ops.mix(ops.reshape(panels, (taps, taps, *panels.shape[1:])), ALGORITHMS[taps].kernel)
    p = mixed.shape[0]
    laid = ops.from_panels(ops.reshape(mixed, (p * p, *mixed.shape[2:])), (p, p, channels, outputs))
    return ops.conv_squares(x, laid, taps, n.attrs[1])


def _gradient(n: Node) -> Node:
    (x, ct), taps = n.inputs, n.shape[0]
    return ops.mix(ops.conv_squares_weight(x, ct, taps, n.attrs[2]), transposed(ALGORITHMS[taps].kernel))
