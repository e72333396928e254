"""Indexing, `take` and `x.at[...]`, against NumPy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import insitu as si
from insitu.errors import DTypeError, IndexingError, ShapeError, TraceError, UserError

A = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
X = si.asarray(A)
I, J = np.array([0, 2, 1]), np.array([[1], [-1]])
NUMPY_KEYS: list[Any] = [
    0, -1, (1, 2), (1, 2, 3, 4), slice(None), slice(1, None), slice(None, None, -1), (slice(None), slice(2, 0, -1)), (..., 0), (0, ...), ..., None,
    (None, 0, None), (slice(None), None, 1), (..., None), (slice(3, 1),), (slice(-2, None), slice(0, 100, 2)), (slice(10, None),), [1, 0],
    ([0, 1], [2, 0]),
    (slice(None), I), (slice(None), I, slice(None), I), (slice(None), I, I), (0, I), (0, slice(None), I), (slice(None), 1, I), (1, I),
    (slice(None), J, I), (slice(None), slice(None), J, I), (None, [0, 1]), (slice(None), None, I), (I[:2] % 2, None, slice(None), I[:2]), (..., I),
    (..., I, I), ([[0, 1], [1, 0]], ..., 2), (slice(None), I, ..., 1), np.array(1), (np.array(1), slice(None), I), np.int32(1), (True,), (False,),
    A > 50, (slice(None), A[0].sum((1, 2)) > 200), A[:, 0, 0, 0] > 10, (slice(None), np.array([True, False, True]), slice(None), [0, 2]),
    np.zeros((2, 3), bool), (1, A[1] % 2 == 0), np.array([], int), ([],), (slice(None), slice(None, None, 2), [3, 1, 1]), (slice(None), [-1, -3]), (),
]  # fmt: skip


def _ours(key: Any) -> Any:
    """The same index with arrays of insitu in the places of NumPy's."""
    if isinstance(key, tuple):
        return tuple(_ours(k) for k in key)
    return si.asarray(key) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("key", NUMPY_KEYS, ids=lambda k: repr(k).replace("\n", "")[:60])
def test_indexing_agrees_with_numpy(key: Any) -> None:
    for k in (key, _ours(key)):
        found = X[k]
        assert found.shape == A[key].shape
        np.testing.assert_array_equal(found, A[key])


@pytest.mark.parametrize("key", NUMPY_KEYS, ids=lambda k: repr(k).replace("\n", "")[:60])
def test_updates_agree_with_numpy(key: Any) -> None:
    shape = A[key].shape
    values = np.arange(int(np.prod(shape))).reshape(shape) - 1000
    for update in (7, values, values[..., :1] if shape and shape[-1] else 7):
        expected = A.copy()
        expected[key] = update
        np.testing.assert_array_equal(X.at[_ours(key)].set(update), expected)
        expected = A.copy()
        np.add.at(expected, key, update)
        np.testing.assert_array_equal(X.at[key].add(update), expected)
    np.testing.assert_array_equal(X, A)


def _slices(n: int) -> st.SearchStrategy[slice]:
    ends = st.none() | st.integers(-n - 2, n + 2)
    return st.builds(slice, ends, ends, st.none() | st.integers(-3, 3).filter(bool))


@st.composite
def _keys(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    block = draw(st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]))
    parts: list[Any] = []
    for n in shape:
        kind = draw(st.sampled_from(["int", "slice", "slice", "array", "host"]))
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            parts.append(draw(_slices(n)))
        else:
            dims = tuple(m if draw(st.booleans()) else 1 for m in block)
            values = draw(st.lists(st.integers(-n, n - 1), min_size=int(np.prod(dims)), max_size=int(np.prod(dims))))
            parts.append((np.array(values, np.int64).reshape(dims), kind))
        if draw(st.integers(0, 5)) == 0:
            parts.append(None)
    cut = draw(st.integers(0, len(parts)))
    if draw(st.booleans()):
        parts = parts[:cut]
        if draw(st.booleans()):
            parts.insert(draw(st.integers(0, len(parts))), Ellipsis)
    return shape, tuple(parts)


@settings(max_examples=150, deadline=None)
@given(_keys())
def test_generated_indices_agree_with_numpy(case: tuple[tuple[int, ...], Any]) -> None:
    shape, parts = case
    a = np.arange(int(np.prod(shape))).reshape(shape)
    theirs = tuple(p[0] if isinstance(p, tuple) else p for p in parts)
    ours = tuple((si.asarray(p[0]) if p[1] == "array" else p[0]) if isinstance(p, tuple) else p for p in parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = a[theirs]
        except IndexError:  # an ellipsis put beside axes can make an index fall on a shorter axis
            return
    found = si.asarray(a)[ours]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


BAD_KEYS = [2, -3, (0, 3), (0, 0, 0, 0, 0), (..., ...), [0, 2], np.array([5]), 1.5, "a", slice(0, 1.5), slice(0, 5, 0),
            ([0, 1], [0, 1, 2]), np.zeros((3, 3), bool), np.array([1.0]), (slice(None), si.asarray([0.5]))]  # fmt: skip


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda k: repr(k)[:40])
def test_bad_indices_are_refused(key: Any) -> None:
    with pytest.raises(IndexingError) as caught:
        X[key]
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [(True, slice(1, 2)), (..., True), (slice(None), False), (None, True, 1), (True, [0, 1]), (slice(None, None, -1), True, [1, 0, 1]), (True, True),
     (slice(0, 2), [0, 2, 1], ..., [1, 0, 3]), (slice(None), 1, ..., [1, 0])],
    ids=str,
)  # fmt: skip
def test_single_booleans_and_empty_ellipses_agree_with_numpy(key: Any) -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(si.asarray(a)[key], a[key], strict=True)
    changed = a.copy()
    changed[key] = -1
    np.testing.assert_array_equal(si.asarray(a).at[key].set(-1), changed)


def test_a_slice_by_a_traced_value_is_refused() -> None:
    with pytest.raises(TraceError) as caught:
        si.compile(lambda x, n: x[:n])(si.ones(3), si.asarray(2))
    assert caught.value.slug == "trace-value" and "si.where" in caught.value.fix
    np.testing.assert_array_equal(si.ones(3)[: si.asarray(2)], [1, 1])


def test_dynamic_indices_take_the_nearest_element() -> None:
    x = si.asarray([10, 20, 30])
    np.testing.assert_array_equal(x[si.asarray([-1, 5, -9])], [30, 30, 10])
    grid = si.asarray([[1, 2], [3, 4]])
    np.testing.assert_array_equal(grid[si.asarray([0, 9]), si.asarray([-7, 1])], [1, 4])


def test_masks_are_refused_while_traced() -> None:
    from insitu.graph.node import aval, placeholder

    x = si.Array(placeholder(aval((3,), si.float32)))
    with pytest.raises(TraceError, match="mask"):
        x[x > 0]
    assert x[si.asarray([True, False, True])].shape == (2,)
    assert x.at[x > 0].set(0.0).shape == (3,)
    assert x[si.asarray(1)].shape == ()


def test_a_mask_with_one_value_updates_without_looking() -> None:
    a = np.array([[-1.0, 2.0], [3.0, -4.0]], np.float32)
    x = si.asarray(a)
    np.testing.assert_array_equal(x.at[x < 0].set(0), np.maximum(a, 0))
    np.testing.assert_array_equal(x.at[x < 0].add(10), np.where(a < 0, a + 10, a))
    np.testing.assert_array_equal(x.at[si.asarray([True, False])].set(9), [[9, 9], [3, -4]])
    np.testing.assert_array_equal(x.at[x < 0].set(si.asarray([7.0, 8.0])), [[7, 2], [3, 8]])


def test_repeated_indices_add_up_and_the_last_set_stays() -> None:
    x = si.zeros(3)
    i = si.asarray([1, 1, 2, 1])
    np.testing.assert_array_equal(x.at[i].add(si.asarray([1.0, 2.0, 3.0, 4.0])), [0, 7, 3])
    np.testing.assert_array_equal(x.at[i].set(si.asarray([1.0, 2.0, 3.0, 4.0])), [0, 4, 3])
    np.testing.assert_array_equal(x.at[i].subtract(1.0), [0, -3, -1])
    assert x.at[i].get().shape == (4,)


def test_updates_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="do not fit"):
        si.zeros(4).at[:2].set([1.0, 2.0, 3.0])
    with pytest.raises(DTypeError):
        si.zeros(4, dtype="int32").at[0].set(1.5)
    with pytest.raises(IndexingError):
        si.zeros(4).at[9].set(1)


# -- take ----------------------------------------------------------------------------------------------
def test_take_agrees_with_numpy() -> None:
    for axis in (0, 1, -1, None):
        for indices in ([0, 1], [[1, 0], [-1, 1]], 1):
            np.testing.assert_array_equal(si.take(X, indices, axis=axis), np.take(A, indices, axis=axis))
            np.testing.assert_array_equal(si.take(X, si.asarray(indices), axis=axis), np.take(A, indices, axis=axis))
    with pytest.raises(IndexingError):
        si.take(X, [2], axis=0)
    with pytest.raises(DTypeError):
        si.take(X, si.asarray([0.5]), axis=0)
    with pytest.raises(ShapeError):
        si.take(X, [0], axis=4)


def test_take_along_axis_agrees_with_numpy() -> None:
    a = np.random.default_rng(0).normal(size=(3, 4, 5))
    for axis in (0, 1, 2, -1):
        order = np.argsort(a, axis=axis)
        np.testing.assert_array_equal(si.take_along_axis(si.asarray(a), order, axis=axis), np.take_along_axis(a, order, axis=axis))
        best = np.argmax(a, axis=axis, keepdims=True)
        np.testing.assert_array_equal(si.take_along_axis(si.asarray(a), si.asarray(best), axis=axis), a.max(axis=axis, keepdims=True))
    narrow = a[:, :1]
    np.testing.assert_array_equal(
        si.take_along_axis(si.asarray(narrow), np.argsort(a, axis=2), axis=2), np.take_along_axis(narrow, np.argsort(a, axis=2), axis=2)
    )
    with pytest.raises(UserError):
        si.take_along_axis(si.asarray(a), [0, 1], axis=0)


def test_gradients_pass_through_indexing_and_updates() -> None:
    x = si.asarray(np.arange(6.0).reshape(2, 3))
    g = si.grad(lambda v: (v[:, si.asarray([0, 0, 2])] * si.asarray([1.0, 2.0, 3.0])).sum())(x)
    np.testing.assert_array_equal(g, [[3, 0, 3], [3, 0, 3]])
    g = si.grad(lambda v: (v[1, ::-2] * si.asarray([1.0, 2.0])).sum())(x)
    np.testing.assert_array_equal(g, [[0, 0, 0], [2, 0, 1]])
    for place in ((0, slice(None)), si.asarray([1]), (si.asarray([0]), si.asarray([1]))):
        g = si.grad(lambda v, place=place: (v.at[place].set(0.0) * 2).sum())(x)
        expected = np.full((2, 3), 2.0)
        expected[tuple(np.asarray(p) if isinstance(p, si.Array) else p for p in place) if isinstance(place, tuple) else np.asarray(place)] = 0
        np.testing.assert_array_equal(g, expected)
        g = si.grad(lambda u, place=place: (x.at[place].add(u) * 3).sum())(si.asarray(1.0, dtype="float64"))
        assert g == 3 * x[place].size


def test_a_slice_in_one_stretch_shares_memory_and_needs_no_program() -> None:
    from insitu.array import evaluate

    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    x = si.asarray(a)
    programs = len(evaluate._programs)
    for key in (0, slice(1, 2), (1, 2), (1, slice(1, 3)), (0, 1, slice(2, 4)), (1, 2, 3), (Ellipsis,), (0, None), slice(0, 2)):
        np.testing.assert_array_equal(np.asarray(x[key]), a[key])
    assert len(evaluate._programs) == programs
    start = np.asarray(x).ctypes.data
    assert np.asarray(x[1, 1:]).ctypes.data == start + 4 * (12 + 4)
    for key in ((slice(None), 1), (slice(None), slice(0, 2)), (0, slice(None), 1), slice(None, None, -1)):
        np.testing.assert_array_equal(np.asarray(x[key]), a[key])


def test_a_shared_slice_outlives_its_array_and_is_differentiable() -> None:
    part = (si.asarray(np.arange(10_000, dtype=np.float32)) * 1)[5000:5002]
    assert np.asarray(part).tolist() == [5000.0, 5001.0]
    x = si.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert np.asarray(si.grad(lambda v: si.sum(v[1] ** 2))(x)).tolist() == [[0, 0], [6, 8]]
    v = si.Variable(np.zeros((3, 2), np.float32))

    @si.compile
    def step():
        v.assign(v.value + 1)

    step()
    row = v.value[1]
    step()
    assert np.asarray(row).tolist() == [1, 1] and np.asarray(v.value).tolist() == [[2, 2]] * 3
