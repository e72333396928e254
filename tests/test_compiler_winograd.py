"""Convolutions on less arithmetic: values against float64, the same bits everywhere, and which ones are replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from test_compiler_random import NATIVE, run

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen.target import Target, named
from insitu.compiler import winograd as room
from insitu.compiler.fuse import group
from insitu.compiler.pipeline import passed
from insitu.compiler.winograd import winograd
from insitu.config import config
from insitu.graph.node import Node, aval, placeholder, topological
from insitu.graph.reference import evaluate
from insitu.ops.mixing import ALGORITHMS, transposed
from insitu.transform.autodiff import backward

Pairs = tuple[tuple[int, int], tuple[int, int]]
SAME: Pairs = ((1, 1), (1, 1))


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    config.threads = None  # type: ignore[assignment]


class Case:
    """A convolution, its result and the gradients by both inputs."""

    def __init__(
        self, grid: tuple[int, ...], outputs: int, padding: Pairs = SAME, dtype: dt.DType = dt.float32, taps: int = 3, stride: int = 1
    ) -> None:
        rng = np.random.default_rng(3)
        kernel = (taps, taps, grid[-1], outputs)
        self.x, self.w = placeholder(aval(grid, dtype)), placeholder(aval(kernel, dtype))
        self.y = ops.conv(self.x, self.w, (stride, stride), padding, (1, 1))
        self.ct = placeholder(aval(self.y.shape, dtype))
        self.outputs = [self.y, *backward([self.y], [self.ct], [self.x, self.w])]
        self.feeds = {n: rng.standard_normal(n.shape).astype(dtype.numpy) for n in (self.x, self.w, self.ct)}

    def run(self, cpu: Target = NATIVE) -> list[np.ndarray]:
        return run(self.outputs, self.feeds, cpu)


def kinds(outputs: list[Node]) -> list[str]:
    return [n.prim.name for n in topological(winograd(outputs)) if n.prim.kind in ("contract", "mix")]


#: The grid, outputs, padding, taps and stride.
Shape = tuple[tuple[int, ...], int, Pairs, int, int]
SHAPES: list[Shape] = [
    ((2, 8, 8, 128), 128, SAME, 3, 1),
    ((1, 8, 10, 64), 96, SAME, 3, 1),
    ((2, 10, 11, 80), 112, ((0, 0), (1, 0)), 3, 1),
    ((1, 7, 11, 64), 64, ((2, 1), (0, 3)), 3, 1),
    ((3, 9, 13, 416), 64, SAME, 3, 1),
    ((12, 9, 9, 64), 80, SAME, 3, 1),
    ((2, 9, 12, 32), 64, ((2, 2), (2, 2)), 5, 1),
    ((1, 14, 7, 48), 32, ((4, 3), (4, 4)), 5, 1),
    ((2, 16, 16, 128), 160, SAME, 3, 2),
    ((3, 17, 22, 144), 128, ((0, 1), (1, 0)), 3, 2),
    ((1, 21, 18, 416), 128, ((0, 0), (2, 2)), 3, 2),
    ((2, 9, 8, 64), 80, ((0, 0), (1, 0)), 2, 1),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_as_near_as_those_of_chains(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, outputs, padding, taps, stride = shape
    case = Case(grid, outputs, padding, taps=taps, stride=stride)
    plain = ["conv"] * 3 if stride > 1 else []  # the other phases of the gradient by the grid
    assert sorted(kinds(case.outputs)) == sorted(["mix", "conv_squares", "mix", "conv_squares", "conv_squares_weight", "mix", *plain])
    exact, found = evaluate(case.outputs, case.feeds), case.run()
    limited(monkeypatch, "PRODUCTS", 0.0)
    chains = case.run()
    for got, chain, expected in zip(found, chains, exact, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=3e-6 * np.abs(expected).max())
        assert np.std(got - expected) <= 2 * np.std(chain - expected)


def weighted(row: Sequence[float], values: Sequence[np.ndarray]) -> np.ndarray:
    """What the loop nest calls so, in float32 by NumPy."""
    terms = [(factor, x) for factor, x in zip(row, values, strict=True) if factor]
    scale = abs(terms[0][0]) if len({abs(factor) for factor, _ in terms}) == 1 else 1.0
    total: np.ndarray | None = None
    for factor, x in terms:
        part = x if abs(factor) == scale else x * np.float32(abs(factor))
        part = part if factor > 0 else -part
        total = part if total is None else total + part
    assert total is not None
    return total if scale == 1 else total * np.float32(scale)


def mixed(matrix: Sequence[Sequence[float]], x: np.ndarray) -> np.ndarray:
    """The first two axes mixed, along the first one first."""
    once = np.stack([weighted(row, list(x)) for row in matrix])
    return np.stack([weighted(row, list(once.swapaxes(0, 1))) for row in matrix], axis=1)


def squares(x: np.ndarray, matrix: Sequence[Sequence[float]], step: int, padding: Pairs, outputs: tuple[int, ...]) -> np.ndarray:
    size = len(matrix[0])
    spans = [step * (-(-out // 2) - 1) + size for out in outputs]
    whole = np.pad(x, [(0, 0), *[(a, size) for a, _ in padding], (0, 0)])[:, : spans[0], : spans[1]]
    seen = np.lib.stride_tricks.sliding_window_view(whole, (size, size), (1, 2))[:, ::step, ::step]
    return mixed(matrix, np.ascontiguousarray(seen.transpose(4, 5, 0, 1, 2, 3)))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_order_of_all_sums_is_that_of_the_loop_nest(shape: Shape) -> None:
    grid, outputs, padding, taps, stride = shape
    case, how = Case(grid, outputs, padding, taps=taps, stride=stride), ALGORITHMS[taps, stride]
    y, _, dw = case.run()
    x, w, ct = (case.feeds[n] for n in (case.x, case.w, case.ct))
    seen = squares(x, how.inputs, 2 * stride, padding, y.shape[1:3])
    given = squares(ct, transposed(how.outputs), 2, ((0, 0), (0, 0)), y.shape[1:3])
    p, count = len(how.inputs), seen.shape[2:-1]
    a, b = (placeholder(aval((p, p, seen[0, 0, ..., 0].size, n), dt.float32)) for n in (grid[-1], outputs))
    kernel = placeholder(aval((p, p, grid[-1], outputs), dt.float32))
    feeds = {a: seen.reshape(a.shape), b: given.reshape(b.shape), kernel: mixed(how.kernel, w)}
    products, gradient = run([ops.matmul(a, kernel), ops.matmul(ops.swap_last(a), b)], feeds, NATIVE)
    made = mixed(how.outputs, products.reshape(p, p, *count, outputs)).transpose(2, 3, 0, 4, 1, 5)
    whole = made.reshape(count[0], 2 * count[1], 2 * count[2], outputs)[:, : y.shape[1], : y.shape[2]]
    assert np.ascontiguousarray(whole).tobytes() == y.tobytes()
    assert mixed(transposed(how.kernel), gradient).tobytes() == dw.tobytes()


def limited(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Set a limit of the pass, of which recipes on disk know nothing: they are left aside."""
    monkeypatch.setattr(config, "verify", True)
    monkeypatch.setattr(room, name, value)


@pytest.mark.parametrize("stride", [1, 2])
def test_one_example_has_the_bits_it_has_in_a_batch(stride: int) -> None:
    case, alone = Case((3, 16, 16, 64), 64, stride=stride), Case((1, 16, 16, 64), 64, stride=stride)
    alone.feeds = {n: case.feeds[m] if n is alone.w else case.feeds[m][1:2] for n, m in zip(alone.feeds, case.feeds, strict=True)}
    for whole, part in zip(case.run()[:2], alone.run()[:2], strict=True):
        assert whole[1:2].tobytes() == part.tobytes()


@pytest.mark.parametrize(
    "case",
    [Case((2, 8, 12, 128), 144), Case((5, 9, 10, 32), 64, ((2, 2), (2, 2)), taps=5), Case((3, 17, 20, 128), 144, stride=2)],
    ids=["3x3", "5x5", "stride 2"],
)
def test_neither_threads_nor_vectors_change_a_bit(case: Case) -> None:
    config.threads = 1
    expected = [a.tobytes() for a in case.run()]
    for threads, bits in ((2, 512), (3, 256), (7, 128), (1, 256)):
        config.threads = threads
        if bits <= NATIVE.vector_bits:
            assert [a.tobytes() for a in case.run(named("native", bits))] == expected, (threads, bits)


def test_what_follows_a_convolution_is_computed_with_it() -> None:
    case = Case((2, 9, 8, 64), 64)
    bias = placeholder(aval((64,), dt.float32))
    feeds = {**case.feeds, bias: np.linspace(-1, 1, 64, dtype=np.float32)}
    y = ops.max_(ops.add(ops.add(case.y, bias), case.x), ops.constant(0, dt.float32))
    assert [[n.prim.name for n in g.nodes] for g in group(passed([y]))][-1] == ["conv_squares", "add", "add", "max"]
    found, plain = run([y], feeds, NATIVE)[0], case.run()[0]
    assert found.tobytes() == np.maximum(plain + feeds[bias] + feeds[case.x], np.float32(0)).tobytes()


@pytest.mark.parametrize(
    ("grid", "outputs", "dtype", "taps"),
    [
        ((1, 8, 8, 48), 64, dt.float32, 3),
        ((1, 8, 8, 64), 72, dt.float32, 3),
        ((9, 3, 5, 64), 64, dt.float32, 3),
        ((9, 5, 3, 64), 64, dt.float32, 2),
        ((0, 8, 8, 64), 64, dt.float32, 3),
        ((1, 8, 8, 64), 64, dt.float64, 3),
        ((1, 8, 8, 64), 64, dt.float16, 3),
        ((1, 8, 8, 16), 64, dt.float32, 5),
        ((1, 8, 8, 64), 64, dt.float32, 1),
        ((1, 9, 9, 64), 64, dt.float32, 7),
    ],
)
def test_other_shapes_stay_chains(grid: tuple[int, ...], outputs: int, dtype: dt.DType, taps: int) -> None:
    half = taps // 2
    assert kinds(Case(grid, outputs, ((half, half), (half, half)), dtype, taps).outputs[:1]) == ["conv"]


def test_gradients_by_the_kernel_need_fewer_positions() -> None:
    assert kinds(Case((2, 5, 5, 64), 64, ((0, 0), (0, 0)), taps=2).outputs) == ["conv", "conv", "conv_squares_weight", "mix"]
    assert kinds([Case((2, 2, 6, 128), 128).outputs[2]]) == ["conv_weight"]


def test_other_strides_dilation_and_groups_stay_chains() -> None:
    x, w = placeholder(aval((1, 16, 16, 128), dt.float32)), placeholder(aval((3, 3, 128, 128), dt.float32))
    half = placeholder(aval((3, 3, 64, 128), dt.float32))
    assert kinds([ops.conv(x, w, (2, 2), SAME, (1, 1))]) == ["mix", "conv_squares"]
    assert kinds([ops.conv(ops.slice_(x, (0, 0, 0, 0), (1, 14, 14, 128)), w, (2, 2), SAME, (1, 1))]) == ["conv"]  # 16 squares for 7x7 positions
    assert kinds([ops.conv(x, w, (3, 3), SAME, (1, 1))]) == kinds([ops.conv(x, w, (1, 2), SAME, (1, 1))]) == ["conv"]
    assert kinds([ops.conv(x, w, (1, 1), ((2, 2), (2, 2)), (2, 2))]) == ["conv"]
    assert kinds([ops.conv(x, half, (1, 1), SAME, (1, 1), 2)]) == ["conv"]


def test_numbers_that_are_not_finite_stay_in_the_squares_that_see_them() -> None:
    case = Case((1, 12, 12, 64), 64)
    case.feeds[case.x][0, 5, 5, 0] = np.nan
    y = run(case.outputs[:1], case.feeds)[0]
    assert np.isnan(y[0, 4:7, 4:7]).all()
    assert np.isfinite(np.delete(np.delete(y[0], np.s_[2:8], 0), np.s_[2:8], 1)).all()


def test_code_for_other_cpus_gives_the_same_bits() -> None:
    case = Case((1, 8, 8, 64), 64)
    if NATIVE.fma:
        assert [a.tobytes() for a in case.run(named("haswell"))] == [a.tobytes() for a in case.run()]
