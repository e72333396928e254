"""Wrong shapes, axes and dtypes: the message word for word, six parts of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.errors import ArgumentError, DTypeError, IndexingError, ShapeError, UserError
from insitu.graph.node import Node, aval, placeholder

f32 = dt.float32


def x(*shape: int, dtype: dt.DType = f32) -> Node:
    return placeholder(aval(shape, dtype))


CASES: Sequence[tuple[Callable[[], Any], type[UserError], str, str]] = [
    (
        lambda: ops.add(x(3, 4), x(3)),
        ShapeError,
        "add (x1 + x2): shapes (3, 4) and (3,) do not broadcast, because axis -1 has 4 elements in x1 and 3 in x2.",
        "expected      counted from the right, extents that are equal, or one of them 1\n"
        "received      x1: (3, 4) float32, x2: (3,) float32\n"
        "to fix        add an axis: x2[:, None]  →  (3, 1), and the result is (3, 4)\n"
        "more          insitu explain broadcast-shapes",
    ),
    (
        lambda: ops.sub(x(2, 3), x(2, 3, 4)),
        ShapeError,
        "subtract (x1 - x2): shapes (2, 3) and (2, 3, 4) do not broadcast, because axis -1 has 3 elements in x1 and 4 in x2.",
        "expected      counted from the right, extents that are equal, or one of them 1\n"
        "received      x1: (2, 3) float32, x2: (2, 3, 4) float32\n"
        "to fix        add an axis: x1[..., None]  →  (2, 3, 1), and the result is (2, 3, 4)\n"
        "more          insitu explain broadcast-shapes",
    ),
    (
        lambda: ops.mul(x(3, 4), x(4, 3)),
        ShapeError,
        "multiply (x1 * x2): shapes (3, 4) and (4, 3) do not broadcast, because axis -1 has 4 elements in x1 and 3 in x2.",
        "expected      counted from the right, extents that are equal, or one of them 1\n"
        "received      x1: (3, 4) float32, x2: (4, 3) float32\n"
        "to fix        transpose one of them: x2.T  →  (3, 4)\n"
        "more          insitu explain broadcast-shapes",
    ),
    (
        lambda: ops.where(x(4, dtype=dt.bool_), x(5), x(1)),
        ShapeError,
        "where: shapes (4,) and (5,) do not broadcast, because axis -1 has 4 elements in condition and 5 in x1.",
        "expected      counted from the right, extents that are equal, or one of them 1\n"
        "received      condition: (4,) bool, x1: (5,) float32\n"
        "to fix        make the two extents equal, or make one of them 1\n"
        "more          insitu explain broadcast-shapes",
    ),
    (
        lambda: ops.where(x(4), x(4), x(4)),
        DTypeError,
        "where needs a boolean condition, but condition is float32.",
        "expected      condition: bool\n"
        "received      condition: (4,) float32\n"
        "to fix        compare first: si.where(condition != 0, x1, x2)\n"
        "more          insitu explain where-condition",
    ),
    (
        lambda: ops.exp(x(3, dtype=dt.int32)),
        DTypeError,
        "exp needs a floating dtype, but x is int32.",
        "expected      float16, bfloat16, float32, float64\n"
        "received      x: (3,) int32\n"
        "to fix        convert it first: x.astype(si.float32)\n"
        "more          insitu explain dtype-unsupported",
    ),
    (
        lambda: ops.and_(x(3), x(3)),
        DTypeError,
        "logical_and (x1 & x2) needs an integer or boolean dtype, but x1 is float32.",
        "expected      bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64\n"
        "received      x1: (3,) float32\n"
        "to fix        convert it first: x1.astype(si.int64)\n"
        "more          insitu explain dtype-unsupported",
    ),
    (
        lambda: ops.matmul(x(3, 4), x(5, 4)),
        ShapeError,
        "matmul (x1 @ x2): shapes (3, 4) and (5, 4) do not fit, because the last axis of x1 has 4 and axis -2 of x2 has 5.",
        "expected      (..., m, k) @ (..., k, n): the same k in both\n"
        "received      x1: (3, 4) float32, x2: (5, 4) float32\n"
        "to fix        transpose x2: x1 @ x2.T  →  (..., 3, 4) @ (..., 4, 5) = (..., 3, 5)\n"
        "more          insitu explain matmul-shapes",
    ),
    (
        lambda: ops.matmul(x(3, 4), x(3, 5)),
        ShapeError,
        "matmul (x1 @ x2): shapes (3, 4) and (3, 5) do not fit, because the last axis of x1 has 4 and axis -2 of x2 has 3.",
        "expected      (..., m, k) @ (..., k, n): the same k in both\n"
        "received      x1: (3, 4) float32, x2: (3, 5) float32\n"
        "to fix        transpose x1: x1.T @ x2  →  (..., 4, 3) @ (..., 3, 5) = (..., 4, 5)\n"
        "more          insitu explain matmul-shapes",
    ),
    (
        lambda: ops.matmul(x(3, 4), x(5, 3)),
        ShapeError,
        "matmul (x1 @ x2): shapes (3, 4) and (5, 3) do not fit, because the last axis of x1 has 4 and axis -2 of x2 has 5.",
        "expected      (..., m, k) @ (..., k, n): the same k in both\n"
        "received      x1: (3, 4) float32, x2: (5, 3) float32\n"
        "to fix        exchange the operands: x2 @ x1  →  (..., 5, 3) @ (..., 3, 4) = (..., 5, 4)\n"
        "more          insitu explain matmul-shapes",
    ),
    (
        lambda: ops.matmul(x(7, 3, 4), x(6, 4, 5)),
        ShapeError,
        "matmul (x1 @ x2), leading axes: shapes (7,) and (6,) do not broadcast, because axis -1 has 7 elements in x1 and 6 in x2.",
        "expected      counted from the right, extents that are equal, or one of them 1\n"
        "received      x1: (7,) float32, x2: (6,) float32\n"
        "to fix        make the two extents equal, or make one of them 1\n"
        "more          insitu explain broadcast-shapes",
    ),
    (
        lambda: ops.reshape(x(3, 4), (5, 2)),
        ShapeError,
        "reshape: 12 elements of shape (3, 4) cannot become shape (5, 2), which has 10.",
        "expected      a shape of 12 elements\n"
        "received      shape (5, 2) for (3, 4) float32\n"
        "to fix        let one extent follow from the others: x.reshape((-1, 2))  →  (6, 2)\n"
        "more          insitu explain reshape-size",
    ),
    (
        lambda: ops.reshape(x(3, 4), (5, -1)),
        ShapeError,
        "reshape: 12 elements cannot be divided evenly into (5, -1): 12 is not a multiple of 5.",
        "expected      a shape of 12 elements\n"
        "received      shape (5, -1) for (3, 4) float32\n"
        "to fix        choose extents whose product divides 12\n"
        "more          insitu explain reshape-size",
    ),
    (
        lambda: ops.reduce_sum(x(3, 4), (2,)),
        ShapeError,
        "sum: axis 2 does not exist in an array of 2 axes.",
        "expected      an axis from -2 to 1\n"
        "received      axis=2 for (3, 4) float32\n"
        "to fix        use axis=-1 for the last axis\n"
        "more          insitu explain axis-out-of-range",
    ),
    (
        lambda: ops.reduce_max(x(3, 0), (1,)),
        ShapeError,
        "max of no elements: axis 1 is empty.",
        "expected      at least one element on axis 1\n"
        "received      x: (3, 0) float32, axis=(1,)\n"
        "to fix        check why the array is empty, or treat the empty case before\n"
        "more          insitu explain reduce-empty",
    ),
    (
        lambda: ops.concat([x(2, 3), x(4, 3)], 1),
        ShapeError,
        "concat along axis 1: axis 0 has 2 elements in array 0 and 4 in array 1.",
        "expected      arrays of one shape, but for the axis along which they are joined\n"
        "received      array 0: (2, 3) float32, array 1: (4, 3) float32, axis=1\n"
        "to fix        join along axis 0: axis=0\n"
        "more          insitu explain concat-shapes",
    ),
    (
        lambda: ops.take(x(3, 4), x(2), 0),
        DTypeError,
        "take: indices must be integers, but they are float32.",
        "expected      indices: an integer dtype\n"
        "received      indices: (2,) float32\n"
        "to fix        convert them: indices.astype(si.int64)\n"
        "more          insitu explain index-dtype",
    ),
    (
        lambda: ops.take(x(0, 4), x(2, dtype=dt.int64), 0),
        IndexingError,
        "take: axis 0 has no elements to take from.",
        "expected      at least one element on axis 0\n"
        "received      x: (0, 4) float32, indices: (2,) int64\n"
        "to fix        check why the array is empty\n"
        "more          insitu explain take-empty",
    ),
    (
        lambda: ops.broadcast_to(x(3), (3, 4)),
        ShapeError,
        "broadcast_to: shape (3,) cannot be stretched to (3, 4).",
        "expected      counted from the right, extents that are equal, or 1 in x\n"
        "received      x: (3,) float32, shape (3, 4)\n"
        "to fix        add an axis first: x[:, None]  →  (3, 1)\n"
        "more          insitu explain broadcast-to-shape",
    ),
    (
        lambda: ops.permute(x(3, 4), (0, 0)),
        ShapeError,
        "permute_dims: axes (0, 0) do not name each of the 2 axes once.",
        "expected      an order of (0, 1)\n"
        "received      axes=(0, 0) for (3, 4) float32\n"
        "to fix        for example axes=(1, 0) turns the order around\n"
        "more          insitu explain permute-axes",
    ),
    (
        lambda: ops.constant(300, dt.uint8),
        ArgumentError,
        "300 is not a value of uint8.",
        "expected      a whole number from 0 to 255\n"
        "received      300\n"
        "to fix        use a value in this range, or a wider dtype\n"
        "more          insitu explain value-out-of-range",
    ),
]


@pytest.mark.parametrize(("wrong", "kind", "what", "parts"), CASES, ids=[c[2].split(":")[0] + str(k) for k, c in enumerate(CASES)])
def test_a_mistake_is_told_in_full(wrong: Callable[[], Any], kind: type[UserError], what: str, parts: str) -> None:
    with pytest.raises(UserError) as caught:
        wrong()
    assert type(caught.value) is kind
    assert caught.value.what == what
    told = [line[2:] for line in str(caught.value).splitlines() if line.startswith(("  expected ", "  received ", "  to fix ", "  more "))]
    assert "\n".join(told) == parts
    assert "test_ops_errors.py" in str(caught.value)


MORE: Sequence[tuple[Callable[[], Any], str]] = [
    (lambda: ops.reduce_sum(x(3, 4), (0, 0)), "axis-repeated"),
    (lambda: ops.reduce_sum(x(3, dtype=dt.bool_)), "dtype-unsupported"),
    (lambda: ops.add(x(3, dtype=dt.bool_), x(3, dtype=dt.bool_)), "dtype-unsupported"),
    (lambda: ops.add(x(3, dtype=dt.uint64), x(3, dtype=dt.int8)), "dtype-promotion"),
    (lambda: ops.reshape(x(3, 4), (-1, -1)), "reshape-open"),
    (lambda: ops.reshape(x(3, 4), (-2, -6)), "shape-negative"),
    (lambda: ops.reshape(x(3, 4), (7, 5)), "reshape-size"),
    (
        lambda: ops.reshape(
            x(
                0,
            ),
            (3, -1, 0),
        ),
        "reshape-size",
    ),
    (lambda: ops.broadcast_to(x(3), (2, -3)), "shape-negative"),
    (lambda: ops.iota((2, 3), 2), "axis-out-of-range"),
    (lambda: ops.cumsum(x(), 0), "axis-out-of-range"),
    (lambda: ops.argsort(x(3), 1), "axis-out-of-range"),
    (lambda: ops.argmax(x(0), 0), "reduce-empty"),
    (lambda: ops.pad(x(3), [(1, -1)]), "pad-widths"),
    (lambda: ops.pad(x(3), []), "pad-widths"),
    (lambda: ops.concat([]), "concat-empty"),
    (lambda: ops.concat([x(2), x(2, 2)]), "concat-shapes"),
    (lambda: ops.concat([x(2, 2, 3), x(3, 3, 4)], 0), "concat-shapes"),
    (lambda: ops.matmul(x(3), x(3, 4)), "matmul-shapes"),
    (lambda: ops.matmul(x(), x(3, 4)), "matmul-shapes"),
    (lambda: ops.matmul(x(3, 4), x(7, 9)), "matmul-shapes"),
    (lambda: ops.bitcast(x(3), dt.int64), "bitcast-width"),
    (lambda: ops.take(x(3), x(3, dtype=dt.bool_), 0), "index-dtype"),
    (lambda: ops.scatter(x(3, 2), x(2, dtype=dt.int64), x(2, 3)), "scatter-shapes"),
    (lambda: ops.scatter(x(0), x(1, dtype=dt.int64), x(1)), "scatter-empty"),
    (lambda: ops.take_along_axis(x(3, 4), x(2, 4, dtype=dt.int64), 1), "take-along-axis-shapes"),
    (lambda: ops.constant(1.5, dt.int32), "value-out-of-range"),
    (lambda: ops.constant(float("nan"), dt.int32), "value-out-of-range"),
]


@pytest.mark.parametrize(("wrong", "slug"), MORE)
def test_a_mistake_has_its_page_and_a_fix(wrong: Callable[[], Any], slug: str) -> None:
    with pytest.raises(UserError) as caught:
        wrong()
    assert caught.value.slug == slug
    assert caught.value.expected
    assert caught.value.received
    assert caught.value.fix
