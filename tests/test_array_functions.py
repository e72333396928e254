"""Creation, element-wise functions, reductions, cumulative functions, sorting and sets, against NumPy."""

from __future__ import annotations

from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import insitu as si
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError

RNG = np.random.default_rng(7)
POSITIVE = RNG.uniform(0.1, 3, (3, 4))
SIGNED = RNG.uniform(-3, 3, (3, 4))
UNIT = RNG.uniform(-0.95, 0.95, (3, 4))
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -2.5])


def _same(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    assert type(found) is si.Array
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=1e-300)


# -- the standard ----------------------------------------------------------------------------------------
def test_names_of_the_standard_are_there() -> None:
    complex_only = {"conj", "imag", "real", "complex64", "complex128"}
    flags = {n for n in strict.__all__ if "strict" in n.lower()}
    missing = [n for n in strict.__all__ if not hasattr(si, n) and n not in complex_only | flags | {"linalg", "fft", "Device"}]
    assert missing == []


# -- creation ----------------------------------------------------------------------------------------------
def test_filled_arrays() -> None:
    for name in ("zeros", "ones", "empty"):
        x = getattr(si, name)((2, 3), dtype="int16")
        assert (x.shape, x.dtype.name) == ((2, 3), "int16")
        assert getattr(si, name)(4).dtype is si.float32
        assert getattr(si, name + "_like")(x).dtype is si.int16
        assert getattr(si, name + "_like")(x, dtype=si.float64).dtype is si.float64
    _same(si.full((2,), 5), [5, 5])
    assert si.full(2, 5).dtype is si.int64 and si.full(2, 5.0).dtype is si.float32 and si.full(2, True).dtype is si.bool
    _same(si.full((2, 2), si.asarray(3.0)), [[3, 3], [3, 3]])
    _same(si.full_like(si.zeros((2, 2), dtype="float64"), 3), [[3, 3], [3, 3]])
    with pytest.raises(ShapeError):
        si.zeros((2, -1))
    with pytest.raises(ArgumentError):
        si.zeros(2.5)


@pytest.mark.parametrize("args", [(5,), (2, 7), (2, 7, 2), (7, 2, -2), (0,), (5, 2), (0.0, 1.0, 0.25), (1.5,), (3, 0, -0.5), (-3, 3)])
def test_arange_agrees_with_numpy(args: tuple[float, ...]) -> None:
    expected = np.arange(*args)
    x = si.arange(*args)
    assert x.dtype is (si.int64 if expected.dtype.kind == "i" else si.float32)
    _same(x, expected, 1e-6)
    _same(si.arange(*args, dtype="float64"), expected.astype(float))


def test_ranges_grids_and_triangles_agree_with_numpy() -> None:
    _same(si.linspace(0, 1, 7, dtype="float64"), np.linspace(0, 1, 7))
    _same(si.linspace(-2, 5, 6, endpoint=False, dtype="float64"), np.linspace(-2, 5, 6, endpoint=False))
    for args, k in (((3,), 0), ((3, 5), 1), ((4, 2), -1), ((2, 2), 5)):
        _same(si.eye(*args, k=k), np.eye(*args, k=k))
    a = np.arange(24).reshape(2, 3, 4)
    for k in (-1, 0, 2):
        _same(si.tril(si.asarray(a), k=k), np.tril(a, k))
        _same(si.triu(si.asarray(a), k=k), np.triu(a, k))
    for indexing in ("xy", "ij"):
        ours = si.meshgrid(si.arange(3), si.arange(4), si.arange(2), indexing=indexing)
        for found, expected in zip(ours, np.meshgrid(np.arange(3), np.arange(4), np.arange(2), indexing=indexing), strict=True):
            _same(found, expected)
    with pytest.raises(ArgumentError):
        si.arange(0, 3, 0)
    with pytest.raises(ArgumentError):
        si.meshgrid(si.arange(2), indexing="yx")
    with pytest.raises(ShapeError):
        si.tril(si.arange(3))


# -- element-wise ---------------------------------------------------------------------------------------------
ANY_NUMBER = ["abs", "negative", "positive", "sign", "square", "floor", "ceil", "trunc", "rint", "exp", "expm1", "sin", "cos", "tan",
              "atan", "sinh", "cosh", "tanh", "asinh", "reciprocal", "isnan", "isinf", "isfinite", "signbit", "logical_not"]  # fmt: skip
OF_TWO = ["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "maximum", "minimum", "hypot", "atan2", "logaddexp",
          "copysign", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
          "logical_xor", "fmod"]  # fmt: skip


@pytest.mark.parametrize("name", ANY_NUMBER)
def test_functions_of_any_number_agree_with_numpy(name: str) -> None:
    for a in (SIGNED, SPECIAL):
        with np.errstate(all="ignore"):
            _same(getattr(si, name)(si.asarray(a)), getattr(np, name)(a))


@pytest.mark.parametrize(("name", "values"), [("log", POSITIVE), ("log1p", POSITIVE), ("log2", POSITIVE), ("log10", POSITIVE), ("sqrt", POSITIVE),
                                              ("acosh", POSITIVE + 1), ("asin", UNIT), ("acos", UNIT), ("atanh", UNIT)])  # fmt: skip
def test_functions_of_some_numbers_agree_with_numpy(name: str, values: np.ndarray) -> None:
    _same(getattr(si, name)(si.asarray(values)), getattr(np, name)(values))


def test_functions_numpy_lacks() -> None:
    from math import erf

    _same(si.sigmoid(si.asarray(SIGNED)), 1 / (1 + np.exp(-SIGNED)))
    _same(si.rsqrt(si.asarray(POSITIVE)), POSITIVE**-0.5)
    _same(si.erf(si.asarray(SIGNED)), np.vectorize(erf)(SIGNED))
    _same(si.round(si.asarray(SIGNED), 2), np.round(SIGNED, 2))
    _same(si.round(si.asarray([15.0, 25.0, -15.0], dtype="float64"), -1), [20, 20, -20])


@pytest.mark.parametrize(("dtype", "low", "high"), [("float16", -24, 16), ("bfloat16", -133, 128), ("float32", -149, 128), ("float64", -1074, 1024)])
def test_logarithms_of_powers_are_whole(dtype: str, low: int, high: int) -> None:
    exponents = np.arange(low, high)
    np.testing.assert_array_equal(np.asarray(si.log2(si.asarray(2.0**exponents, dtype=dtype))).astype(int), exponents)


@pytest.mark.parametrize(("dtype", "low", "high"), [("bfloat16", 0, 3), ("float16", 0, 5), ("float32", -37, 39), ("float64", -307, 309)])
def test_decimal_logarithms_of_powers_of_ten_are_whole(dtype: str, low: int, high: int) -> None:
    exponents = np.arange(low, high)
    powers = si.asarray(np.array([float(f"1e{k}") for k in exponents]), dtype=dtype)
    np.testing.assert_array_equal(np.asarray(si.log10(powers)).astype(float), exponents)
    slope = si.grad(si.log10)(si.asarray(30.0, dtype="float64"))
    assert float(slope) == pytest.approx(1 / (30 * np.log(10)), rel=1e-15)


def test_log2_is_exact_near_1_and_has_its_derivatives() -> None:
    x = np.array([1 - 2.0**-52, 1 + 2.0**-52, 0.5**0.5, 1.5, 3e-310, 1e308, np.inf, 0.0, -1.0, np.nan])
    with np.errstate(all="ignore"):
        _same(si.log2(si.asarray(x)), np.log2(x), 4e-16)
    slope = si.grad(si.log2)
    assert float(slope(si.asarray(3.0, dtype="float64"))) == pytest.approx(1 / (3 * np.log(2)), rel=1e-15)
    assert float(si.grad(slope)(si.asarray(3.0, dtype="float64"))) == pytest.approx(-1 / (9 * np.log(2)), rel=1e-15)


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_arrays_agree_with_numpy(name: str) -> None:
    function, theirs = getattr(si, name), getattr(np, name)
    with np.errstate(all="ignore"):
        _same(function(si.asarray(SIGNED), si.asarray(SIGNED[0, ::-1])), theirs(SIGNED, SIGNED[0, ::-1]))
        _same(function(si.asarray(SIGNED), 2.0), theirs(SIGNED, 2.0))
        _same(function(1.5, si.asarray(SIGNED)), theirs(1.5, SIGNED))
        if name not in ("hypot", "floor_divide", "remainder", "fmod"):
            grid = np.meshgrid(SPECIAL, SPECIAL)
            _same(function(si.asarray(grid[0]), si.asarray(grid[1])), theirs(*grid))


def test_nextafter_agrees_with_numpy() -> None:
    for dtype in (np.float64, np.float32):
        a, b = (g.astype(dtype) for g in np.meshgrid([*SPECIAL, 3.1, -1e-300], [*SPECIAL, 3.0]))
        found = np.asarray(si.nextafter(si.asarray(a), si.asarray(b)))
        np.testing.assert_array_equal(found, np.nextafter(a, b))


def test_isin_agrees_with_numpy() -> None:
    for a, b in (([[1, 2], [3, 1]], [1, 9]), ([1.0, np.nan], [np.nan, 1.0]), ([1, 2], []), ([True], [False, True])):
        for invert in (False, True):
            np.testing.assert_array_equal(si.isin(si.asarray(a), si.asarray(b), invert=invert), np.isin(a, b, invert=invert))


def test_hypot_neither_overflows_nor_loses_infinity() -> None:
    x = si.hypot(si.asarray([3e200, np.inf, np.nan, 0.0], dtype="float64"), si.asarray([4e200, np.nan, 1.0, 0.0], dtype="float64"))
    np.testing.assert_allclose(np.asarray(x), [5e200, np.inf, np.nan, 0.0])


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"])
def test_bit_functions_agree_with_numpy(name: str) -> None:
    a, b = np.array([12, -7, 1], np.int32), np.array([5, 2, 3], np.int32)
    _same(getattr(si, name)(si.asarray(a), si.asarray(b)), getattr(np, name)(a, b))


def test_wrong_dtypes_and_shapes_are_refused() -> None:
    with pytest.raises(DTypeError):
        si.bitwise_and(si.ones(2), si.ones(2))
    with pytest.raises(ShapeError):
        si.add(si.ones(2), si.ones(3))
    with pytest.raises(DTypeError):
        si.where(si.ones(2), 1, 2)
    with pytest.raises(UserError):
        si.exp("text")
    with pytest.raises(DTypeError):
        si.add(si.ones(2, dtype="uint64"), si.ones(2, dtype="int64"))


@pytest.mark.parametrize("name", ["hypot", "atan2", "logaddexp", "copysign", "nextafter", "divide"])
def test_an_integer_takes_the_dtype_of_the_floating_operand(name: str) -> None:
    large = 2**31 - 1
    exact = getattr(si, name)(si.asarray(large, dtype="int32"), si.asarray(1.0, dtype="float64"))
    assert float(exact) == getattr(np, name)(np.float64(large), 1.0)
    assert getattr(si, name)(si.asarray(3, dtype="int8"), si.ones(2, dtype="float16")).dtype is si.float16


def test_functions_of_integers_become_float32() -> None:
    assert si.exp(si.arange(3)).dtype is si.float32
    assert si.hypot(3, 4).dtype is si.float32
    assert si.sqrt(si.asarray(True)).dtype is si.float32


def test_where_and_clip_agree_with_numpy() -> None:
    x = si.asarray(SIGNED)
    _same(si.where(x > 0, x, 0), np.where(SIGNED > 0, SIGNED, 0))
    _same(si.where(x > 0, 1, x), np.where(SIGNED > 0, 1, SIGNED))
    assert si.where(si.asarray([True]), 1, 2).dtype is si.int64
    for low, high in ((-1, 1), (None, 0.5), (0.25, None), (None, None), (np.zeros(4), 1)):
        _same(si.clip(x, low, high), np.clip(SIGNED, low, high) if low is not None or high is not None else SIGNED)
    _same(si.clip(si.asarray([5, 200], dtype="uint8"), -3, 300), [5, 200])
    assert si.clip(si.ones(2), 0, 1).dtype is si.float32
    with pytest.raises(ArgumentError):
        si.clip(x, 2, 1)
    with pytest.raises(DTypeError):
        si.clip(si.arange(3), 0.5, 1)


def test_a_number_that_an_integer_array_cannot_hold_is_refused_where_it_is_made() -> None:
    for call, fix in (
        (lambda: si.asarray(2**63), "use a wider dtype: si.uint64"),
        (lambda: si.asarray([2**63], dtype="int64"), "use a wider dtype: si.uint64"),
        (lambda: si.full(2, -1, dtype="uint8"), "use a wider dtype: si.int64"),
        (lambda: si.asarray(2**70), "use a wider dtype: si.float32"),
        (lambda: si.arange(3) + 2**63, "convert the array to a wider type first: x.astype(si.uint64)"),
        (lambda: si.full(2, float("nan"), dtype="int32"), "use a floating dtype"),
        (lambda: si.full_like(si.arange(3), float("inf")), "use a floating dtype"),
    ):
        with pytest.raises(ArgumentError) as caught:
            call()
        assert caught.value.fix == fix
    with pytest.raises(DTypeError):
        si.clip(si.arange(3), float("nan"), 2)


# -- reductions -----------------------------------------------------------------------------------------
CUBE = RNG.normal(size=(3, 4, 5))
AXES = [None, 0, 1, -1, (0, 2), (0, 1, 2), ()]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_statistics_of_halves_do_not_overflow_on_the_way(dtype: str) -> None:
    x = si.asarray(RNG.normal(60, 20, 4000), dtype=dtype)
    exact = np.asarray(x).astype(np.float64)
    eps = si.finfo(dtype).eps
    for found, expected in (
        (si.mean(x), exact.mean()),
        (si.var(x), exact.var()),
        (si.std(x, correction=1), exact.std(ddof=1)),
        (si.logsumexp(si.zeros((50, 2000), dtype=dtype)), np.log(100_000)),
    ):
        assert found.dtype.name == dtype
        assert float(found) == pytest.approx(expected, rel=2 * eps)
    assert float(si.grad(si.mean)(x)[0]) == pytest.approx(1 / 4000, rel=eps)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "count_nonzero"])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_reductions_agree_with_numpy(name: str, axis: Any) -> None:
    a = CUBE if name not in ("all", "any", "count_nonzero") else CUBE.round() * (CUBE > -1)
    for keepdims in (False, True):
        expected = getattr(np, name)(a, axis=axis, keepdims=keepdims)
        _same(getattr(si, name)(si.asarray(a), axis=axis, keepdims=keepdims), expected, 1e-10)
    if hasattr(si.Array, name):
        _same(getattr(si.asarray(a), name)(axis), getattr(np, name)(a, axis=axis), 1e-10)


def test_dtypes_of_reductions() -> None:
    for d in ("int8", "int32", "bool"):
        assert si.sum(si.ones(2, dtype=d)).dtype is si.int64
    assert si.sum(si.ones(2, dtype="uint8")).dtype is si.uint64
    assert si.prod(si.ones(2, dtype="float16")).dtype is si.float16
    assert si.sum(si.ones(2), dtype="float64").dtype is si.float64
    assert si.mean(si.arange(4)) == 1.5
    assert si.mean(si.arange(4)).dtype is si.float32
    assert si.max(si.asarray([True, False])).dtype is si.bool
    assert si.sum(si.full(300, 200, dtype="uint8")) == 60000
    assert np.signbit(si.full((300, 300), -0.0)).all() and not np.signbit(si.full((300, 300), 0.0)).any()
    assert si.argmax(si.ones(2)).dtype is si.int64
    with pytest.raises(DTypeError):
        si.mean(si.ones(2), dtype="int32")


def test_statistics_with_correction() -> None:
    for c in (0, 1, 0.5):
        _same(si.var(si.asarray(CUBE), axis=1, correction=c), np.var(CUBE, axis=1, ddof=c), 1e-10)
        _same(si.std(si.asarray(CUBE), correction=c), np.std(CUBE, ddof=c), 1e-10)


def test_reductions_of_nothing() -> None:
    empty = si.zeros((0, 3))
    assert si.sum(empty) == 0 and si.prod(empty) == 1
    assert bool(si.all(empty)) and not bool(si.any(empty))
    assert si.sum(empty, axis=0).shape == (3,)
    assert bool(si.isnan(si.mean(empty)))
    with pytest.raises(ShapeError):
        si.max(empty, axis=0)
    with pytest.raises(ShapeError):
        si.argmin(empty)


def test_positions_agree_with_numpy() -> None:
    a = np.array([[3, 1, 3], [0, 9, 9]])
    for name in ("argmax", "argmin"):
        for axis in (None, 0, 1, -1):
            for keepdims in (False, True):
                _same(getattr(si, name)(si.asarray(a), axis=axis, keepdims=keepdims), getattr(np, name)(a, axis=axis, keepdims=keepdims))
    assert si.argmax(si.asarray([1.0, np.nan, 3.0])) == 1
    assert si.argmax(si.asarray([False, True])) == 1


@pytest.mark.parametrize("axis", [3, -4, (0, 0), 1.5, "rows"])
def test_wrong_axes_are_refused(axis: Any) -> None:
    with pytest.raises(UserError) as caught:
        si.sum(si.zeros((2, 3, 4)), axis=axis)
    assert "axis" in str(caught.value)


def test_logsumexp() -> None:
    a = np.array([[1000.0, 1000.0], [-np.inf, -np.inf], [0.0, np.inf], [1.0, 2.0]])
    expected = [1000 + np.log(2), -np.inf, np.inf, np.log(np.e + np.e**2)]
    _same(si.logsumexp(si.asarray(a), axis=1), expected)
    _same(si.logsumexp(si.asarray(a[:1]), keepdims=True), [[expected[0]]])
    _same(si.grad(lambda x: si.logsumexp(x))(si.asarray([1.0, 2.0])), np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum(), 1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumulative_functions_agree_with_numpy(axis: int) -> None:
    x = si.asarray(CUBE)
    _same(si.cumulative_sum(x, axis=axis), np.cumsum(CUBE, axis=axis), 1e-10)
    _same(si.cumulative_prod(x, axis=axis), np.cumprod(CUBE, axis=axis), 1e-10)
    _same(si.cumulative_sum(x, axis=axis, include_initial=True), np.cumulative_sum(CUBE, axis=axis, include_initial=True), 1e-10)
    _same(x.cumsum(axis), np.cumsum(CUBE, axis=axis), 1e-10)
    for n in (0, 1, 2):
        _same(si.diff(x, axis=axis, n=n), np.diff(CUBE, axis=axis, n=n))


def test_cumulative_details() -> None:
    assert si.cumulative_sum(si.ones(3, dtype="int8")).dtype is si.int64
    _same(si.cumsum(si.asarray(CUBE)), np.cumsum(CUBE), 1e-10)
    _same(si.diff(si.asarray([1, 4]), prepend=si.asarray([0]), append=si.asarray([10])), [1, 3, 6])
    _same(si.diff(si.asarray([True, False, False])), [True, False])
    _same(si.diff(si.asarray(CUBE), prepend=0, append=np.ones((3, 4, 2))), np.diff(CUBE, prepend=0, append=np.ones((3, 4, 2))))
    assert si.diff(si.asarray([1, 4], dtype="int16"), prepend=0).dtype is si.int16
    with pytest.raises(ShapeError):
        si.cumulative_sum(si.ones((2, 2)))


# -- sorting and sets ----------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), max_size=12), st.booleans())
def test_sorting_is_stable(values: list[int], descending: bool) -> None:
    a = np.array(values, np.int64)
    order = sorted(range(len(values)), key=lambda k: -values[k] if descending else values[k])
    _same(si.argsort(si.asarray(a), descending=descending), np.array(order, np.int64))
    _same(si.sort(si.asarray(a), descending=descending), a[np.array(order, np.int64)])


def test_sorting_along_axes() -> None:
    for axis in (0, 1, 2, -2):
        _same(si.sort(si.asarray(CUBE), axis), np.sort(CUBE, axis))
        _same(si.asarray(CUBE).argsort(axis), np.argsort(CUBE, axis, kind="stable"))
    _same(si.sort(si.asarray([True, False])), [False, True])


def test_topk() -> None:
    for axis in (0, 1, -1):
        values, places = si.topk(si.asarray(CUBE), 2, axis)
        expected = np.flip(np.sort(CUBE, axis), axis).take([0, 1], axis)
        _same(values, expected)
        _same(si.take_along_axis(si.asarray(CUBE), places, axis=axis), expected)
    _same(si.topk(si.asarray([3, 1, 2]), 2, largest=False).values, [1, 2])
    assert si.topk(si.ones(3), 0).values.shape == (0,)
    with pytest.raises(ShapeError):
        si.topk(si.ones(3), 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), max_size=9), st.lists(st.integers(-6, 6), min_size=1, max_size=5), st.sampled_from(["left", "right"]))
def test_searchsorted_agrees_with_numpy(row: list[int], wanted: list[int], side: str) -> None:
    a, v = np.sort(np.array(row, np.float64)), np.array(wanted, np.float64)
    _same(si.searchsorted(si.asarray(a), si.asarray(v), side=side), np.searchsorted(a, v, side=side))


def test_searchsorted_details() -> None:
    a = np.array([3.0, 1.0, np.nan, 2.0])
    order = np.argsort(a)
    wanted = np.array([[2.0, np.nan], [-np.inf, np.inf]])
    for side in ("left", "right"):
        _same(
            si.searchsorted(si.asarray(a), si.asarray(wanted), side=side, sorter=si.asarray(order)),
            np.searchsorted(a, wanted, side=side, sorter=order),
        )
    with pytest.raises(ArgumentError):
        si.searchsorted(si.ones(2), 1.0, side="middle")


def test_sets_and_nonzero_agree_with_numpy() -> None:
    a = np.array([[3, 1], [3, 0]])
    full = si.unique_all(si.asarray(a))
    expected = np.unique(a, return_index=True, return_inverse=True, return_counts=True)
    for found, wanted in zip(full, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(found).ravel(), wanted.ravel())
    assert full.inverse_indices.shape == (2, 2)
    assert si.unique_values(si.asarray([np.nan, np.nan])).shape == (2,)
    _same(si.unique_counts(si.asarray(a)).counts, [1, 1, 2])
    _same(si.unique_inverse(si.asarray(a)).values, [0, 1, 3])
    for found, wanted in zip(si.nonzero(si.asarray(a)), np.nonzero(a), strict=True):
        _same(found, wanted)
    with pytest.raises(ShapeError):
        si.nonzero(si.asarray(1))
    _same(si.one_hot(si.asarray([2, 0]), 3), np.eye(3)[[2, 0]])
    with pytest.raises(ArgumentError):
        si.one_hot(si.ones(2), 3)


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int8"])
def test_sums_of_products_without_matrices_are_rows(name: str) -> None:
    """Two vectors, all axes of two arrays, one number for each pair of arrays: trees, as of `vecdot`, not chains; halves in float32."""
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-3, 4, (5, 70, 9)).astype(name) for _ in range(2))
    x, y = si.asarray(a), si.asarray(b)
    wide = np.float64 if name != "int8" else np.int8
    whole, each = (np.einsum(f"bij,bij->{to}", a.astype(wide), b.astype(wide)).astype(name) for to in ("", "b"))
    flat, other = si.reshape(x, (-1,)), si.reshape(y, (-1,))
    for got in (flat @ other, si.dot(flat, other), si.tensordot(x, y, axes=3), si.einsum("bij,bij->", x, y), si.vecdot(flat, other)):
        assert got.shape == () and got.dtype == x.dtype and np.asarray(got) == whole
    assert np.array_equal(np.asarray(si.einsum("bij,bij->b", x, y)), each)
    assert np.array_equal(np.asarray(si.einsum("bij,bji->b", x, si.moveaxis(y, 1, 2))), each)
    assert "rows" in si.compile(lambda u, v: u @ v).inspect(flat, other)
