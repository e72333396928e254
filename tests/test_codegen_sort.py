"""Argsort kernels against NumPy's stable argsort, for every type, length, order and stride."""

from __future__ import annotations

import kernels
import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.codegen import nest, verify
from insitu.codegen.cpu import generate
from insitu.codegen.nest import ArgSort, Buffer, Kernel, index, op
from insitu.codegen.target import Target
from insitu.errors import InternalError

TARGETS = [t for t in (kernels.TARGETS[0], kernels.TARGETS[3], kernels.TARGETS[4]) if kernels.has_instruction(t)]
each_target = pytest.mark.parametrize("target", TARGETS, ids=[f"{t.cpu}-{t.vector_bits}" for t in TARGETS])


def argsort(
    rows: int, n: int, dtype: dt.DType, descending: bool, source: tuple[int, int], target: tuple[int, int], kept: int | None = None
) -> Kernel:
    """Strides (of rows, of elements) of the keys and of the positions."""
    r, kept = nest.axis("r", None), n if kept is None else kept
    stmt = ArgSort("x", op("mul", r, index(source[0])), source[1], "o", op("mul", r, index(target[0])), target[1], n, kept, dtype, descending)
    return Kernel("r", rows, (Buffer("x", dtype, "in"), Buffer("o", dt.int64, "out")), (stmt,))


def samples(dtype: dt.DType, rows: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    if dtype.kind == "b":
        return rng.integers(0, 2, (rows, n)).astype(bool)
    if dtype.kind != "f":
        x = rng.integers(0, 40, (rows, n)).astype(dtype.numpy)
        x[:, n // 2 :] = rng.integers(dtype.min, dtype.max, (rows, n - n // 2), dtype.numpy, endpoint=True)
        x[:, :2] = [[dtype.min, dtype.max]][0][: min(n, 2)]
        return x
    x = rng.standard_normal((rows, n)).round(1)
    for start, value in enumerate((np.nan, -0.0, 0.0, -np.inf, np.inf)):
        x[:, start::11] = value
    x = x.astype(dtype.numpy)
    x.view(f"u{dtype.itemsize}")[:, 7::22] |= np.array(1 << (dtype.bits - 1), f"u{dtype.itemsize}")  # a negative NaN among others
    return x


@each_target
@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
def test_positions_are_those_of_a_stable_sort(dtype: dt.DType, target: Target) -> None:
    for n in (1, 15, 16, 33, 1000):
        x = samples(dtype, 3, n)
        kernel = argsort(3, n, dtype, False, (n, 1), (n, 1))
        verify.verify(kernel)
        got = kernels.run(kernel, target, {"x": x, "o": np.full((3, n), -1, np.int64)}, split=1)["o"]
        wide = x.astype(np.float32) if dtype.kind == "f" and dtype.bits == 16 else x
        assert np.array_equal(got, np.argsort(wide, axis=1, kind="stable")), n


@each_target
@pytest.mark.parametrize("dtype", [dt.float32, dt.int32, dt.uint64, dt.float16, dt.bool_], ids=lambda d: d.name)
def test_descending_puts_nan_first_and_keeps_the_order_of_equals(dtype: dt.DType, target: Target) -> None:
    for n in (150, 1000):  # merged, and for the most part byte by byte
        x = samples(dtype, 2, n)
        got = kernels.run(argsort(2, n, dtype, True, (n, 1), (n, 1)), target, {"x": x, "o": np.zeros((2, n), np.int64)})["o"]
        wide = x.astype(np.float32) if dtype.kind == "f" and dtype.bits == 16 else x
        expected = [n - 1 - np.argsort(row[::-1], kind="stable")[::-1] for row in wide]
        assert np.array_equal(got, expected), n


@each_target
def test_keys_and_positions_may_have_strides(target: Target) -> None:
    x = np.random.default_rng(1).standard_normal((70, 5)).astype(np.float32)
    got = kernels.run(argsort(5, 70, dt.float32, False, (1, 5), (1, 5)), target, {"x": x, "o": np.zeros((70, 5), np.int64)})["o"]
    assert np.array_equal(got, np.argsort(x, axis=0, kind="stable"))


@each_target
@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
def test_the_first_positions_of_many_are_those_of_the_whole_sort(dtype: dt.DType, target: Target) -> None:
    """Few, so that most elements are only looked at; many equal ones, all in the wrong order, all in the right one; more than can be kept so."""
    for n, kept in ((3000, 1), (2049, 30), (1500, 128), (1100, 200), (700, 5), (40, 0)):
        x = samples(dtype, 3, n)
        x[1], x[2] = np.sort(x[1]), np.sort(x[2])[::-1]
        for descending in (False, True):
            whole = kernels.run(argsort(3, n, dtype, descending, (n, 1), (n, 1)), target, {"x": x, "o": np.zeros((3, n), np.int64)})["o"]
            kernel = argsort(3, n, dtype, descending, (n, 1), (kept, 1), kept)
            verify.verify(kernel)
            got = kernels.run(kernel, target, {"x": x, "o": np.zeros((3, kept), np.int64)}, split=2)["o"]
            assert np.array_equal(got, whole[:, :kept]), (n, kept, descending)


@each_target
def test_the_first_positions_may_have_strides(target: Target) -> None:
    x = np.random.default_rng(1).standard_normal((1500, 5)).astype(np.float32)
    got = kernels.run(argsort(5, 1500, dt.float32, False, (1, 5), (1, 5), 7), target, {"x": x, "o": np.zeros((7, 5), np.int64)})["o"]
    assert np.array_equal(got, np.argsort(x, axis=0, kind="stable")[:7])


def test_an_argsort_stands_alone() -> None:
    kernel = argsort(5, 70, dt.float32, False, (1, 5), (1, 5))
    doubled = Kernel(kernel.unit, kernel.units, kernel.buffers, kernel.body * 2)
    with pytest.raises(InternalError, match="only statement"):
        verify.verify(doubled)
    with pytest.raises(InternalError, match="only statement"):
        generate(doubled, TARGETS[0])
