"""Convolutions on less arithmetic: values against float64, the same bits everywhere, and which ones are replaced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from test_compiler_random import NATIVE, run

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen.target import Target, named
from insitu.compiler import winograd as room
from insitu.compiler.winograd import winograd
from insitu.config import config
from insitu.graph.node import Node, aval, placeholder, topological
from insitu.graph.reference import evaluate
from insitu.transform.autodiff import backward

Pairs = tuple[tuple[int, int], tuple[int, int]]
SAME: Pairs = ((1, 1), (1, 1))


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    config.threads = None  # type: ignore[assignment]


class Case:
    """A convolution, its result and the gradients by both inputs."""

    def __init__(self, grid: tuple[int, ...], outputs: int, padding: Pairs = SAME, dtype: dt.DType = dt.float32) -> None:
        rng = np.random.default_rng(3)
        kernel = (3, 3, grid[-1], outputs)
        self.x, self.w = placeholder(aval(grid, dtype)), placeholder(aval(kernel, dtype))
        self.y = ops.conv(self.x, self.w, (1, 1), padding, (1, 1))
        self.ct = placeholder(aval(self.y.shape, dtype))
        self.outputs = [self.y, *backward([self.y], [self.ct], [self.x, self.w])]
        self.feeds = {n: rng.standard_normal(n.shape).astype(dtype.numpy) for n in (self.x, self.w, self.ct)}

    def run(self, cpu: Target = NATIVE) -> list[np.ndarray]:
        return run(self.outputs, self.feeds, cpu)


def kinds(outputs: list[Node]) -> list[str]:
    return [n.prim.name for n in topological(winograd(outputs)) if n.prim.kind in ("contract", "mix")]


SHAPES: list[tuple[tuple[int, ...], int, Pairs]] = [
    ((2, 8, 8, 128), 128, SAME),
    ((1, 8, 10, 64), 96, SAME),
    ((2, 10, 11, 130), 129, ((0, 0), (1, 0))),
    ((1, 7, 9, 70), 64, ((2, 1), (0, 3))),
    ((2, 9, 13, 128), 128, SAME),
]


@pytest.mark.parametrize(("grid", "outputs", "padding"), SHAPES)
def test_values_and_gradients_are_as_near_as_those_of_chains(
    grid: tuple[int, ...], outputs: int, padding: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(grid, outputs, padding)
    assert "conv" not in kinds(case.outputs[:1])
    exact, found = evaluate(case.outputs, case.feeds), case.run()
    limited(monkeypatch, "CHANNELS", dict.fromkeys(room.CHANNELS, 10**6))
    chains = case.run()
    for got, chain, expected in zip(found, chains, exact, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        assert np.std(got - expected) <= 2 * np.std(chain - expected)


def limited(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Set a limit of the pass, of which recipes on disk know nothing: they are left aside."""
    monkeypatch.setattr(config, "verify", True)
    monkeypatch.setattr(room, name, value)


def test_one_example_has_the_bits_it_has_in_a_batch() -> None:
    case, alone = Case((3, 8, 8, 64), 64), Case((1, 8, 8, 64), 64)
    alone.feeds = {n: case.feeds[m] if n is alone.w else case.feeds[m][1:2] for n, m in zip(alone.feeds, case.feeds, strict=True)}
    for whole, part in zip(case.run()[:2], alone.run()[:2], strict=True):
        assert whole[1:2].tobytes() == part.tobytes()


def test_neither_threads_nor_vectors_change_a_bit() -> None:
    case = Case((2, 8, 12, 128), 130)
    config.threads = 1
    expected = [a.tobytes() for a in case.run()]
    for threads, bits in ((2, 512), (3, 256), (7, 128), (1, 256)):
        config.threads = threads
        if bits <= NATIVE.vector_bits:
            assert [a.tobytes() for a in case.run(named("native", bits))] == expected, (threads, bits)


def test_a_batch_in_parts_has_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case((5, 8, 8, 128), 128)
    whole = case.run()
    limited(monkeypatch, "BYTES", 2 * 4 * 64 * 256 * 4)
    assert kinds(case.outputs).count("mix_blocks") == 6
    parts = case.run()
    assert whole[0].tobytes() == parts[0].tobytes() and whole[1].tobytes() == parts[1].tobytes()
    np.testing.assert_allclose(whole[2], parts[2], rtol=1e-4, atol=1e-4)


def test_an_example_that_would_need_too_much_memory_stays_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, "BYTES", 4 * 64 * 256 * 4 - 1)
    assert kinds(Case((5, 8, 8, 128), 128).outputs) == ["conv", "conv", "conv_weight"]


def test_the_gradient_by_the_grid_shares_the_kernels_transformation() -> None:
    case = Case((2, 8, 8, 64), 64)
    assert kinds(case.outputs[:2]) == ["mix", "mix", "matmul", "mix_blocks"] + ["mix", "matmul", "mix_blocks"]


@pytest.mark.parametrize(
    ("grid", "outputs", "padding", "dtype"),
    [
        ((1, 8, 8, 63), 64, SAME, dt.float32),
        ((1, 8, 8, 64), 63, SAME, dt.float32),
        ((9, 7, 9, 64), 64, SAME, dt.float32),
        ((0, 8, 8, 64), 64, SAME, dt.float32),
        ((1, 8, 8, 64), 64, SAME, dt.float64),
        ((1, 8, 8, 64), 64, SAME, dt.float16),
    ],
)
def test_other_shapes_stay_chains(grid: tuple[int, ...], outputs: int, padding: Pairs, dtype: dt.DType) -> None:
    assert kinds(Case(grid, outputs, padding, dtype).outputs[:1]) == ["conv"]


def test_gradients_by_the_kernel_need_more_channels_and_fewer_positions() -> None:
    assert kinds([Case((2, 8, 8, 64), 128).outputs[2]]) == ["conv_weight"]
    assert kinds(Case((2, 4, 4, 128), 128).outputs) == ["conv", "conv", "mix", "mix", "matmul", "mix"]
    assert kinds([Case((2, 2, 6, 128), 128).outputs[2]]) == ["conv_weight"]


def test_strides_dilation_and_groups_stay_chains() -> None:
    x, w = placeholder(aval((1, 16, 16, 128), dt.float32)), placeholder(aval((3, 3, 128, 128), dt.float32))
    half = placeholder(aval((3, 3, 64, 128), dt.float32))
    assert kinds([ops.conv(x, w, (2, 2), SAME, (1, 1))]) == ["conv"]
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
