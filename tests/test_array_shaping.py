"""Shape functions, joining, padding, products and einsum, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import insitu as si
from insitu.array.einsum import plan
from insitu.errors import ArgumentError, ShapeError, UserError
from insitu.graph.node import topological
from insitu.ops.slicing import WIDEST

A = np.arange(24.0).reshape(2, 3, 4)
X = si.asarray(A)
RNG = np.random.default_rng(3)


def _same(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    assert type(found) is si.Array
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=1e-12)


def test_shapes_and_orders_agree_with_numpy() -> None:
    _same(si.reshape(X, (4, -1)), A.reshape(4, -1))
    _same(X.reshape(6, 4), A.reshape(6, 4))
    _same(X.reshape(-1), A.ravel())
    _same(X.ravel(), A.ravel())
    _same(X.flatten(), A.ravel())
    _same(si.permute_dims(X, (2, 0, 1)), A.transpose(2, 0, 1))
    _same(X.transpose(), A.T)
    _same(X.transpose(1, 0, 2), A.transpose(1, 0, 2))
    _same(si.transpose(X, (-1, 0, 1)), A.transpose(-1, 0, 1))
    _same(si.matrix_transpose(X), A.swapaxes(1, 2))
    _same(X.swapaxes(0, -1), A.swapaxes(0, -1))
    for source, to in ((0, -1), (-1, 0), ((0, 1), (1, 2)), ([2, 0], [0, 1])):
        _same(si.moveaxis(X, source, to), np.moveaxis(A, source, to))
    for axis in (0, 1, -1, (0, 2), (-1, 0)):
        _same(si.expand_dims(X, axis=axis), np.expand_dims(A, axis))
    _same(si.squeeze(X[None, :, :, :, None]), A)
    _same(si.squeeze(X[None, :, :, :, None], axis=-1), A[None])
    _same(si.broadcast_to(X[:, :1], (5, 2, 3, 4)), np.broadcast_to(A[:, :1], (5, 2, 3, 4)))
    for found, expected in zip(si.broadcast_arrays(X, si.ones(4)), np.broadcast_arrays(A, np.ones(4)), strict=True):
        _same(found, expected)
    assert si.broadcast_shapes((2, 1), (3,)) == (2, 3)
    for offset in (-2, -1, 0, 1, 3, 9, -9):
        _same(si.diagonal(X, offset=offset), np.diagonal(A, offset, 1, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: si.reshape(X, (5, 5)), lambda: si.reshape(X, (-1, -1)), lambda: si.permute_dims(X, (0, 1)), lambda: si.permute_dims(X, (0, 0, 1)),
        lambda: si.squeeze(X, axis=1), lambda: si.expand_dims(X, axis=9), lambda: si.moveaxis(X, (0, 1), (0,)), lambda: si.broadcast_to(X, (2, 3, 5)),
        lambda: si.concat([X, si.ones((2, 3))]), lambda: si.concat([]), lambda: si.stack([X, X[0]]), lambda: si.split(X, 5, axis=1),
        lambda: si.roll(X, (1, 2), axis=0), lambda: si.pad(X, (1, 2, 3)), lambda: si.pad(X, -1), lambda: si.pad(X, 1, mode="mirror"),
        lambda: si.repeat(X, -1, axis=0), lambda: si.repeat(X, si.asarray([1, 2, 3]), axis=0), lambda: si.diagonal(si.ones(2)),
        lambda: si.tensordot(X, X, axes=4), lambda: si.tensordot(X, X, axes=((0,), (1,))), lambda: si.vecdot(X, si.ones(3)),
        lambda: si.broadcast_shapes((2,), (3,)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call: Any) -> None:
    with pytest.raises(UserError):
        call()


def test_joining_and_taking_apart_agree_with_numpy() -> None:
    for axis in (0, 1, -1):
        _same(si.concat([X, X + 1, X], axis=axis), np.concatenate([A, A + 1, A], axis=axis))
        _same(si.stack([X, X + 1], axis=axis), np.stack([A, A + 1], axis=axis))
        for found, expected in zip(si.unstack(X, axis=axis), np.moveaxis(A, axis, 0), strict=True):
            _same(found, expected)
        for parts in (1, [1], [1, 1], [0, 5], [-1]):
            for found, expected in zip(si.split(X, parts, axis=axis), np.split(A, parts, axis=axis), strict=True):
                _same(found, expected)
    _same(si.stack([X, X], axis=3), np.stack([A, A], axis=3))
    _same(si.concat([X, si.ones(2)], axis=None), np.concatenate([A, np.ones(2)], axis=None))
    assert si.concat([si.asarray([1]), si.asarray([2.5])]).dtype is si.float32
    _same(si.concatenate([X[:0], X]), A)


def test_moving_and_repeating_agree_with_numpy() -> None:
    for axis in (None, 0, (1, 2)):
        _same(si.flip(X, axis=axis), np.flip(A, axis))
    for shift, axis in ((1, None), (-2, 0), (5, 1), ((1, -1), (0, 2)), (30, None), ((1, 2), (1, 1)), (0, 0)):
        _same(si.roll(X, shift, axis=axis), np.roll(A, shift, axis))
    for reps in (2, (2, 1), (1, 2, 3), (2, 1, 1, 2), (0, 1)):
        _same(si.tile(X, reps), np.tile(A, reps))
    for repeats, axis in ((2, None), (3, 1), (0, 0), ([1, 0], 0), ([1, 2, 0], 1), ([2], 2)):
        _same(si.repeat(X, repeats if isinstance(repeats, int) else si.asarray(repeats), axis=axis), np.repeat(A, repeats, axis))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_padding_agrees_with_numpy(mode: str) -> None:
    for width in (1, (2, 1), ((0, 1), (2, 0), (3, 1)), 5):
        _same(si.pad(X, width, mode=mode), np.pad(A, width, mode=mode))
    if mode == "constant":
        _same(si.pad(X, 1, constant_values=-7), np.pad(A, 1, constant_values=-7))
    else:
        with pytest.raises(ShapeError):
            si.pad(si.zeros((0,)), 1, mode=mode)


# -- products -----------------------------------------------------------------------------------------------
def test_products_agree_with_numpy() -> None:
    b = RNG.normal(size=(3, 4, 5))
    for axes in (0, 1, ((1, 2), (0, 1)), ((2, 1), (1, 0)), ((-1,), (-2,))):
        second = b if axes not in (1,) else b.transpose(1, 0, 2)
        _same(si.tensordot(X, si.asarray(second), axes=axes), np.tensordot(A, second, axes))
    _same(si.tensordot(si.asarray(A[0]), si.asarray(b[:, :, 0])), np.tensordot(A[0], b[:, :, 0]))
    _same(si.vecdot(X, si.asarray(A[0])), np.vecdot(A, A[0]))
    _same(si.vecdot(X, X, axis=-2), np.vecdot(A, A, axis=-2))
    _same(si.outer(si.arange(3), si.arange(4)), np.outer(np.arange(3), np.arange(4)))
    _same(si.dot(X[0], si.asarray(A[0].T)), A[0] @ A[0].T)
    _same(si.dot(X[0], si.asarray(np.moveaxis(A, -1, 1))), np.dot(A[0], np.moveaxis(A, -1, 1)))
    _same(si.dot(X, si.asarray(A[0].T)), np.dot(A, A[0].T))
    _same(X[0].dot(2.0), A[0] * 2)
    _same(si.matmul(si.asarray([[1, 2]]), si.asarray([[3], [4]])), [[11]])


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij,kj->ki", (2, 3), (4, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)),
    ("iij->ji", (3, 3, 2)),
    ("ij->", (2, 3)), ("ij->ji", (2, 3)), ("ba", (2, 3)), ("i,i", (4,), (4,)), ("i,j->ij", (3,), (4,)), ("i,j->ji", (3,), (4,)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("...ij,...jk->...ik", (5, 1, 2, 3), (6, 3, 4)), ("...ij,jk", (5, 2, 3), (3, 4)),
    ("...i->...", (2, 3, 4)),
    ("i...->...", (2, 3)), ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)), ("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("ij,jk,kl,lm->im", (2, 9), (9, 3), (3, 8), (8, 2)), ("abc,abd,ae->cde", (2, 3, 4), (2, 3, 5), (2, 6)),
    ("ij,ij->ij", (2, 3), (2, 3)), ("ij,i->ij", (2, 3), (2,)), (",ij->ij", (), (2, 3)), ("i,->i", (3,), ()), ("ij,jk->", (2, 3), (3, 4)),
    ("iji,jk->ik", (2, 3, 2), (3, 4)), ("ij,kl->ijkl", (2, 1), (3, 2)), ("ij,jk->ik", (2, 1), (3, 4)), ("a...b,b...->a...", (2, 3, 4), (4, 3)),
    ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)), ("i,i,i->", (3,), (3,), (3,)), ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 2)),
    (" i j , j k -> i k ", (2, 3), (3, 4)), ("Ab,bC", (2, 3), (3, 4)), ("...,...", (2, 3), (3,)), ("abab->ba", (2, 3, 2, 3)), ("iii", (3, 3, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
def test_einsum_agrees_with_numpy(case: Any) -> None:
    operands = [RNG.normal(size=s) for s in case[1:]]
    _same(si.einsum(case[0], *map(si.asarray, operands)), np.einsum(case[0], *operands), 1e-10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_generated_einsums_agree_with_numpy(terms: list[list[str]], random: Any) -> None:
    sizes = {"a": 2, "b": 3, "c": 1, "d": 4}
    present = sorted({c for t in terms for c in t})
    output = "".join(random.sample(present, random.randint(0, len(present))))
    text = ",".join("".join(t) for t in terms) + "->" + output
    operands = [np.round(RNG.normal(size=[sizes[c] for c in t]), 2) for t in terms]
    _same(si.einsum(text, *map(si.asarray, operands)), np.einsum(text, *operands), 1e-9)


def test_einsum_takes_integers_and_promotes() -> None:
    a, b = np.array([[1, 2], [3, 4]]), np.array([[1.5], [2.5]], np.float32)
    assert si.einsum("ij,jk", si.asarray(a), si.asarray(a)).dtype is si.int64
    _same(si.einsum("ij,jk", si.asarray(a), si.asarray(a)), a @ a)
    _same(si.einsum("ij,jk", si.asarray(a), si.asarray(b)), a @ b)


WRONG = [("ij,jk", ((2, 3),)), ("ij", ((2,),)), ("i->j", ((2,),)), ("ij->ii", ((2, 2),)), ("i1", ((2, 2),)),
         ("...i->i", ((2, 2),)),
         ("ij,jk", ((2, 3), (4, 5))), ("i....", ((2, 2),)), ("", ())]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes"), WRONG)
def test_wrong_subscripts_are_refused(text: str, shapes: Any) -> None:
    with pytest.raises((ArgumentError, ShapeError), match="einsum"):
        si.einsum(text, *[si.ones(s) for s in shapes])


def test_the_einsum_plan_keeps_intermediate_results_small() -> None:
    sizes = (("i", 2), ("j", 100), ("k", 100), ("l", 2))
    assert plan(("ij", "jk", "kl"), "il", sizes) == ((0, 1), (0, 1))
    assert plan(("jk", "ij", "kl"), "il", sizes)[0] == (0, 1)
    assert plan(("i", "i", "ij"), "j", (("i", 5), ("j", 7))) == ((0, 1), (0, 1))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_many_arrays_are_joined_in_parts(axis: int) -> None:
    """One node for a thousand arrays would look for each element among all of them, and take minutes to compile."""
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=(2, 3, 2)) for _ in range(70)]
    pieces = [si.asarray(a) for a in arrays]
    joined, stacked = si.concat(pieces, axis=axis), si.stack(pieces, axis=axis)
    for x in (joined, stacked):
        assert max(len(n.inputs) for n in topological([x._node])) <= WIDEST
    _same(joined, np.concatenate(arrays, axis=axis))
    _same(stacked, np.stack(arrays, axis=axis))
    weights = si.asarray(rng.normal(size=joined.shape))
    grads = si.grad(lambda pieces: si.sum(si.concat(pieces, axis=axis) * weights))(pieces)
    for found, expected in zip(grads, np.split(np.asarray(weights), 70, axis=axis), strict=True):
        _same(found, expected)
