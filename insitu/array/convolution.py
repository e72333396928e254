"""Convolution and pooling of grids: signals, pictures, volumes.

Grids have their channels last, ``(batch, *positions, channels)``, or with ``data_format="channels_first"`` second,
``(batch, channels, *positions)``. The names are those of Keras' functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, COUNT, checked
from insitu.arguments.grids import FORMAT, PER_AXIS, Pairs, PerAxis, around, check_output_padding, check_rank, check_window, per_axis, position_axes
from insitu.array.array import Array
from insitu.array.checks import floating, wide
from insitu.array.convert import node_of
from insitu.array.elementwise import operands
from insitu.errors import ShapeError, many_axes
from insitu.graph.node import Node
from insitu.ops.elementwise import promoted
from insitu.ops.rules import check_kind, describe

#: ``"valid"``, ``"same"``, one number for all axes, or for each axis a number or a pair (before, after).
Padding = str | int | Sequence[int | tuple[int, int]]
AROUND = around()


# -- arguments ---------------------------------------------------------------------------------------
def channels_last(x: Node, data_format: str | None) -> Node:
    """A grid with its channels moved to the end, if they are second."""
    return ops.permute(x, (0, *range(2, x.ndim), 1)) if data_format == "channels_first" else x


def channels_back(x: Node, data_format: str | None) -> Node:
    """What `channels_last` did, undone."""
    return ops.permute(x, (0, x.ndim - 1, *range(1, x.ndim - 1))) if data_format == "channels_first" else x


def same_padding(n: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding of one axis with which the result has ``ceil(n / stride)`` positions; the odd one comes after.

    Examples
    --------
    >>> same_padding(5, 2, 1)
    (0, 1)
    """
    total = max((-(-n // stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0)
    return total // 2, total - total // 2


def resolve_padding(
    function: str, padding: Any, extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Pairs:
    """Padding as a pair (before, after) for each axis of positions.

    Raises
    ------
    ArgumentError
        If it is no padding.
    """
    found = around(len(kernel)).check(function, "padding", padding)
    if found == "valid":
        return ((0, 0),) * len(kernel)
    if found == "same":
        return tuple([same_padding(*numbers) for numbers in zip(extents, kernel, strides, dilation, strict=True)])
    if found == "causal":
        return ((dilation[0] * (kernel[0] - 1), 0),)
    pairs: Pairs = found
    return pairs


def _kernel_rank(function: str, kernel: Node, rank: int, axes: str) -> None:
    if kernel.ndim != rank + 2:
        raise ShapeError(
            f"{function} of a grid with {many_axes(rank)} of positions needs a kernel with {rank + 2} axes, "
            f"but it has {kernel.ndim}.", expected=f"({', '.join(f'taps{k}' for k in range(rank))}, {axes})",
            received=f"kernel: {describe(kernel.aval)}", fix="give the kernel one axis of taps for each axis of positions, then its two of channels",
            slug="conv-kernel-rank", argument="kernel",
        )  # fmt: skip


def _check_channels(function: str, x: Node, w: Node, axes: str, at: int, groups: int = 1) -> None:
    """Check that axis ``at`` of a kernel has the channels of a group of the grid, which has them last."""
    channels, each = x.shape[-1], w.shape[at]
    if channels == each * groups:
        return
    fitting = list(w.shape)
    fitting[at] = max(1, channels // groups)
    second = groups == 1 and x.shape[1] == each
    raise ShapeError(
        f"{function}: x has {channels} channels, but the kernel is for {each * groups}{f' ({groups} groups of {each})' if groups > 1 else ''}.",
        expected=f"x: (batch, *positions, channels), kernel: (*taps, {axes})",
        received=f"x: {describe(x.aval)}, kernel: {describe(w.aval)}" + (f", groups={groups}" if groups > 1 else ""),
        fix='the channels of x seem to stand second: pass data_format="channels_first"' if second else f"make a kernel of shape {tuple(fitting)}",
        slug="conv-channels", argument="kernel",
    )  # fmt: skip


def _numbers(function: str, x: Any, kernel: Any) -> tuple[Node, Node]:
    """The nodes of a grid and a kernel, in the dtype in which they meet."""
    a, b = operands(x, kernel)
    for name, node in (("x", a), ("kernel", b)):
        check_kind(function, name, node.aval, "iuf")
    return promoted(a, b)


def _windows(
    function: str, x: Node, taps: Sequence[int], strides: Any, dilation: Any, padding: Any, data_format: str | None
) -> tuple[Sequence[int], Sequence[int], Pairs]:
    """Strides, dilation and padding for each axis of a grid, into which the windows fit."""
    rank = len(taps)
    steps, apart = per_axis(rank).check(function, "strides", strides), per_axis(rank).check(function, "dilation", dilation)
    pairs = resolve_padding(function, padding, [x.shape[k] for k in position_axes(rank, data_format)], taps, steps, apart)
    check_window(function, x.shape, data_format, taps, apart, pairs)
    return steps, apart, pairs


# -- convolution -------------------------------------------------------------------------------------
@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=AROUND, dilation=PER_AXIS, groups=COUNT, data_format=FORMAT)
def conv(
    x: Any, kernel: Any, /, *, strides: int | Sequence[int] = 1, padding: Padding = "valid", dilation: int | Sequence[int] = 1, groups: int = 1,
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """The convolution of grids with a kernel over 1, 2 or 3 axes (a cross-correlation: the kernel is not turned).

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    kernel : Array of shape (*taps, channels // groups, outputs)
        The dtypes of both promote.
    strides, dilation : int or sequence of int
        From one window to the next, and from one tap to the next.
    padding : str, int or sequence
        ``"valid"``: none. ``"same"``: zeros around, so that ``ceil(n / stride)`` positions come out. ``"causal"`` (one axis): zeros
        before. Or numbers: one for all, or for each axis a number or a pair (before, after).
    groups : int
        The channels and the outputs are cut into so many parts, and each part of the outputs sees its part of the channels.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``: where the channels of ``x`` and of the result stand.

    Returns
    -------
    Array of shape (batch, *positions, outputs)
        Every element is one chain of multiply-adds over the taps and channels, in row-major order. But float32 results of 16 or more
        positions under a 3x3 kernel with 64 or more channels and outputs, and of 49 or more under a 2x2 kernel with 64, a 5x5 kernel with
        32, or a 3x3 kernel with stride 2 and 64, multiples of 16 all of them, without other strides, dilation and groups, take Winograd's
        algorithm for squares of 2x2 elements where it leaves at most four fifths of the products: up to half of the arithmetic, and
        rounding errors of the same size. There a NaN or infinity of ``x`` reaches all four elements of each square that sees it.

    Raises
    ------
    ShapeError
        If the axes, the channels or the window do not fit.
    ArgumentError
        If strides, padding, dilation, groups or data_format are none.

    Examples
    --------
    >>> import insitu as si
    >>> picture = si.reshape(si.arange(9.0), (1, 3, 3, 1))
    >>> si.conv(picture, si.ones((2, 2, 1, 1)))[0, :, :, 0]
    Array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    >>> si.conv(picture, si.ones((3, 3, 1, 5)), padding="same", strides=2).shape
    (1, 2, 2, 5)
    """
    a, w = _numbers("conv", x, kernel)
    _kernel_rank("conv", w, check_rank("conv", a.shape, data_format), "channels, outputs")
    grid = channels_last(a, data_format)
    _check_channels("conv", grid, w, "channels // groups, outputs", -2, groups)
    if w.shape[-1] % groups:
        raise ShapeError(
            f"conv: {w.shape[-1]} outputs cannot be cut into {groups} equal groups.", expected=f"a multiple of {groups} outputs",
            received=f"kernel: {describe(w.aval)}, groups={groups}", fix=f"use a number of outputs that {groups} divides", slug="conv-channels",
            argument="kernel",
        )  # fmt: skip
    steps, apart, pairs = _windows("conv", a, w.shape[:-2], strides, dilation, padding, data_format)
    return Array(channels_back(ops.conv(grid, w, steps, pairs, apart, groups), data_format))


@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=AROUND, dilation=PER_AXIS, data_format=FORMAT)
def depthwise_conv(
    x: Any, kernel: Any, /, *, strides: int | Sequence[int] = 1, padding: Padding = "valid", dilation: int | Sequence[int] = 1,
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """A convolution of each channel by itself, with ``multiplier`` kernels each.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    kernel : Array of shape (*taps, channels, multiplier)

    Returns
    -------
    Array of shape (batch, *positions, channels * multiplier)

    Raises
    ------
    ShapeError, ArgumentError
        As `conv`.

    Examples
    --------
    >>> import insitu as si
    >>> si.depthwise_conv(si.ones((1, 4, 4, 3)), si.ones((2, 2, 3, 2))).shape
    (1, 3, 3, 6)
    """
    a, w = node_of(x), node_of(kernel)
    _kernel_rank("depthwise_conv", w, check_rank("depthwise_conv", a.shape, data_format), "channels, multiplier")
    _check_channels("depthwise_conv", channels_last(a, data_format), w, "channels, multiplier", -2)
    channels = w.shape[-2]
    flat = Array(ops.reshape(w, (*w.shape[:-2], 1, channels * w.shape[-1])))
    return conv(x, flat, strides=strides, padding=padding, dilation=dilation, groups=channels, data_format=data_format)


@checked(x=ARRAY, depthwise_kernel=ARRAY, pointwise_kernel=ARRAY, strides=PER_AXIS, padding=AROUND, dilation=PER_AXIS, data_format=FORMAT)
def separable_conv(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, /, *, strides: int | Sequence[int] = 1, padding: Padding = "valid",
    dilation: int | Sequence[int] = 1, data_format: str | None = None,
) -> Array:  # fmt: skip
    """`depthwise_conv`, and then a convolution with windows of one position.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    depthwise_kernel : Array of shape (*taps, channels, multiplier)
    pointwise_kernel : Array of shape (1, ..., channels * multiplier, outputs)

    Returns
    -------
    Array of shape (batch, *positions, outputs)

    Examples
    --------
    >>> import insitu as si
    >>> si.separable_conv(si.ones((1, 4, 4, 3)), si.ones((2, 2, 3, 2)), si.ones((1, 1, 6, 8))).shape
    (1, 3, 3, 8)
    """
    inner = depthwise_conv(x, depthwise_kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format)
    return conv(inner, pointwise_kernel, data_format=data_format)


@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=AROUND, output_padding=PerAxis(0) | None, dilation=PER_AXIS, data_format=FORMAT)
def conv_transpose(
    x: Any, kernel: Any, /, *, strides: int | Sequence[int] = 1, padding: Padding = "valid", output_padding: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1, data_format: str | None = None,
) -> Array:  # fmt: skip
    """The transposed convolution: each position is spread over a window of the result. The gradient of `conv` by its grid.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    kernel : Array of shape (*taps, outputs, channels)
    padding : str
        ``"valid"``: ``(n - 1) * stride + dilation * (taps - 1) + 1`` positions come out, and at least ``n * stride``.
        ``"same"``: ``n * stride``. Or numbers: what is cut off, as in `conv`.
    output_padding : int or sequence of int, optional
        Positions more at the end: the result has ``(n - 1) * stride + reach - before - after + output_padding``, where the reach is
        ``dilation * (taps - 1) + 1``; for "same" ``(n - 1) * stride + reach % 2 + output_padding``, cut off on both sides as in Keras.

    Returns
    -------
    Array of shape (batch, *positions, outputs)

    Raises
    ------
    ShapeError, ArgumentError
        As `conv`; or if ``output_padding`` is not smaller than the stride.

    Examples
    --------
    >>> import insitu as si
    >>> si.conv_transpose(si.ones((1, 2, 1)), si.ones((2, 1, 1)), strides=2)[0, :, 0]
    Array([1., 1., 1., 1.], dtype=float32)
    """
    a, w = _numbers("conv_transpose", x, kernel)
    rank = check_rank("conv_transpose", a.shape, data_format)
    a = channels_last(a, data_format)
    _kernel_rank("conv_transpose", w, rank, "outputs, channels")
    steps, apart = per_axis(rank).check("conv_transpose", "strides", strides), per_axis(rank).check("conv_transpose", "dilation", dilation)
    _check_channels("conv_transpose", a, w, "outputs, channels", -1)
    more = check_output_padding("conv_transpose", output_padding, steps)
    extents, pairs = transposed_extents("conv_transpose", padding, a.shape[1:-1], w.shape[:-2], steps, apart, more)
    made = ops.conv_input(a, w, (a.shape[0], *extents, w.shape[-2]), steps, pairs, apart, 1)
    return Array(channels_back(made, data_format))


def transposed_extents(
    function: str, padding: Any, extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
    more: Sequence[int] | None,
) -> tuple[tuple[int, ...], Pairs]:  # fmt: skip
    """Positions of a transposed convolution's result, and what is cut off before and after: as Keras has them."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if isinstance(padding, str) and padding == "valid":
        if more is None:
            out = [n * s + max(r - s, 0) for n, s, r in zip(extents, strides, reach, strict=True)]
        else:
            out = [(n - 1) * s + r + m for n, s, r, m in zip(extents, strides, reach, more, strict=True)]
        return tuple([max(0, n) for n in out]), ((0, 0),) * len(reach)
    if isinstance(padding, str) and padding == "same":
        if more is None:
            out = [n * s for n, s in zip(extents, strides, strict=True)]
            total = [max(r - s, 0) for r, s in zip(reach, strides, strict=True)]
            return tuple(out), tuple([(t // 2, t - t // 2) for t in total])
        out = [(n - 1) * s + r % 2 + m for n, s, r, m in zip(extents, strides, reach, more, strict=True)]
        before = [max(r - 1 - (r + r % 2 - 1 + m) // 2, 0) for r, m in zip(reach, more, strict=True)]
        after = [max(r - r % 2 - m - b, 0) for r, m, b in zip(reach, more, before, strict=True)]
        return tuple([max(0, n) for n in out]), tuple(zip(before, after, strict=True))
    pairs = resolve_padding(function, padding, extents, kernel, strides, dilation)
    out = [(n - 1) * s + r - a - b + m for n, s, r, (a, b), m in zip(extents, strides, reach, pairs, more or (0,) * len(reach), strict=True)]
    return tuple([max(0, n) for n in out]), pairs


# -- pooling -----------------------------------------------------------------------------------------
def _pooling(
    function: str, x: Any, pool_size: Any, strides: Any, padding: Any, data_format: str | None
) -> tuple[Node, Sequence[int], Sequence[int], Pairs]:
    a = node_of(x)
    check_kind(function, "x", a.aval, "iuf")
    size = per_axis(check_rank(function, a.shape, data_format)).check(function, "pool_size", pool_size)
    steps, _, pairs = _windows(function, a, size, size if strides is None else strides, 1, padding, data_format)
    return channels_last(a, data_format), size, steps, pairs


@checked(x=ARRAY, pool_size=PER_AXIS, strides=PER_AXIS | None, padding=AROUND, data_format=FORMAT)
def max_pool(
    x: Any, pool_size: int | Sequence[int] = 2, /, *, strides: int | Sequence[int] | None = None, padding: Padding = "valid",
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """The greatest element of each window, by channel. NaN wins; the gradient goes to the first of equal ones.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    pool_size : int or sequence of int
        Positions of a window on each axis.
    strides : int or sequence of int, optional
        From one window to the next (default: ``pool_size``).
    padding : str, int or sequence
        As in `conv`; what is added never wins.

    Returns
    -------
    Array of shape (batch, *positions, channels)

    Raises
    ------
    ShapeError, ArgumentError
        As `conv`.

    Examples
    --------
    >>> import insitu as si
    >>> si.max_pool(si.reshape(si.arange(16.0), (1, 4, 4, 1)))[0, :, :, 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    a, size, steps, pairs = _pooling("max_pool", x, pool_size, strides, padding, data_format)
    return Array(channels_back(ops.max_pool(a, size, steps, pairs), data_format))


@checked(x=ARRAY, pool_size=PER_AXIS, strides=PER_AXIS | None, padding=AROUND, data_format=FORMAT)
def average_pool(
    x: Any, pool_size: int | Sequence[int] = 2, /, *, strides: int | Sequence[int] | None = None, padding: Padding = "valid",
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """The mean of each window, by channel; padding does not count. A window that sees nothing else gives NaN.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    pool_size, strides, padding, data_format
        As in `max_pool`.

    Returns
    -------
    Array of shape (batch, *positions, channels), of a floating dtype

    Examples
    --------
    >>> import insitu as si
    >>> si.average_pool(si.reshape(si.arange(4.0), (1, 2, 2, 1)), 2, strides=1, padding="same")[0, :, :, 0]
    Array([[1.5, 2. ],
           [2.5, 3. ]], dtype=float32)
    """
    a, size, steps, pairs = _pooling("average_pool", x, pool_size, strides, padding, data_format)
    given = floating(a)
    a = wide(given)
    seen = ops.windows(ops.pad(a, [(0, 0), *pairs, (0, 0)]), size, steps)
    rank = len(size)
    total = ops.reduce_sum(seen, range(1 + rank, 1 + 2 * rank))
    return Array(channels_back(ops.cast(ops.div(total, _counts(total, a.shape[1:-1], size, steps, pairs)), given.dtype), data_format))


def _counts(total: Node, extents: Sequence[int], size: Sequence[int], strides: Sequence[int], padding: Pairs) -> Node:
    """How many positions of each window lie in the grid."""
    if not any(a or b for a, b in padding):
        return ops.constant(float(math.prod(size)), total.dtype)
    counts = ops.constant(1.0, total.dtype)
    for k, (n, m, t, s, (before, _)) in enumerate(zip(extents, total.shape[1:-1], size, strides, padding, strict=True)):
        start = ops.sub(ops.mul(ops.iota((m,), 0, dt.int64), ops.constant(s, dt.int64)), ops.constant(before, dt.int64))
        stop = ops.min_(ops.add(start, ops.constant(t, dt.int64)), ops.constant(n, dt.int64))
        inside = ops.max_(ops.sub(stop, ops.max_(start, ops.constant(0, dt.int64))), ops.constant(0, dt.int64))
        inside = ops.cast(inside, total.dtype)
        counts = ops.mul(counts, ops.reshape(inside, (m, *[1] * (len(extents) - k))))
    return counts


@checked(x=ARRAY, output_size=PER_AXIS, data_format=FORMAT)
def adaptive_average_pool(x: Any, output_size: int | Sequence[int], /, *, data_format: str | None = None) -> Array:
    """Means over windows that cut each axis into ``output_size`` parts: part i goes from ``floor(i*n/out)`` to ``ceil((i+1)*n/out)``.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    output_size : int or sequence of int

    Returns
    -------
    Array of shape (batch, *output_size, channels)

    Examples
    --------
    >>> import insitu as si
    >>> si.adaptive_average_pool(si.reshape(si.arange(5.0), (1, 5, 1)), 2)[0, :, 0]
    Array([1., 3.], dtype=float32)
    """
    a = node_of(x)
    check_kind("adaptive_average_pool", "x", a.aval, "iuf")
    wanted = per_axis(check_rank("adaptive_average_pool", a.shape, data_format)).check("adaptive_average_pool", "output_size", output_size)
    given = floating(a)
    a = channels_last(wide(given), data_format)
    for axis, out in enumerate(wanted, 1):
        n = a.shape[axis]
        starts = [k * n // out for k in range(out)]
        counts = [-(-(k + 1) * n // out) - start for k, start in enumerate(starts)]
        parts = [
            ops.reduce_sum(
                ops.slice_(a, [s if k == axis else 0 for k in range(a.ndim)], [s + c if k == axis else m for k, m in enumerate(a.shape)]), axis
            )
            for s, c in zip(starts, counts, strict=True)
        ]
        joined = ops.concat([ops.reshape(p, (*a.shape[:axis], 1, *a.shape[axis + 1 :])) for p in parts], axis)
        each = ops.concat([ops.reshape(ops.constant(float(c), a.dtype), (1,)) for c in counts], 0)
        a = ops.div(joined, ops.reshape(each, (out, *[1] * (a.ndim - axis - 1))))
    return Array(channels_back(ops.cast(a, given.dtype), data_format))


@checked(x=ARRAY, size=PER_AXIS, strides=PER_AXIS | None, padding=AROUND, dilation=PER_AXIS, data_format=FORMAT)
def extract_patches(
    x: Any, size: int | Sequence[int], /, *, strides: int | Sequence[int] | None = None, padding: Padding = "valid",
    dilation: int | Sequence[int] = 1, data_format: str | None = None,
) -> Array:  # fmt: skip
    """The windows of a grid, each as one row: its taps in row-major order, and the channels of each.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    size : int or sequence of int
        Positions of a window on each axis.
    strides : int or sequence of int, optional
        From one window to the next (default: ``size``).

    Returns
    -------
    Array of shape (batch, *positions, taps * channels)

    Examples
    --------
    >>> import insitu as si
    >>> si.extract_patches(si.reshape(si.arange(16.0), (1, 4, 4, 1)), 2)[0, 0]
    Array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]], dtype=float32)
    """
    a = node_of(x)
    rank = check_rank("extract_patches", a.shape, data_format)
    taps = per_axis(rank).check("extract_patches", "size", size)
    steps, apart, pairs = _windows("extract_patches", a, taps, taps if strides is None else strides, dilation, padding, data_format)
    a = channels_last(a, data_format)
    seen = ops.windows(ops.pad(a, [(0, 0), *pairs, (0, 0)]), taps, steps, apart)
    return Array(channels_back(ops.reshape(seen, (*seen.shape[: 1 + rank], math.prod(taps) * a.shape[-1])), data_format))


__all__ = ["adaptive_average_pool", "average_pool", "conv", "conv_transpose", "depthwise_conv", "extract_patches", "max_pool", "separable_conv"]
