"""Convolution, pooling, patches and resizing against loops written out in NumPy; derivatives of first and second order against differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError, UserError

RNG = np.random.default_rng(7)


# -- references: one loop for each position and tap -----------------------------------------------------
def padded_pairs(padding, extents, taps, strides, dilation):
    if padding == "valid":
        return [(0, 0)] * len(taps)
    if padding == "causal":
        return [(dilation[0] * (taps[0] - 1), 0)]
    if padding == "same":
        totals = [max(0, (math.ceil(n / s) - 1) * s + d * (t - 1) + 1 - n) for n, t, s, d in zip(extents, taps, strides, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) if isinstance(p, int) else p for p in ([padding] * len(taps) if isinstance(padding, int) else padding)]


def each(value, rank):
    return (value,) * rank if isinstance(value, int) else tuple(value)


def window_places(extents, taps, strides, padding, dilation):
    """For each output position: its index, and for each tap its index and the input position, which may lie outside."""
    counts = [max(0, (n + a + b - d * (t - 1) - 1) // s + 1) for n, t, s, (a, b), d in zip(extents, taps, strides, padding, dilation, strict=True)]
    for out in np.ndindex(*counts):
        inner = []
        for tap in np.ndindex(*taps):
            at = tuple(o * s + t * d - a for o, s, t, d, (a, _) in zip(out, strides, tap, dilation, padding, strict=True))
            inner.append((tap, at if all(0 <= p < n for p, n in zip(at, extents, strict=True)) else None))
        yield counts, out, inner


def conv_loops(x, w, strides=1, padding="valid", dilation=1, groups=1):
    rank = x.ndim - 2
    extents, taps = x.shape[1:-1], w.shape[:rank]
    strides, dilation = each(strides, rank), each(dilation, rank)
    pairs = padded_pairs(padding, extents, taps, strides, dilation)
    inputs, outputs = x.shape[-1] // groups, w.shape[-1] // groups
    made = None
    for counts, out, inner in window_places(extents, taps, strides, pairs, dilation):
        if made is None:
            made = np.zeros((len(x), *counts, w.shape[-1]))
        for tap, at in inner:
            if at is None:
                continue
            for g in range(groups):
                part = x[(slice(None), *at, slice(g * inputs, (g + 1) * inputs))]
                made[(slice(None), *out, slice(g * outputs, (g + 1) * outputs))] += part @ w[tap][:, g * outputs : (g + 1) * outputs]
    return made


def transpose_loops(x, w, strides, padding, output_padding, dilation):
    rank = x.ndim - 2
    taps, strides, dilation = w.shape[:rank], each(strides, rank), each(dilation, rank)
    reach = [d * (t - 1) + 1 for t, d in zip(taps, dilation, strict=True)]
    more = [None] * rank if output_padding is None else each(output_padding, rank)
    before, lengths = [], []
    for n, s, r, m in zip(x.shape[1:-1], strides, reach, more, strict=True):
        if padding == "valid":
            before.append(0)
            lengths.append(max((n - 1) * s + r, n * s) if m is None else (n - 1) * s + r + m)
        elif m is None:
            before.append(max(r - s, 0) // 2)
            lengths.append(n * s)
        else:  # as Keras cuts it on JAX
            before.append(max(0, r - 1 - math.ceil((r + r % 2 - 2 + m) / 2)))
            lengths.append((n - 1) * s + r % 2 + m)
    made = np.zeros((len(x), *lengths, w.shape[-2]))
    for at in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(*taps):
            to = tuple(a * s + t * d - b for a, s, t, d, b in zip(at, strides, tap, dilation, before, strict=True))
            if all(0 <= p < n for p, n in zip(to, lengths, strict=True)):
                made[(slice(None), *to)] += x[(slice(None), *at)] @ w[tap].T
    return made


def pool_loops(x, size, strides, padding, how):
    rank = x.ndim - 2
    size = each(size, rank)
    strides = size if strides is None else each(strides, rank)
    extents, ones = x.shape[1:-1], (1,) * rank
    made = None
    for counts, out, inner in window_places(extents, size, strides, padded_pairs(padding, extents, size, strides, ones), ones):
        if made is None:
            made = np.zeros((len(x), *counts, x.shape[-1]))
        made[(slice(None), *out)] = how(np.stack([x[(slice(None), *at)] for _, at in inner if at is not None]), axis=0)
    return made


def drawn(*shape):
    return RNG.standard_normal(shape)


def both_formats(function, x, *more, **options):
    """The result, after a look that the one with channels second is the same."""
    got = np.asarray(function(si.asarray(x), *more, **options))
    first = np.asarray(function(si.asarray(np.moveaxis(x, -1, 1)), *more, **options, data_format="channels_first"))
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), got, rtol=1e-12, atol=1e-12)
    return got


CONVOLUTIONS = [
    ((2, 7, 3), (3, 3, 4), {}),
    ((2, 8, 3), (3, 3, 4), {"padding": "causal", "dilation": 2, "strides": 2}),
    ((2, 7, 6, 3), (3, 2, 3, 5), {"padding": "same"}),
    ((1, 9, 8, 2), (3, 2, 2, 3), {"padding": ((2, 1), (0, 3)), "strides": (1, 2), "dilation": (2, 3)}),
    ((2, 8, 7, 3), (2, 1, 3, 4), {"strides": (3, 4)}),
    ((2, 5, 5, 4), (1, 1, 4, 6), {"strides": 2, "padding": 1}),
    ((2, 5, 6, 4), (3, 2, 2, 6), {"groups": 2, "padding": "same", "strides": 2}),
    ((2, 5, 6, 6), (3, 3, 2, 3), {"groups": 3, "dilation": 2, "padding": 2}),
    ((1, 5, 4, 4), (2, 3, 1, 8), {"groups": 4, "padding": "same"}),
    ((1, 3, 4, 5, 2), (2, 3, 2, 2, 3), {"padding": "same", "strides": (1, 2, 1)}),
    ((1, 3, 3, 40), (3, 3, 40, 33), {"padding": "same"}),
    ((0, 5, 5, 2), (3, 3, 2, 3), {}),
    ((2, 7, 5, 4), (3, 3, 4, 6), {"padding": "same", "strides": 2}),
    ((2, 9, 7, 3), (3, 2, 3, 2), {"padding": ((1, 2), (2, 0)), "strides": 3}),
    ((2, 6, 7, 4), (2, 2, 2, 4), {"strides": (2, 3), "groups": 2}),
    ((0, 5, 6, 2), (3, 3, 2, 3), {"padding": "same", "strides": 2}),
]


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS)
def test_convolution_is_sums_over_windows(x, w, options):
    a, k = drawn(*x), drawn(*w)
    got = both_formats(si.conv, a, k, **options)
    want = conv_loops(a, k, **options)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8"])
def test_convolution_keeps_the_dtype(dtype):
    a, k = [np.rint(v * 2).astype(dtype) if dtype[0] != "f" else v.astype(dtype) for v in (abs(drawn(2, 6, 5, 3)), abs(drawn(3, 3, 3, 4)))]
    got = si.conv(si.asarray(a), si.asarray(k), padding="same")
    assert got.dtype.name == dtype
    np.testing.assert_allclose(got, conv_loops(a.astype(float), k.astype(float), padding="same"), rtol={"float16": 5e-3}.get(dtype, 2e-6))


@pytest.mark.parametrize(
    ("grid", "kernel", "met"), [("uint8", "float32", "float32"), ("float32", "float64", "float64"), ("float16", "float32", "float32")]
)
def test_the_dtypes_of_grid_and_kernel_promote(grid, kernel, met):
    a, k = np.rint(abs(drawn(2, 6, 5, 3)) * 2).astype(grid), drawn(3, 2, 3, 4).astype(kernel)
    plain = conv_loops(a.astype(float), k.astype(float))
    got = si.conv(a, k)
    assert got.dtype.name == met
    np.testing.assert_allclose(got, plain, rtol=1e-5, atol=1e-5)
    one = si.depthwise_conv(a, k[..., :1])
    assert one.dtype.name == met
    turned = si.conv_transpose(a, np.moveaxis(k, -1, -2))
    assert turned.dtype.name == met
    np.testing.assert_allclose(
        turned, transpose_loops(a.astype(float), np.moveaxis(k, -1, -2).astype(float), 1, "valid", None, 1), rtol=1e-5, atol=1e-5
    )


def directional(function, x, order=2):
    """Compare derivatives of a function of one array with differences, along a drawn direction."""
    towards, step = drawn(*x.shape), 1e-5
    up, down = si.asarray(x + step * towards), si.asarray(x - step * towards)
    slope = si.compile(si.grad(function))
    got = np.asarray(slope(si.asarray(x)))
    np.testing.assert_allclose(np.sum(got * towards), (float(function(up)) - float(function(down))) / (2 * step), rtol=1e-6, atol=1e-6)
    if order > 1:
        curve = si.compile(si.grad(lambda v: si.sum(si.grad(function)(v) * towards)))(si.asarray(x))
        want = (np.asarray(slope(up)) - np.asarray(slope(down))) / (2 * step)
        np.testing.assert_allclose(curve, want, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(want).max(initial=0)))


@pytest.mark.parametrize(("x", "w", "options"), [CONVOLUTIONS[k] for k in (1, 3, 4, 5, 6, 8, 12, 13, 14, 15)])
def test_derivatives_of_convolution(x, w, options):
    a, k = drawn(*x) / 2, drawn(*w) / 2
    directional(lambda v: si.sum(si.sin(si.conv(v, k, **options))), a)
    directional(lambda v: si.sum(si.sin(si.conv(a, v, **options))), k)


def test_threads_do_not_change_a_bit_of_the_gradient_of_a_strided_convolution(monkeypatch):
    x, w, v = [si.asarray(drawn(*shape).astype("float32")) for shape in ((3, 29, 30, 24), (3, 3, 24, 40), (1, 1, 24, 40))]
    slope = si.grad(lambda x: si.sum((si.conv(si.nn.activations.relu(x), w, strides=2, padding="same") + si.conv(x, v, strides=2)) ** 2))
    found = set()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(si.config, "threads", threads)
        found.add(np.asarray(si.compile(slope)(x)).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("options", [{}, {"padding": "same", "strides": 2}, {"dilation": (1, 2), "padding": 1}])
def test_depthwise_and_separable_convolution_are_made_of_single_channels(options):
    a, k, point = drawn(2, 6, 7, 3), drawn(3, 2, 3, 2), drawn(1, 1, 6, 5)
    want = np.concatenate([conv_loops(a[..., c : c + 1], k[:, :, c : c + 1], **options) for c in range(3)], axis=-1)
    np.testing.assert_allclose(both_formats(si.depthwise_conv, a, k, **options), want, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(both_formats(si.separable_conv, a, k, point, **options), conv_loops(want, point), rtol=1e-11, atol=1e-11)


TRANSPOSED = [
    ((2, 5, 3), (3, 4, 3), {"strides": 2}),
    ((2, 4, 5, 3), (3, 2, 4, 3), {}),
    ((2, 4, 5, 3), (3, 4, 2, 3), {"strides": (2, 3), "padding": "same"}),
    ((2, 3, 4, 2), (2, 2, 3, 2), {"strides": 3}),
    ((2, 3, 4, 2), (3, 5, 3, 2), {"strides": 2, "output_padding": (1, 0)}),
    ((2, 3, 4, 2), (4, 5, 3, 2), {"strides": (3, 2), "output_padding": (2, 1), "padding": "same"}),
    ((1, 3, 4, 2), (2, 3, 3, 2), {"dilation": 2, "padding": "same"}),
    ((1, 2, 3, 2, 2), (2, 1, 3, 3, 2), {"strides": (2, 1, 2)}),
]


@pytest.mark.parametrize(("x", "w", "options"), TRANSPOSED)
def test_transposed_convolution_spreads_each_position(x, w, options):
    a, k = drawn(*x), drawn(*w)
    given = {"strides": 1, "padding": "valid", "output_padding": None, "dilation": 1, **options}
    want = transpose_loops(a, k, **given)
    got = both_formats(si.conv_transpose, a, k, **options)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("x", "w", "options"), [TRANSPOSED[k] for k in (0,)])
def test_derivatives_of_transposed_convolution(x, w, options):
    a, k = drawn(*x) / 2, drawn(*w) / 2
    directional(lambda v: si.sum(si.sin(si.conv_transpose(v, k, **options))), a)
    directional(lambda v: si.sum(si.sin(si.conv_transpose(a, v, **options))), k)


@pytest.mark.parametrize("padding", [0, 1, ((1, 2), (0, 1))])
def test_transposed_convolution_is_the_gradient_of_convolution(padding):
    x, k = drawn(1, 7, 8, 3), drawn(3, 2, 3, 4)
    y = si.conv(x, k, strides=2, padding=padding)
    want = si.grad(lambda v: si.sum(si.conv(v, k, strides=2, padding=padding) * y))(si.asarray(x))
    got = si.conv_transpose(y, k, strides=2, padding=padding)
    np.testing.assert_allclose(got, np.asarray(want)[:, : got.shape[1], : got.shape[2]], rtol=1e-11, atol=1e-11)


POOLS = [
    ((2, 7, 3), 2, {}),
    ((2, 7, 6, 3), 2, {}),
    ((2, 8, 7, 3), 3, {"strides": 2, "padding": "same"}),
    ((2, 8, 7, 2), (2, 1), {"strides": (3, 2)}),
    ((2, 6, 5, 2), (2, 3), {"strides": 1, "padding": ((1, 0), (1, 2))}),
    ((1, 4, 3, 5, 2), (2, 1, 3), {"padding": "same"}),
    ((0, 6, 5, 2), 2, {}),
]


@pytest.mark.parametrize(("x", "size", "options"), POOLS)
def test_pools_of_windows(x, size, options):
    a = drawn(*x)
    given = {"strides": None, "padding": "valid", **options}
    for function, how in ((si.max_pool, np.max), (si.average_pool, np.mean)):
        want = pool_loops(a, size, how=how, **given)
        got = both_formats(function, a, size, **options)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("x", "size", "options"), [POOLS[k] for k in (2, 4)])
def test_derivatives_of_pools(x, size, options):
    a = RNG.permutation(math.prod(x)).reshape(x) / 7.0  # far enough apart for differences
    directional(lambda v: si.sum(si.sin(si.max_pool(v, size, **options))), a)
    directional(lambda v: si.sum(si.sin(si.average_pool(v, size, **options))), a)


def test_the_first_of_equal_ones_gets_the_gradient_and_nan_wins():
    slope = si.grad(lambda v: si.sum(si.max_pool(v, 2)))(si.ones((1, 4, 4, 1)))
    assert np.asarray(slope)[0, :, :, 0].tolist() == [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]
    x = np.zeros((1, 2, 4, 1))
    x[0, 1, 2] = np.nan
    assert np.isnan(np.asarray(si.max_pool(x, 2))[0, 0, :, 0]).tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_windows_of_half_precision_do_not_overflow(dtype):
    x = si.asarray(np.full((1, 64, 64, 1), 100.0), dtype=dtype)
    for pooled in (si.average_pool(x, 64), si.average_pool(x, 63, padding="same"), si.adaptive_average_pool(si.reshape(x, (1, 4096, 1)), 1)):
        assert pooled.dtype.name == dtype and bool(si.all(pooled == 100))


def test_the_mean_of_no_positions_is_no_number():
    pooled = np.asarray(si.average_pool(si.ones((1, 2, 1)), 2, strides=1, padding=[(3, 3)]))[0, :, 0]
    np.testing.assert_array_equal(pooled, [np.nan, np.nan, 1, 1, 1, np.nan, np.nan])
    slope = si.grad(lambda v: si.sum(si.average_pool(v, 2, strides=1, padding=[(3, 3)])[:, 2:5]))(si.ones((1, 2, 1)))
    assert np.asarray(slope)[0, :, 0].tolist() == [1.5, 1.5]
    assert np.isnan(np.asarray(si.adaptive_average_pool(si.ones((1, 0, 1)), 2))).all()


@pytest.mark.parametrize(("n", "out"), [(7, 3), (5, 5), (4, 1), (3, 7), (9, 4)])
def test_adaptive_pools_cut_an_axis_into_parts(n, out):
    a = drawn(2, n, 3)
    want = np.stack([a[:, i * n // out : math.ceil((i + 1) * n / out)].mean(1) for i in range(out)], axis=1)
    np.testing.assert_allclose(both_formats(si.adaptive_average_pool, a, out), want, rtol=1e-12)
    two = np.stack([a] * 4, axis=2) * np.arange(1.0, 5)[:, None]
    np.testing.assert_allclose(si.adaptive_average_pool(two, (out, 2)), np.stack([want * 1.5, want * 3.5], axis=2), rtol=1e-12)
    directional(lambda v: si.sum(si.sin(si.adaptive_average_pool(v, out))), a, order=1)


@pytest.mark.parametrize("options", [{}, {"strides": 1, "padding": "same"}, {"strides": (2, 3), "dilation": (1, 2), "padding": 1}])
def test_patches_are_the_windows_as_rows(options):
    a, size = drawn(2, 6, 7, 3), (2, 3)
    strides = each(options.get("strides", size), 2)
    dilation = each(options.get("dilation", 1), 2)
    pairs = padded_pairs(options.get("padding", "valid"), (6, 7), size, strides, dilation)
    got = both_formats(si.extract_patches, a, size, **options)
    for _, out, inner in window_places((6, 7), size, strides, pairs, dilation):
        row = np.concatenate([np.zeros((2, 3)) if at is None else a[(slice(None), *at)] for _, at in inner], axis=-1)
        assert np.array_equal(got[(slice(None), *out)], row)
    directional(lambda v: si.sum(si.sin(si.extract_patches(v, size, **options))), a, order=1)


# -- resizing --------------------------------------------------------------------------------------------
def resized_axis(x, axis, m, method):
    n = x.shape[axis]
    rows = []
    for i in range(m):
        at = (i + 0.5) * n / m
        if method == "nearest":
            rows.append(np.take(x, math.floor(at + 1e-9), axis=axis))
            continue
        low = math.floor(at - 0.5)
        share = at - 0.5 - low
        a, b = [np.take(x, min(max(k, 0), n - 1), axis=axis) for k in (low, low + 1)]
        rows.append(a * (1 - share) + b * share)
    return np.stack(rows, axis=axis)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize(("shape", "size"), [((2, 5, 3), 9), ((2, 5, 7, 3), (10, 21)), ((2, 9, 8, 1), (3, 5)), ((1, 3, 4, 2, 2), (5, 2, 4)),
                                             ((0, 3, 4, 2), (6, 5)), ((2, 1, 3, 2), (40, 1))])  # fmt: skip
def test_resize_weighs_neighbours_and_its_gradient_is_the_transposed_map(shape, size, method):
    a = drawn(*shape)
    want = a
    for axis, m in enumerate(each(size, len(shape) - 2), 1):
        want = resized_axis(want, axis, m, method)
    got = both_formats(si.resize, a, size, method=method)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    # the map is linear: <map(x), y> = <x, gradient for y>, for any x
    y, other = drawn(*want.shape), drawn(*shape)
    slope = np.asarray(si.grad(lambda v: si.sum(si.resize(v, size, method=method) * y))(si.asarray(a)))
    np.testing.assert_allclose(np.sum(slope * other), np.sum(np.asarray(si.resize(other, size, method=method)) * y), rtol=1e-10, atol=1e-10)


def test_resize_keeps_bytes_where_it_only_takes():
    x = RNG.integers(0, 255, (1, 5, 6, 3), dtype=np.uint8)
    near = si.resize(x, (7, 3), method="nearest")
    assert near.dtype is si.uint8 and np.array_equal(near, resized_axis(resized_axis(x, 1, 7, "nearest"), 2, 3, "nearest"))
    assert si.resize(x, (7, 3)).dtype is si.float32
    assert np.array_equal(si.resize(x, (5, 6)), x.astype(np.float32))


def test_no_gradient_of_resize_scatters():
    for method, size in itertools.product(("bilinear", "nearest"), ((7, 11), (2, 3))):
        program = si.compile(si.grad(lambda v, method=method, size=size: si.sum(si.sin(si.resize(v, size, method=method)))))
        text = str(program.inspect(si.ones((1, 4, 6, 2))))
        assert "reduce_sum" in text or "take" in text or "pad" in text
        assert "scatter" not in text


# -- errors ------------------------------------------------------------------------------------------------
X, W = np.ones((1, 8, 8, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "slug", "text", "fix"),
    [
        (
            lambda: si.conv(X[0, 0], W), "conv-input-rank",
            "conv needs sequences of shape (steps, channels), but each example has shape (3,).",
            "add a channel axis: x[..., None]  →  (8, 3, 1)",
        ),
        (
            lambda: si.max_pool(X[0, 0], data_format="channels_first"), "conv-input-rank",
            "max_pool needs sequences of shape (channels, steps), but each example has shape (3,).",
            "add a channel axis: x[:, None]  →  (8, 1, 3)",
        ),
        (
            lambda: si.resize(X[None, None], 4), "conv-input-rank",
            "resize needs volumes of shape (depth, height, width, channels), but each example has shape (1, 1, 8, 8, 3).",
            "give each example the shape (depth, height, width, channels), by si.reshape or a Reshape layer",
        ),
        (
            lambda: si.conv(X, W[0]), "conv-kernel-rank",
            "conv of a grid with 2 axes of positions needs a kernel with 4 axes, but it has 3.",
            "give the kernel one axis of taps for each axis of positions, then its two of channels",
        ),
        (
            lambda: si.conv(X, W[:, :, :2]), "conv-channels", "conv: x has 3 channels, but the kernel is for 2.",
            "make a kernel of shape (3, 3, 3, 4)",
        ),
        (
            lambda: si.conv(X, W, groups=2), "conv-channels", "conv: x has 3 channels, but the kernel is for 6 (2 groups of 3).",
            "make a kernel of shape (3, 3, 1, 4)",
        ),
        (
            lambda: si.conv(X, W[:, :, :1], groups=3), "conv-channels", "conv: 4 outputs cannot be cut into 3 equal groups.",
            "use a number of outputs that 3 divides",
        ),
        (
            lambda: si.depthwise_conv(X, W[:, :, :2]), "conv-channels", "depthwise_conv: x has 3 channels, but the kernel is for 2.",
            "make a kernel of shape (3, 3, 3, 4)",
        ),
        (
            lambda: si.conv_transpose(X, W), "conv-channels", "conv_transpose: x has 3 channels, but the kernel is for 4.",
            "make a kernel of shape (3, 3, 3, 3)",
        ),
        (
            lambda: si.conv(X, W, dilation=4), "conv-window", "conv: the window covers 9 positions, but axis 1 of the input has 8.",
            'use a smaller window, larger pictures, or padding="same"',
        ),
        (
            lambda: si.max_pool(X, (2, 9), padding=((0, 0), (0, 0))), "conv-window",
            "max_pool: the window covers 9 positions, but axis 2 of the input has 8.", 'use a smaller window, larger pictures, or padding="same"',
        ),
        (
            lambda: si.extract_patches(X, (8, 6), padding=((0, 0), (1, 1)), data_format="channels_first"), "conv-window",
            "extract_patches: the window covers 6 positions, but axis 3 of the input has 5 with its padding.",
            'use a smaller window, larger pictures, or padding="same"',
        ),
        (
            lambda: si.conv(X, W, padding="full"), "conv-padding",
            'conv: padding must be "valid" or "same", or a whole number that is not negative, '
            "or for each axis a number or a pair (before, after).",
            'padding="same" keeps the extents, padding="valid" adds nothing',
        ),
        (
            lambda: si.conv(X[0], W[0], padding=-1), "conv-padding",
            'conv: padding must be "valid", "same" or for sequences "causal", or a whole number that is not negative, or a pair (before, after).',
            'padding="same" keeps the extents, padding="valid" adds nothing',
        ),
        (
            lambda: si.max_pool(X, 2, strides=(1, 2, 3)), "conv-per-axis",
            "max_pool: strides must be a whole number of at least 1, or a tuple of 2 of them.",
            "pass strides=2, or one for each axis: strides=(2, 2)",
        ),
        (
            lambda: si.conv_transpose(X, W.swapaxes(2, 3), strides=2, output_padding=2), "conv-output-padding",
            "conv_transpose: output_padding must be smaller than the stride 2.", "leave output_padding out",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_named_word_for_word(call, slug, text, fix):
    with pytest.raises(UserError) as caught:
        call()
    assert (caught.value.slug, str(caught.value).splitlines()[0], caught.value.fix) == (slug, text, fix)


@pytest.mark.parametrize(
    "call",
    [lambda: si.max_pool(X, 0), lambda: si.resize(X, 4, method="cubic"), lambda: si.conv(X, W, data_format="NHWC"), lambda: si.conv(X, W, groups=0)],
)
def test_arguments_are_checked(call):
    with pytest.raises(ArgumentError):
        call()
