"""What follows from constants alone is computed once, and operands of contractions lie in panels: with the same bits as always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import insitu as si
from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import target
from insitu.compiler import Compiled, compile_graph, constants
from insitu.config import config
from insitu.graph.node import Node, aval, placeholder

NATIVE = target.named("native")
Values = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    config.threads = config.cpu = None  # type: ignore[assignment]


def values(*shape: int, dtype: type = np.float32) -> Values:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def program(f: Any) -> Compiled:
    (traced,) = f._traced.values()
    return traced.program  # type: ignore[no-any-return]


def same_bits(f: Callable[..., si.Array], x: Values, *others: Values) -> Compiled:
    """Compare ``f(x, *others)`` where the others are constants with the same where they are arguments; returns the program of the former."""
    x, *others = map(si.asarray, (x, *others))  # type: ignore[assignment]
    closed = si.compile(lambda x: f(x, *others))
    for threads in (1, 2, 3):
        config.threads = threads
        expected, got = np.asarray(si.compile(f)(x, *others)), np.asarray(closed(x))
        assert got.tobytes() == expected.tobytes()
    return program(closed)


def panels(made: Compiled) -> list[int]:
    """The widths of the panels that a program's kernels read."""
    bodies = [s for low in made.stages.plan.order for s in low.kernel.body]
    return [operand.panel for s in bodies for operand in (getattr(s, "a", None), getattr(s, "b", None)) if getattr(operand, "panel", 0)]


# -- panels --------------------------------------------------------------------------------------
#: Full panels; a last one that is moved back; less than one; several blocks of k; far from any cache, also with few rows and a long k;
#: several blocks of panels, which threads share by rows, or by columns where there are few rows.
SIZES = [
    (20, 64, 64), (33, 64, 75), (7, 300, 9), (50, 1000, 40), (64, 1000, 300), (9, 1200, 70), (20, 4000, 100), (300, 200, 66),
    (150, 300, 900), (20, 300, 1400),
]  # fmt: skip


@pytest.mark.parametrize("cpu", ["native", "haswell"])
@pytest.mark.parametrize("size", SIZES)
def test_a_product_with_a_constant_matrix(size: tuple[int, int, int], cpu: str) -> None:
    config.cpu = cpu
    m, k, n = size
    assert panels(same_bits(lambda x, w, b: x @ w + b, values(m, k), values(k, n), values(n))) or n in (9, 66)
    assert panels(same_bits(lambda x, w: si.exp(x @ w.T), values(m, k), values(n, k))) or n in (9, 66)
    same_bits(lambda x, w: w @ x - 1, values(k, n), values(m, k))
    same_bits(lambda x, w: w.T @ x, values(k, n), values(k, m))


@pytest.mark.parametrize("cpu", ["native", "haswell"])
def test_products_of_other_dtypes(cpu: str) -> None:
    config.cpu = cpu
    assert panels(same_bits(lambda x, w: x @ w, values(40, 500, dtype=np.float64), values(500, 90, dtype=np.float64)))
    whole = np.arange(40 * 500, dtype=np.int32).reshape(40, 500)
    same_bits(lambda x, w: x @ w, whole, whole.T[:, :33])
    same_bits(lambda x, w: x @ w, values(40, 500, dtype=np.float16), values(500, 90, dtype=np.float16))


def test_few_rows_read_a_large_matrix_where_it_lies() -> None:
    assert not panels(same_bits(lambda x, w: x @ w, values(3, 400), values(400, 300)))
    assert not panels(same_bits(lambda x, w: x @ w.T, values(3, 400), values(300, 400)))
    assert panels(same_bits(lambda x, w: x @ w.T, values(3, 40), values(64, 40)))


def test_batches_of_products() -> None:
    x, w = values(3, 20, 100), values(3, 100, 50)
    assert panels(same_bits(lambda x, w: x @ w, x, w))
    made = same_bits(lambda x, w: x @ w, x, w[0])
    assert panels(made) and made.stages.preparation is not None and made.stages.preparation.simplified[0].shape[0] == 1
    same_bits(lambda x, w: w @ x, values(3, 50, 7), values(3, 40, 50))
    same_bits(lambda x, w: w @ x, values(3, 50, 7), values(40, 50))


@pytest.mark.parametrize("cpu", ["native", "haswell"])
@pytest.mark.parametrize(
    "grid", [(9, 16, 40, 1, 1), (8, 32, 24, 1, 2), (7, 64, 70, 2, 1), (14, 64, 64, 2, 4), (7, 256, 80, 1, 1), (16, 64, 96, 1, 1)]
)
def test_a_convolution_with_a_constant_kernel(grid: tuple[int, int, int, int, int], cpu: str) -> None:
    config.cpu = cpu
    extent, inputs, outputs, stride, groups = grid
    for window in (1, 3):
        kernel = values(window, window, inputs // groups, outputs)
        x = values(2, extent, extent, inputs)
        made = same_bits(lambda x, w: si.conv(x, w, strides=stride, padding=window // 2, groups=groups) * 2, x, kernel)  # noqa: B023
        assert panels(made) or kernel.nbytes < constants.WORTH_BYTES


def test_a_matrix_that_is_read_twice_is_laid_out_once() -> None:
    w = values(64, 64)
    made = same_bits(lambda x, w: (x @ w) @ w, values(20, 64), w)
    assert len(panels(made)) == 2 and made.recipe.preparation is not None and len(made.recipe.preparation.results) == 1


@pytest.mark.parametrize("cpu", ["native", "haswell"])
@pytest.mark.parametrize(("inputs", "stride", "count"), [(192, 2, 4), (192, 1, 1), (70, 2, 0), (9, 2, 0)])
def test_the_copy_of_a_kernel_for_a_gradient_lies_in_panels_that_it_fills(inputs: int, stride: int, count: int, cpu: str) -> None:
    config.cpu = cpu
    x, w = si.asarray(values(2, 7, 6, inputs)), si.asarray(values(3, 3, inputs, 40))
    f = si.grad(lambda x, w: si.sum(si.conv(x, w, strides=stride, padding="same") ** 2))
    expected = np.asarray(f(x, w))
    for threads in (1, 2, 3):
        config.threads = threads
        compiled = si.compile(f)
        assert np.asarray(compiled(x, w)).tobytes() == expected.tobytes()
        assert len(panels(program(compiled))) == count
        assert sum(low.group.nodes[0].prim.name == "identity" for low in program(compiled).stages.plan.order) >= count  # one copy for each


# -- what is kept --------------------------------------------------------------------------------
def divided(f: Callable[..., Node], *shapes: tuple[int, ...]) -> constants.Divided:
    """A function of one argument and some constants in two parts."""
    x, *fixed = [placeholder(aval(shape, dt.float32)) for shape in shapes]
    return constants.divide([f(x, *fixed)], fixed)


def kept(*args: Any) -> list[str]:
    return [n.prim.name for n in divided(*args).prepared.values()]


def test_values_are_kept_where_they_are_read_whole_and_no_larger_than_what_they_are_made_of() -> None:
    large, row = (100, 100), (100,)
    assert kept(lambda x, w, g: ops.mul(x, ops.add(ops.mul(w, g), w)), large, large, row) == ["add"]
    assert kept(lambda x, w: ops.mul(x, ops.exp(ops.neg(w))), large, large) == ["exp"]
    assert kept(lambda x, w: ops.add(x, ops.reduce_sum(w, (0,))), row, large) == ["reduce_sum"]
    assert not kept(lambda x, g: ops.mul(x, ops.neg(g)), large, row)  # no work
    assert not kept(lambda x, g: ops.mul(x, ops.add(ops.reshape(g, (4000, 1)), g)), (4000, 4000), (4000,))  # larger
    assert not kept(lambda x, w: ops.mul(x, ops.slice_(ops.neg(w), (0, 0), (1, 100))), (1, 100), large)  # a part is read
    assert not kept(lambda x, w: ops.mul(x, ops.permute(w, (1, 0))), large, large)  # read in place


def test_variables_and_results_are_computed_in_every_run() -> None:
    v, w = si.Variable(np.ones((64, 64), np.float32)), si.asarray(values(64, 64))
    f = si.compile(lambda x: x @ (v.value * 2))
    x = si.asarray(values(8, 64))
    for factor in (1.0, 3.0):
        v.assign(si.full((64, 64), factor))
        np.testing.assert_allclose(np.asarray(f(x)), np.asarray(x) @ np.full((64, 64), factor * 2, np.float32), rtol=1e-5)
    g = si.compile(lambda x: (x + 1, w * 2))
    assert np.asarray(g(x)[1]).tobytes() == np.asarray(w * 2).tobytes() and program(g).recipe.preparation is None


def test_constants_that_only_the_preparation_reads_are_not_held() -> None:
    w, b = si.asarray(values(300, 200)), si.asarray(values(200))
    f = si.compile(lambda x: x @ w + b)
    f(si.ones((20, 300)))
    (traced,) = f._traced.values()
    assert b._node.memory in traced.captured and w._node.memory not in traced.captured
    assert program(f).recipe.kept == (1,) and len(traced.captured) == 2


def test_a_program_takes_what_it_has_prepared() -> None:
    x, w = (placeholder(aval((64, 64), dt.float32)) for _ in range(2))
    plain = compile_graph([ops.matmul(x, w)], [x, w], NATIVE, join=True)
    made = compile_graph([ops.matmul(x, w)], [x, w], NATIVE, join=True, constants=1)
    memories = [si.asarray(values(64, 64))._node.memory] * 2
    (expected,), (got,) = plain.run(memories), made.run([memories[0], *made.prepare(memories[1:])])
    assert expected.view((64, 64), np.float32).tobytes() == got.view((64, 64), np.float32).tobytes()
    assert "panels of" in made.inspect("nests") and "once, from constants" in made.inspect("simplified")
