"""What the functions on nodes do beside building one primitive: promotion, normal forms, composed functions, known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.graph.node import Node, aval, placeholder
from insitu.graph.reference import evaluate
from insitu.ops.creation import philox
from insitu.ops.rules import literal, literal_value
from insitu.transform.autodiff import backward

Values = np.ndarray[Any, Any]
f32, f64, i32, i64 = dt.float32, dt.float64, dt.int32, dt.int64


def given(*arrays: Values) -> tuple[list[Node], dict[Node, Values]]:
    nodes = [placeholder(aval(x.shape, dt.as_dtype(x.dtype))) for x in arrays]
    return nodes, dict(zip(nodes, arrays, strict=True))


def value(node: Node, feeds: dict[Node, Values] | None = None) -> Values:
    return evaluate([node], feeds)[0]


def gradient(loss: Node, *inputs: Node) -> list[Node]:
    found = backward([loss], [ops.constant(1, loss.dtype)], inputs)
    assert None not in found
    return found  # type: ignore[return-value]


# -- random bits ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(counter: Any, key: Any, words: Any) -> None:
    out = philox([np.array([c], np.uint64) for c in counter], key)
    assert [int(w[0]) for w in out] == list(words)


def test_random_bits_count_flat_positions() -> None:
    (key,), feeds = given(np.array([5, 9], np.uint32))
    flat, square = value(ops.random_bits(key, (12,)), feeds), value(ops.random_bits(key, (3, 4)), feeds)
    np.testing.assert_array_equal(flat, square.ravel())
    assert len(set(flat.tolist())) == 12


# -- promotion and normal forms ------------------------------------------------------------------
def test_operands_meet_in_one_dtype() -> None:
    (a, b, c), _ = given(np.zeros(3, np.int32), np.zeros(3, np.float32), np.zeros(3, bool))
    assert ops.add(a, b).dtype is f32
    assert ops.mul(c, a).dtype is i32
    assert ops.where(c, a, b).dtype is f32
    assert ops.concat([a, b]).dtype is f32
    assert ops.lt(a, b).dtype is dt.bool_
    assert ops.scatter(b, ops.iota((1,)), ops.slice_(a, (0,), (1,))).dtype is f32


def test_what_changes_nothing_makes_no_node() -> None:
    (x,), _ = given(np.zeros((3, 4), np.float32))
    assert ops.cast(x, f32) is x
    assert ops.reshape(x, (3, -1)) is x
    assert ops.permute(x, (0, -1)) is x
    assert ops.broadcast_to(x, (3, 4)) is x
    assert ops.slice_(x, (0, 0), (3, 4)) is x
    assert ops.pad(x, [(0, 0), (0, 0)]) is x
    assert ops.concat([x]) is x
    assert ops.sum_to(x, (3, 4)) is x
    (n,), _ = given(np.zeros(3, np.int32))
    assert ops.floor(n) is n


def test_equal_slices_have_equal_attributes() -> None:
    (x,), _ = given(np.zeros(9, np.float32))
    assert ops.slice_(x, (1,), (8,), (3,)).attrs == ops.slice_(x, (1,), (9,), (3,)).attrs
    assert ops.slice_(x, (4,), (5,), (7,)).attrs == ops.slice_(x, (4,), (5,), (1,)).attrs
    assert ops.slice_(x, (4,), (2,), (1,)).shape == (0,)


@pytest.mark.parametrize("number", [0.1, -0.0, 0.0, 1.0, float("inf"), 1e-45, 3.4e38, 1e300, -2.5, 10**400, True])
@pytest.mark.parametrize("dtype", dt.FLOATS)
def test_a_literal_is_its_number_rounded_to_the_dtype(number: float, dtype: dt.DType) -> None:
    attr = literal(number, dtype)
    with np.errstate(all="ignore"):
        expected = float(np.asarray(float("inf") if number == 10**400 else number, dtype.numpy))
    found = literal_value(attr, dtype)
    assert found == expected
    assert np.signbit(found) == np.signbit(expected)
    assert (literal(-0.0, dtype) == attr) == (expected == 0 and np.signbit(expected))


def test_literals_of_nan_are_equal() -> None:
    assert literal(float("nan"), f32) == literal(-float("nan"), f32)
    assert literal_value(literal(float("nan"), f32), f32) != 0


# -- composed functions --------------------------------------------------------------------------
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sort_orders_and_has_the_gradient_of_its_positions(axis: int, descending: bool) -> None:
    (x,), feeds = given(np.random.default_rng(0).normal(size=(4, 5)))
    out = ops.sort(x, axis, descending)
    expected = np.sort(feeds[x], axis)
    np.testing.assert_array_equal(value(out, feeds), np.flip(expected, axis) if descending else expected)
    weight = ops.cast(ops.iota((4, 5), axis), f64)
    (grad,) = gradient(ops.reduce_sum(ops.mul(out, weight)), x)
    ranks = value(ops.argsort(ops.argsort(x, axis, descending), axis), feeds)
    np.testing.assert_array_equal(value(grad, feeds), ranks)


@pytest.mark.parametrize(
    ("shape", "indices", "axis"), [((4, 5), (4, 2), 1), ((4, 5), (1, 5), 0), ((2, 3, 4), (2, 5, 4), 1), ((7,), (3,), 0), ((1, 1), (1, 3), 1)]
)
def test_take_along_axis_agrees_with_numpy(shape: Any, indices: Any, axis: int) -> None:
    rng = np.random.default_rng(1)
    (x, at), feeds = given(rng.normal(size=shape), rng.integers(-shape[axis], shape[axis], indices))
    np.testing.assert_array_equal(value(ops.take_along_axis(x, at, axis), feeds), np.take_along_axis(feeds[x], feeds[at], axis))


def test_take_along_axis_stretches_extents_of_one() -> None:
    (x, at), feeds = given(np.arange(12.0).reshape(3, 4), np.array([[1, 0]]))
    np.testing.assert_array_equal(value(ops.take_along_axis(x, at, 1), feeds), feeds[x][:, [1, 0]])


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((1, 3, 4), (2, 4, 5)), ((2, 3, 4), (1, 4, 5)), ((0, 3, 4), (4, 2))],
)
def test_matmul_broadcasts_leading_axes(a: Any, b: Any) -> None:
    rng = np.random.default_rng(2)
    (x, y), feeds = given(rng.normal(size=a), rng.normal(size=b))
    out = ops.matmul(x, y)
    np.testing.assert_allclose(value(out, feeds), feeds[x] @ feeds[y], rtol=1e-12)
    gx, gy = gradient(ops.reduce_sum(out), x, y)
    ones = np.ones(out.shape)
    np.testing.assert_allclose(value(gx, feeds), value(ops.sum_to(*folded(ones @ np.swapaxes(feeds[y], -1, -2), a))), rtol=1e-12)
    np.testing.assert_allclose(value(gy, feeds), value(ops.sum_to(*folded(np.swapaxes(feeds[x], -1, -2) @ ones, b))), rtol=1e-12)


def folded(array: Values, shape: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    from insitu.graph.node import leaf
    from insitu.runtime.memory import from_numpy

    return leaf(aval(array.shape, f64), from_numpy(np.ascontiguousarray(array))), shape


def test_one_matrix_for_a_stack_is_one_product_of_all_rows() -> None:
    (x, w), _ = given(np.zeros((2, 3, 4), np.float32), np.zeros((4, 5), np.float32))
    product = ops.matmul(x, w).inputs[0]
    assert product.prim.name == "matmul"
    assert product.shape == (6, 5)


def test_half_floats_are_scattered_in_float32() -> None:
    n = 4000
    (x, at, up), feeds = given(np.zeros(2, np.float16), np.zeros(n, np.int64), np.full(n, 0.1, np.float16))
    out = value(ops.scatter(x, at, up), feeds)
    assert out.dtype == np.float16
    assert abs(float(out[0]) - n * float(np.float16(0.1))) < 0.3


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_kinds_of_floats(name: str) -> None:
    (x,), feeds = given(np.array([0, -1.5, np.nan, np.inf, -np.inf], np.float32))
    np.testing.assert_array_equal(value(getattr(ops, name)(x), feeds), getattr(np, name)(feeds[x]))


# -- gradients at special points -----------------------------------------------------------------
def test_equal_extremes_share_the_cotangent() -> None:
    (x,), feeds = given(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))
    (grad,) = gradient(ops.reduce_sum(ops.reduce_max(x, (1,))), x)
    np.testing.assert_allclose(value(grad, feeds), [[0, 0.5, 0.5], [1 / 3] * 3])
    (a, b), feeds = given(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    ga, gb = gradient(ops.reduce_sum(ops.max_(a, b)), a, b)
    np.testing.assert_array_equal(value(ga, feeds), [0, 0.5, 1])
    np.testing.assert_array_equal(value(gb, feeds), [1, 0.5, 0])
    ga, gb = gradient(ops.reduce_sum(ops.min_(a, b)), a, b)
    np.testing.assert_array_equal(value(ga, feeds), [1, 0.5, 0])
    np.testing.assert_array_equal(value(gb, feeds), [0, 0.5, 1])


def test_where_lets_no_nan_through() -> None:
    (x,), feeds = given(np.array([-1.0, 4.0]))
    positive = ops.lt(ops.constant(0, f64), x)
    safe = ops.where(positive, x, ops.constant(1, f64))
    out = ops.where(positive, ops.log(safe), ops.constant(0, f64))
    (grad,) = gradient(ops.reduce_sum(out), x)
    np.testing.assert_array_equal(value(grad, feeds), [0, 0.25])


def test_powers_have_gradients_at_zero() -> None:
    (x, y), feeds = given(np.array([0.0, 0.0, 2.0]), np.array([2.0, 0.0, 0.0]))
    gx, gy = gradient(ops.reduce_sum(ops.pow(x, y)), x, y)
    np.testing.assert_array_equal(value(gx, feeds), [0, 0, 0])
    np.testing.assert_allclose(value(gy, feeds), [0, 0, np.log(2)])


def test_the_absolute_value_is_flat_at_zero() -> None:
    (x,), feeds = given(np.array([-2.0, 0.0, 3.0]))
    (grad,) = gradient(ops.reduce_sum(ops.abs(x)), x)
    np.testing.assert_array_equal(value(grad, feeds), [-1, 0, 1])


def test_products_have_gradients_where_factors_are_zero() -> None:
    rows = np.array([[2.0, 0.0, 5.0], [0.0, 0.0, 3.0]])
    (x,), feeds = given(rows)
    (grad,) = gradient(ops.reduce_sum(ops.reduce_prod(x, (1,))), x)
    np.testing.assert_array_equal(value(grad, feeds), [[0, 10, 0], [0, 0, 0]])
    (grad,) = gradient(ops.reduce_sum(ops.cumprod(x, 1)), x)
    np.testing.assert_array_equal(value(grad, feeds), [[1, 12, 0], [1, 0, 0]])


def test_the_last_of_equal_positions_is_set_and_gets_the_cotangent() -> None:
    (x, at, up), feeds = given(np.zeros(3), np.array([1, 1, -1]), np.array([5.0, 6.0, 7.0]))
    out = ops.scatter(x, at, up, "set")
    np.testing.assert_array_equal(value(out, feeds), [0, 6, 7])
    gx, gu = gradient(ops.reduce_sum(ops.mul(out, ops.add(out, ops.iota((3,), 0, f64)))), x, up)
    np.testing.assert_array_equal(value(gx, feeds), [0, 0, 0])
    np.testing.assert_array_equal(value(gu, feeds), [0, 13, 16])
