"""Convolutions have the bits of matrix products with their windows, for every vector width and however a kernel is cut."""

from __future__ import annotations

import numpy as np
import pytest
from test_compiler_primitives import leaves, run

from insitu import ops
from insitu.codegen import target
from insitu.codegen.cpu.gemm import choose, schedule, windows
from insitu.codegen.nest import Contract
from insitu.compiler import compile_graph, pipeline
from insitu.graph.node import Node
from insitu.ops.convolution import window_extents
from insitu.runtime.memory import from_numpy

#: grid, kernel, strides, padding, dilation, groups
CASES = {
    "plain": ((2, 9, 8, 5), (3, 3, 5, 7), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "no padding": ((2, 9, 8, 5), (3, 2, 5, 40), (1, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "rows end inside a tile": ((3, 5, 19, 4), (3, 3, 4, 33), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "tiles of several rows": ((4, 4, 4, 20), (3, 3, 20, 48), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "narrow": ((2, 6, 6, 40), (3, 3, 40, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "few outputs": ((2, 5, 40, 70), (3, 3, 70, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "few outputs, no padding": ((2, 9, 37, 3), (3, 2, 3, 8), (2, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one output, dilated": ((1, 12, 35, 8), (3, 3, 8, 1), (1, 1), ((2, 2), (30, 20)), (2, 3), 1),
    "few outputs of volumes": ((2, 4, 5, 33, 6), (3, 2, 3, 6, 2), (1, 2, 1), ((1, 1), (0, 1), (1, 1)), (1, 1, 2), 1),
    "several blocks of k": ((1, 6, 7, 150), (3, 3, 150, 37), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "blocks end inside a run": ((3, 5, 5, 97), (3, 3, 97, 17), (2, 1), ((2, 0), (0, 2)), (1, 1), 1),
    "dilated": ((2, 11, 10, 6), (3, 3, 6, 18), (1, 1), ((2, 2), (3, 3)), (2, 3), 1),
    "strides past the window": ((2, 13, 11, 3), (2, 2, 3, 16), (5, 4), ((1, 0), (0, 1)), (1, 1), 1),
    "groups": ((2, 7, 6, 12), (3, 3, 4, 24), (2, 1), ((1, 1), (1, 1)), (1, 1), 3),
    "groups without padding": ((2, 7, 6, 12), (3, 3, 4, 24), (1, 1), ((0, 0), (0, 0)), (1, 1), 3),
    "one tap": ((2, 6, 7, 40), (1, 1, 40, 36), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one tap with strides": ((2, 6, 7, 40), (1, 1, 40, 36), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    "one tap, groups": ((2, 6, 7, 40), (1, 1, 10, 36), (1, 1), ((0, 0), (0, 0)), (1, 1), 4),
    "many outputs": ((3, 12, 13, 20), (3, 3, 20, 200), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "one channel": ((3, 12, 12, 1), (5, 5, 1, 32), (1, 1), ((2, 2), (2, 2)), (1, 1), 1),
    "one axis, long": ((2, 30000, 4), (9, 4, 8), (3,), ((8, 0),), (2,), 1),
    "one position": ((3, 3, 3, 8), (3, 3, 8, 33), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "volumes": ((2, 5, 6, 7, 3), (3, 2, 3, 3, 10), (1, 2, 1), ((1, 1), (0, 1), (1, 1)), (1, 1, 2), 1),
    "wide rows": ((1, 4, 900, 33), (3, 3, 33, 4), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
}


def arrays(case: str, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grid, kernel and a cotangent, with negative zeros, and infinities in none."""
    x, w, strides, padding, dilation, _ = CASES[case]
    rng = np.random.default_rng(len(case))
    out = (x[0], *window_extents(x[1:-1], w[:-2], strides, padding, dilation), w[-1])
    made = [rng.standard_normal(shape).astype(dtype) for shape in (x, w, out)]
    made[0].flat[::7] = -0.0
    return made[0], made[1], made[2]


def products(x: Node, w: Node, ct: Node, case: str) -> tuple[Node, Node]:
    """The convolution and its gradient by the kernel as matrix products with all windows in memory."""
    _, kernel, strides, padding, dilation, groups = CASES[case]
    rank, taps = len(strides), int(np.prod(kernel[:-2]))
    seen = ops.windows(ops.pad(x, [(0, 0), *padding, (0, 0)]), kernel[:-2], strides, dilation)
    positions = int(np.prod(seen.shape[: 1 + rank]))
    each, outputs = kernel[-2], kernel[-1] // groups
    values, slopes = [], []
    for g in range(groups):
        part = ops.slice_(seen, [0] * (seen.ndim - 1) + [g * each], [*seen.shape[:-1], (g + 1) * each])
        rows = ops.identity(ops.reshape(part, (positions, taps * each)))
        own = [ops.slice_(a, [0] * (a.ndim - 1) + [g * outputs], [*a.shape[:-1], (g + 1) * outputs]) for a in (w, ct)]
        values.append(ops.matmul(rows, ops.identity(ops.reshape(own[0], (taps * each, outputs)))))
        slopes.append(ops.matmul(ops.swap_last(rows), ops.identity(ops.reshape(own[1], (positions, outputs)))))
    return ops.reshape(ops.concat(values, 1), ct.shape), ops.reshape(ops.concat(slopes, 1), kernel)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_products_with_windows(case: str, bits: int) -> None:
    _, kernel, strides, padding, dilation, groups = CASES[case]
    given = arrays(case, "float32")
    nodes = leaves(given)
    ours = [
        ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups),
        ops.conv_weight(nodes[0], nodes[2], kernel[:-2], strides, padding, dilation, groups),
    ]
    cpu = target.named("native", bits)
    got = run(ours, nodes, list(given), cpu)
    expected = run(list(products(*nodes, case)), nodes, list(given), cpu)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("bits", [128, 512])
def test_packed_windows_have_the_same_bits(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packing seems to cost nothing, tiles of all shapes are packed."""
    cpu, cost, seen = target.named("native", bits), schedule._cost, set()
    if not cpu.masks:
        pytest.skip("windows are only packed for AVX-512")

    def preferred(c: Contract, v: schedule.Variant, t: target.Target) -> float:
        seen.add((v.windows, v.pack_rows, v.lines > 1))
        return cost(c, v, t) * (1e-3 if v.pack_rows else 1)

    for case, (_, kernel, strides, padding, dilation, groups) in CASES.items():
        given = arrays(case, "float32")
        nodes = leaves(given)
        ours = [
            ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups),
            ops.conv_weight(nodes[0], nodes[2], kernel[:-2], strides, padding, dilation, groups),
        ]
        expected = run(ours, nodes, list(given), cpu)
        with monkeypatch.context() as patch:
            patch.setattr(schedule, "_cost", preferred)
            pipeline._generated.cache_clear()
            got = run(ours, nodes, list(given), cpu)
        pipeline._generated.cache_clear()
        for a, b in zip(got, expected, strict=True):
            assert a.tobytes() == b.tobytes(), case
    assert {("positions", True, True), ("positions", True, False), ("elements", True, False)} <= seen


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize("case", ["plain", "blocks end inside a run", "groups", "one channel", "few outputs"])
def test_other_dtypes_have_the_bits_of_products_with_windows(case: str, dtype: str) -> None:
    _, kernel, strides, padding, dilation, groups = CASES[case]
    given = arrays(case, dtype)
    nodes = leaves(given)
    ours = [
        ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups),
        ops.conv_weight(nodes[0], nodes[2], kernel[:-2], strides, padding, dilation, groups),
    ]
    for a, b in zip(run(ours, nodes, list(given)), run(list(products(*nodes, case)), nodes, list(given)), strict=True):
        assert a.tobytes() == b.tobytes()


def test_small_slabs_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid that is copied in many pieces, some of which begin or end inside a row."""
    for case in ("plain", "rows end inside a tile", "volumes", "one axis, long", "blocks end inside a run", "few outputs"):
        _, _, strides, padding, dilation, groups = CASES[case]
        given = arrays(case, "float32")
        nodes = leaves(given)
        node = ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups)
        whole = compile_graph([node], nodes, target.named("native"))
        with monkeypatch.context() as patch:
            patch.setattr(windows, "SLAB_BYTES", 1)
            for known in (windows.plan, pipeline._generated):
                known.cache_clear()
            pieces = compile_graph([node], nodes, target.named("native"))
        for known in (windows.plan, pipeline._generated):
            known.cache_clear()
        assert pieces.stages.generated[0].scratch_bytes < whole.stages.generated[0].scratch_bytes
        results = [made.run([from_numpy(a) for a in given])[0].view(node.shape, np.float32).tobytes() for made in (whole, pieces)]
        assert results[0] == results[1]


@pytest.mark.parametrize("cpu", ["native", "haswell"])
def test_few_outputs_take_lanes_of_positions(cpu: str) -> None:
    for case, wanted in (("few outputs", True), ("one output, dilated", True), ("several blocks of k", False), ("groups", False)):
        _, _, strides, padding, dilation, groups = CASES[case]
        nodes = leaves(arrays(case, "float32"))
        made = compile_graph([ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups)], nodes, target.named(cpu))
        assert choose(made.stages.launched[-1][1][0].kernel.body[0], target.named(cpu)).variant.planar == wanted


def test_what_follows_a_convolution_of_few_outputs_may_differ_by_output() -> None:
    _, _, strides, padding, dilation, groups = CASES["few outputs"]
    x, w, _ = arrays("few outputs", "float32")
    bias = np.array([1.5, -2.5, 0.25], np.float32)
    nodes = leaves((x, w, bias))
    plain = ops.conv(nodes[0], nodes[1], strides, padding, dilation, groups)
    shifted = ops.add(plain, ops.broadcast_to(nodes[2], plain.shape))
    np.testing.assert_array_equal(run([shifted], nodes, [x, w, bias])[0], run([plain], nodes[:2], [x, w])[0] + bias)
