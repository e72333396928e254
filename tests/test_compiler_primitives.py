"""Every primitive, compiled, against its NumPy reference; and with the same bits for every vector width."""

from __future__ import annotations

import numpy as np
import pytest

from insitu import ops
from insitu.codegen import target
from insitu.compiler import compile_graph
from insitu.dtypes import as_dtype
from insitu.graph.node import REGISTRY, Node, apply, aval, placeholder
from insitu.runtime.memory import from_numpy

COMPUTED = sorted(name for name, p in REGISTRY.items() if p.kind != "leaf")
#: Errors that a function's stated bound allows, in units of the last place.
ULP = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 4}


def run(outputs: list[Node], inputs: list[Node], arrays: list[np.ndarray], cpu=None) -> list[np.ndarray]:
    """Compile and run a graph; results as NumPy arrays."""
    compiled = compile_graph(outputs, inputs, cpu or target.named("native"))
    memories = compiled.run([from_numpy(np.ascontiguousarray(a)) for a in arrays])
    return [np.array(m.view(n.shape, n.dtype.numpy)) for n, m in zip(outputs, memories, strict=True)]


def leaves(arrays) -> list[Node]:
    return [placeholder(aval(a.shape, as_dtype(a.dtype))) for a in arrays]


def close(got: np.ndarray, expected: np.ndarray, name: str) -> None:
    assert got.shape == expected.shape and got.dtype == expected.dtype
    if got.dtype.kind in "biu":
        np.testing.assert_array_equal(got, expected)
        return
    kind = str(got.dtype)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[kind]
    loose = REGISTRY[name].kind in ("reduce", "scan", "contract", "scatter", "mix") or name == "resample"  # sums, whose terms may cancel
    scale = np.maximum(np.abs(expected.astype(np.float64)), 1.0 if loose else 0.0)
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(np.float64) - expected.astype(np.float64)) / (eps * scale)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    tiny = np.abs(expected.astype(np.float64)) < 1e-37
    limit = (64 if loose else ULP[kind]) if not loose or kind not in ("float16", "bfloat16") else 4
    bad = ~(same | tiny | (error <= limit))
    assert not bad.any(), f"{name}: {got[bad][:4]} expected {expected[bad][:4]}, {error[bad][:4]} ulp"


@pytest.mark.parametrize("name", COMPUTED)
def test_compiled_value_is_the_reference_value(name: str) -> None:
    prim = REGISTRY[name]
    for attrs, arrays in prim.samples(np.random.default_rng(5)):
        arrays = [np.asarray(a) for a in arrays]
        inputs = leaves(arrays)
        node = apply(prim, tuple(inputs), attrs)
        with np.errstate(all="ignore"):
            expected = np.asarray(prim.reference(attrs, *arrays)).astype(node.dtype.numpy, copy=False)
        close(run([node], inputs, arrays)[0], expected, name)


@pytest.mark.parametrize("name", COMPUTED)
def test_bits_do_not_depend_on_the_vector_width(name: str) -> None:
    prim = REGISTRY[name]
    for attrs, arrays in list(prim.samples(np.random.default_rng(6)))[:3]:
        arrays = [np.asarray(a) for a in arrays]
        inputs = leaves(arrays)
        node = apply(prim, tuple(inputs), attrs)
        first, *others = (run([node], inputs, arrays, target.named("native", bits))[0] for bits in (128, 256, 512))
        for other in others:
            assert first.tobytes() == other.tobytes()


def softmax(x: Node) -> Node:
    top = ops.reshape(ops.reduce_max(x, (1,)), (x.shape[0], 1))
    e = ops.exp(ops.sub(x, top))
    return ops.div(e, ops.reshape(ops.reduce_sum(e, (1,)), (x.shape[0], 1)))


def test_softmax_is_one_row_kernel() -> None:
    x = placeholder(aval((7, 33), as_dtype("float32")))
    compiled = compile_graph([softmax(x)], [x], target.named("native"))
    assert [g.kind for g in compiled.stages.groups] == ["rows"]
    a = np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32)
    e = np.exp(a.astype(np.float64) - a.max(1, keepdims=True))
    np.testing.assert_allclose(run([softmax(x)], [x], [a])[0], e / e.sum(1, keepdims=True), rtol=3e-7)


def test_layer_norm_is_one_row_kernel() -> None:
    x = placeholder(aval((7, 33), as_dtype("float32")))
    d = ops.sub(x, ops.reshape(ops.mul(ops.reduce_sum(x, (1,)), ops.constant(1 / 33, x.dtype)), (7, 1)))
    var = ops.mul(ops.reshape(ops.reduce_sum(ops.mul(d, d), (1,)), (7, 1)), ops.constant(1 / 33, x.dtype))
    y = ops.mul(d, ops.rsqrt(ops.add(var, ops.constant(1e-5, x.dtype))))
    compiled = compile_graph([y], [x], target.named("native"))
    assert [g.kind for g in compiled.stages.groups] == ["rows"]
    a = np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32)
    e = a - a.mean(1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(run([y], [x], [a])[0], e / np.sqrt((e * e).mean(1, keepdims=True) + 1e-5), rtol=1e-4, atol=1e-6)


def test_transposed_reader_of_a_row_result_waits_for_it() -> None:
    x = placeholder(aval((9, 9), as_dtype("float32")))
    total = ops.reduce_sum(x, (1,))
    y = ops.sub(x, total)  # total broadcasts along the rows, not down them
    a = np.random.default_rng(1).standard_normal((9, 9)).astype(np.float32)
    np.testing.assert_allclose(run([y], [x], [a])[0], a - a.sum(1), rtol=1e-5, atol=1e-6)


def test_bias_and_activation_are_the_epilogue_of_the_product() -> None:
    x, w, b = (placeholder(aval(s, as_dtype("float32"))) for s in ((5, 8), (8, 6), (6,)))
    y = ops.tanh(ops.add(ops.matmul(x, w), b))
    compiled = compile_graph([y], [x, w, b], target.named("native"))
    assert [str(g) for g in compiled.stages.groups] == ["group 0 contract [5, 6]: matmul, add, tanh"]


def test_transposed_operands_are_read_where_they_are() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((8, 5)).astype(np.float32), rng.standard_normal((6, 8)).astype(np.float32)
    x, w = leaves([a, b])
    y = ops.matmul(ops.permute(x, (1, 0)), ops.permute(w, (1, 0)))
    compiled = compile_graph([y], [x, w], target.named("native"))
    assert len(compiled.stages.plan.order) == 1
    np.testing.assert_allclose(run([y], [x, w], [a, b])[0], a.T @ b.T, rtol=1e-5, atol=1e-5)


def test_long_sum_has_partial_sums() -> None:
    a = np.random.default_rng(3).standard_normal(100_003).astype(np.float32)
    (x,) = leaves([a])
    (got,) = run([ops.reduce_sum(x, (0,))], [x], [a])
    np.testing.assert_allclose(got, a.astype(np.float64).sum(), rtol=1e-5)


def test_variable_is_updated_in_place_after_its_last_reader() -> None:
    w, g, x = (placeholder(aval((4, 4), as_dtype("float32"))) for _ in range(3))
    new = ops.sub(w, g)
    y = ops.matmul(x, w)
    compiled = compile_graph([new, y], [w, g, x], target.named("native"), {0: 0})
    assert compiled.donated == {0: 0}
    assert [low.group.kind for low in compiled.stages.plan.order] == ["contract", "map"]
    read_transposed = ops.add(w, ops.permute(w, (1, 0)))
    assert compile_graph([read_transposed], [w], target.named("native"), {0: 0}).donated == {}
