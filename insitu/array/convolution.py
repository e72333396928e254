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
from insitu.arguments import ARRAY, COUNT, Checked, Choice, checked
from insitu.array.array import Array
from insitu.array.checks import choice_error, integer_argument, whole
from insitu.array.convert import node_of
from insitu.array.elementwise import operands
from insitu.errors import ArgumentError, ShapeError
from insitu.graph.node import Aval, Node
from insitu.ops.rules import check_kind, describe

#: ``"valid"``, ``"same"``, one number for all axes, or for each axis a number or a pair (before, after).
Padding = str | int | Sequence[int | tuple[int, int]]
Pairs = tuple[tuple[int, int], ...]

FORMATS = ("channels_last", "channels_first")
FORMAT = Choice(*FORMATS)
PER_AXIS = Checked("a whole number, or one for each axis of positions", (1,), (0, -1, (2, 2), (1, 1, 1), (0,), "valid", [[1]]))
PADDING = Checked(
    '"valid", "same", a whole number, or one or a pair for each axis of positions', ("valid",), ("full", 0, 1, -1, ((0, 1), (1, 0)), ((1,),))
)
_PLACES = {1: "(batch, steps, channels)", 2: "(batch, height, width, channels)", 3: "(batch, depth, height, width, channels)"}


# -- arguments ---------------------------------------------------------------------------------------
def per_axis(function: str, name: str, value: Any, rank: int, low: int = 1) -> tuple[int, ...]:
    """One whole number for each axis of positions, from one for all or a sequence.

    Raises
    ------
    ArgumentError
        If it is neither, or a number is smaller than ``low``.
    """
    if whole(value) is not None:
        return (integer_argument(function, name, value, low),) * rank
    if isinstance(value, (tuple, list)) and len(value) == rank:
        return tuple([integer_argument(function, name, v, low) for v in value])
    raise ArgumentError(
        f'{function} "{name}" must be a whole number, or {rank} of them.', expected=f"{name}=2, or {name}={(2,) * rank}", received=repr(value),
        fix=f"give one number for each of the {rank} axes of positions: {name}={(2,) * rank}" if rank > 1 else f"pass {name}=2",
        slug="conv-per-axis", argument=name,
    )  # fmt: skip


def checked_format(function: str, data_format: Any) -> str:
    """``"channels_last"`` (also for None) or ``"channels_first"``.

    Raises
    ------
    ArgumentError
        If it is something else.
    """
    if data_format is None:
        return FORMATS[0]
    if data_format not in FORMATS:
        raise choice_error(function, "data_format", data_format, FORMATS)
    return str(data_format)


def channels_last(x: Node, data_format: str) -> Node:
    """A grid with its channels moved to the end, if they are second."""
    return ops.permute(x, (0, *range(2, x.ndim), 1)) if data_format == "channels_first" else x


def channels_back(x: Node, data_format: str) -> Node:
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
    rank = len(kernel)
    named = padding if isinstance(padding, str) else None
    if named == "valid":
        return ((0, 0),) * rank
    if named == "same":
        return tuple([same_padding(*numbers) for numbers in zip(extents, kernel, strides, dilation, strict=True)])
    if named == "causal" and rank == 1:
        return ((dilation[0] * (kernel[0] - 1), 0),)
    number = whole(padding)
    each = (padding,) * rank if number is not None else tuple(padding) if isinstance(padding, (tuple, list)) else ()
    pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in each]
    good = len(pairs) == rank and all(len(p) == 2 and all(w is not None and 0 <= w < 2**31 for w in map(whole, p)) for p in pairs)
    if not good:
        names = '"valid", "same"' + (', "causal"' if rank == 1 else "")
        raise ArgumentError(
            f'{function} "padding" cannot be {padding!r}.', expected=f"{names}, a number, or for each axis a number or a pair (before, after)",
            received=f"padding={padding!r}", fix='padding="same" keeps the extents, padding="valid" adds nothing',
            slug="conv-padding", argument="padding",
        )  # fmt: skip
    return tuple([(int(a), int(b)) for a, b in pairs])


def grid_argument(function: str, x: Node, data_format: str, ranks: Sequence[int] = (1, 2, 3)) -> int:
    """The number of axes of positions of a grid.

    Raises
    ------
    ShapeError
        If the array has too few or too many axes.
    """
    if x.ndim - 2 in ranks:
        return x.ndim - 2
    rank = min(ranks, key=lambda r: abs(r + 2 - x.ndim))
    wanted = _PLACES[rank] if data_format == FORMATS[0] else _PLACES[rank].replace(", channels", "").replace("(batch, ", "(batch, channels, ")
    missing = rank + 2 - x.ndim
    if missing == 1:
        last = data_format == FORMATS[0]
        fix = f"add the axis of channels: x[..., None]  →  {(*x.shape, 1)}" if last else f"add it: x[:, None]  →  {(x.shape[0], 1, *x.shape[1:])}"
    else:
        fix = "merge or leave out axes with reshape" if missing < 0 else f"reshape x to {wanted}"
    raise ShapeError(
        f"{function} needs a grid of shape {wanted}, but x has {x.ndim} ax{'i' if x.ndim == 1 else 'e'}s.", expected=f"{wanted}, {rank + 2} axes",
        received=f"x: {describe(x.aval)}", fix=fix, slug="conv-rank", argument="x",
    )  # fmt: skip


def _kernel_rank(function: str, kernel: Node, rank: int, axes: str) -> None:
    if kernel.ndim != rank + 2:
        raise ShapeError(
            f"{function} of a grid with {rank} ax{'i' if rank == 1 else 'e'}s of positions needs a kernel with {rank + 2} axes, "
            f"but it has {kernel.ndim}.", expected=f"({', '.join(f'taps{k}' for k in range(rank))}, {axes})",
            received=f"kernel: {describe(kernel.aval)}", fix="give the kernel one axis of taps for each axis of positions, then its two of channels",
            slug="conv-kernel-rank", argument="kernel",
        )  # fmt: skip


def _floating(function: str, x: Any, kernel: Any) -> tuple[Node, Node]:
    a, b = operands(x, kernel)
    for name, node in (("x", a), ("kernel", b)):
        check_kind(function, name, node.aval, "iuf")
    return a, b


def _positions(function: str, x: Aval, taps: Sequence[int], dilation: Sequence[int], padding: Pairs) -> None:
    """Refuse windows that do not fit into the padded grid."""
    for k, (n, t, d, (a, b)) in enumerate(zip(x.shape[1:-1], taps, dilation, padding, strict=True)):
        reach = d * (t - 1) + 1
        if n + a + b < reach and n:
            raise ShapeError(
                f"{function}: the window covers {reach} positions, but axis {k + 1} of x has {n + a + b}{' with its padding' if a + b else ''}.",
                expected=f"at least {reach} positions on axis {k + 1}", received=f"x: {describe(x)}, window {tuple(taps)}"
                + (f", dilation {tuple(dilation)}" if max(dilation) > 1 else ""),
                fix='use a smaller window, larger pictures, or padding="same"', slug="conv-window", argument="x",
            )  # fmt: skip


# -- convolution -------------------------------------------------------------------------------------
@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=PADDING, dilation=PER_AXIS, groups=COUNT, data_format=FORMAT | None)
def conv(
    x: Any, kernel: Any, /, *, strides: int | Sequence[int] = 1, padding: Padding = "valid", dilation: int | Sequence[int] = 1, groups: int = 1,
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """The convolution of grids with a kernel over 1, 2 or 3 axes (a cross-correlation: the kernel is not turned).

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    kernel : Array of shape (*taps, channels // groups, outputs)
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
        Every element is one chain of multiply-adds over the taps and channels, in row-major order.

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
    a, w = _floating("conv", x, kernel)
    places = checked_format("conv", data_format)
    rank = grid_argument("conv", a, places)
    a = channels_last(a, places)
    _kernel_rank("conv", w, rank, "channels, outputs")
    steps, apart = per_axis("conv", "strides", strides, rank), per_axis("conv", "dilation", dilation, rank)
    parts = groups
    _check_groups("conv", a, w, parts)
    pairs = resolve_padding("conv", padding, a.shape[1:-1], w.shape[:-2], steps, apart)
    _positions("conv", a.aval, w.shape[:-2], apart, pairs)
    return Array(channels_back(ops.conv(a, w, steps, pairs, apart, parts), places))


def _check_groups(function: str, x: Node, w: Node, groups: int) -> None:
    channels, each, outputs = x.shape[-1], w.shape[-2], w.shape[-1]
    if channels == each * groups and outputs % groups == 0:
        return
    if channels != each * groups:
        what = f"{function}: x has {channels} channels, but the kernel is for {each * groups}" + (
            f" ({groups} groups of {each})." if groups > 1 else "."
        )
        fix = f"make a kernel of shape {(*w.shape[:-2], max(1, channels // groups), outputs)}"
        if groups == 1 and x.ndim > 2 and x.shape[1] == each:
            fix = 'the channels of x seem to stand second: pass data_format="channels_first"'
    else:
        what = f"{function}: {outputs} outputs cannot be cut into {groups} equal groups."
        fix = f"use a number of outputs that {groups} divides"
    raise ShapeError(
        what, expected="x: (batch, *positions, channels), kernel: (*taps, channels // groups, outputs)",
        received=f"x: {describe(x.aval)}, kernel: {describe(w.aval)}, groups={groups}", fix=fix, slug="conv-channels", argument="kernel",
    )  # fmt: skip


@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=PADDING, dilation=PER_AXIS, data_format=FORMAT | None)
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
    w = node_of(kernel)
    a = node_of(x)
    places = checked_format("depthwise_conv", data_format)
    rank = grid_argument("depthwise_conv", a, places)
    _kernel_rank("depthwise_conv", w, rank, "channels, multiplier")
    channels = a.shape[-1 if places == FORMATS[0] else 1]
    if w.shape[-2] != channels:
        raise ShapeError(
            f"depthwise_conv: x has {channels} channels, but the kernel is for {w.shape[-2]}.", expected="kernel: (*taps, channels, multiplier)",
            received=f"x: {describe(a.aval)}, kernel: {describe(w.aval)}", fix=f"make a kernel of shape {(*w.shape[:-2], channels, w.shape[-1])}",
            slug="conv-channels", argument="kernel",
        )  # fmt: skip
    flat = Array(ops.reshape(w, (*w.shape[:-2], 1, channels * w.shape[-1])))
    return conv(x, flat, strides=strides, padding=padding, dilation=dilation, groups=channels, data_format=places)


@checked(x=ARRAY, depthwise_kernel=ARRAY, pointwise_kernel=ARRAY, strides=PER_AXIS, padding=PADDING, dilation=PER_AXIS, data_format=FORMAT | None)
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


@checked(x=ARRAY, kernel=ARRAY, strides=PER_AXIS, padding=PADDING, output_padding=PER_AXIS | None, dilation=PER_AXIS, data_format=FORMAT | None)
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
    a, w = _floating("conv_transpose", x, kernel)
    places = checked_format("conv_transpose", data_format)
    rank = grid_argument("conv_transpose", a, places)
    a = channels_last(a, places)
    _kernel_rank("conv_transpose", w, rank, "outputs, channels")
    steps, apart = per_axis("conv_transpose", "strides", strides, rank), per_axis("conv_transpose", "dilation", dilation, rank)
    if a.shape[-1] != w.shape[-1]:
        raise ShapeError(
            f"conv_transpose: x has {a.shape[-1]} channels, but the kernel is for {w.shape[-1]}.", expected="kernel: (*taps, outputs, channels)",
            received=f"x: {describe(a.aval)}, kernel: {describe(w.aval)}", fix=f"make a kernel of shape {(*w.shape[:-1], a.shape[-1])}",
            slug="conv-channels", argument="kernel",
        )  # fmt: skip
    more = None if output_padding is None else per_axis("conv_transpose", "output_padding", output_padding, rank, 0)
    for extra, step in zip(more or (), steps, strict=False):
        if extra >= step:
            raise ArgumentError(
                f'conv_transpose "output_padding" must be smaller than the stride {step}.', expected=f"0 to {step - 1}",
                received=repr(output_padding), fix="leave output_padding out", slug="conv-output-padding", argument="output_padding",
            )  # fmt: skip
    extents, pairs = transposed_extents("conv_transpose", padding, a.shape[1:-1], w.shape[:-2], steps, apart, more)
    made = ops.conv_input(a, w, (a.shape[0], *extents, w.shape[-2]), steps, pairs, apart, 1)
    return Array(channels_back(made, places))


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
) -> tuple[Node, tuple[int, ...], tuple[int, ...], Pairs, str]:
    a = node_of(x)
    check_kind(function, "x", a.aval, "iuf")
    places = checked_format(function, data_format)
    rank = grid_argument(function, a, places)
    a = channels_last(a, places)
    size = per_axis(function, "pool_size", pool_size, rank)
    steps = size if strides is None else per_axis(function, "strides", strides, rank)
    pairs = resolve_padding(function, padding, a.shape[1:-1], size, steps, (1,) * rank)
    _positions(function, a.aval, size, (1,) * rank, pairs)
    return a, size, steps, pairs, places


@checked(x=ARRAY, pool_size=PER_AXIS, strides=PER_AXIS | None, padding=PADDING, data_format=FORMAT | None)
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
    a, size, steps, pairs, places = _pooling("max_pool", x, pool_size, strides, padding, data_format)
    return Array(channels_back(ops.max_pool(a, size, steps, pairs), places))


@checked(x=ARRAY, pool_size=PER_AXIS, strides=PER_AXIS | None, padding=PADDING, data_format=FORMAT | None)
def average_pool(
    x: Any, pool_size: int | Sequence[int] = 2, /, *, strides: int | Sequence[int] | None = None, padding: Padding = "valid",
    data_format: str | None = None,
) -> Array:  # fmt: skip
    """The mean of each window, by channel; padding does not count.

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
    a, size, steps, pairs, places = _pooling("average_pool", x, pool_size, strides, padding, data_format)
    a = a if a.dtype.is_float else ops.cast(a, dt.float32)
    seen = ops.windows(ops.pad(a, [(0, 0), *pairs, (0, 0)]), size, steps)
    rank = len(size)
    total = ops.reduce_sum(seen, range(1 + rank, 1 + 2 * rank))
    return Array(channels_back(ops.div(total, _counts(total, a.shape[1:-1], size, steps, pairs)), places))


def _counts(total: Node, extents: Sequence[int], size: Sequence[int], strides: Sequence[int], padding: Pairs) -> Node:
    """How many positions of each window lie in the grid."""
    if not any(a or b for a, b in padding):
        return ops.constant(float(math.prod(size)), total.dtype)
    counts = ops.constant(1.0, total.dtype)
    for k, (n, m, t, s, (before, _)) in enumerate(zip(extents, total.shape[1:-1], size, strides, padding, strict=True)):
        start = ops.sub(ops.mul(ops.iota((m,), 0, dt.int64), ops.constant(s, dt.int64)), ops.constant(before, dt.int64))
        stop = ops.min_(ops.add(start, ops.constant(t, dt.int64)), ops.constant(n, dt.int64))
        inside = ops.cast(ops.sub(stop, ops.max_(start, ops.constant(0, dt.int64))), total.dtype)
        counts = ops.mul(counts, ops.reshape(inside, (m, *[1] * (len(extents) - k))))
    return counts


@checked(x=ARRAY, output_size=PER_AXIS, data_format=FORMAT | None)
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
    places = checked_format("adaptive_average_pool", data_format)
    rank = grid_argument("adaptive_average_pool", a, places)
    a = channels_last(a if a.dtype.is_float else ops.cast(a, dt.float32), places)
    for axis, out in enumerate(per_axis("adaptive_average_pool", "output_size", output_size, rank), 1):
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
        each = ops.concat([ops.reshape(ops.constant(float(max(c, 1)), a.dtype), (1,)) for c in counts], 0)
        a = ops.div(joined, ops.reshape(each, (out, *[1] * (a.ndim - axis - 1))))
    return Array(channels_back(a, places))


@checked(x=ARRAY, size=PER_AXIS, strides=PER_AXIS | None, padding=PADDING, dilation=PER_AXIS, data_format=FORMAT | None)
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
    places = checked_format("extract_patches", data_format)
    rank = grid_argument("extract_patches", a, places)
    a = channels_last(a, places)
    taps, apart = per_axis("extract_patches", "size", size, rank), per_axis("extract_patches", "dilation", dilation, rank)
    steps = taps if strides is None else per_axis("extract_patches", "strides", strides, rank)
    pairs = resolve_padding("extract_patches", padding, a.shape[1:-1], taps, steps, apart)
    _positions("extract_patches", a.aval, taps, apart, pairs)
    seen = ops.windows(ops.pad(a, [(0, 0), *pairs, (0, 0)]), taps, steps, apart)
    return Array(channels_back(ops.reshape(seen, (*seen.shape[: 1 + rank], math.prod(taps) * a.shape[-1])), places))


__all__ = ["adaptive_average_pool", "average_pool", "conv", "conv_transpose", "depthwise_conv", "extract_patches", "max_pool", "separable_conv"]
