"""Random graphs: right values, and bits that depend on nothing but the operations (DESIGN: the same bits everywhere)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from random_graphs import Graph

from insitu.codegen import target
from insitu.compiler import Compiled, compile_graph, constants
from insitu.config import config
from insitu.graph.node import Node, placeholder, topological
from insitu.runtime.memory import Memory, from_numpy
from insitu.runtime.program import Program

NATIVE = target.named("native")
WIDTHS = [bits for bits in (128, 256, 512) if bits <= NATIVE.vector_bits]
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(constants, "WORTH_BYTES", 0)  # the graphs are small
    yield
    config.threads = None  # type: ignore[assignment]


def bits(a: np.ndarray) -> bytes:
    """The bytes, with one NaN for all: which NaN comes out of two is the CPU's business."""
    if a.dtype.kind not in "biu":
        a = np.where(np.isnan(a), np.array(np.nan, a.dtype), a)
    return a.tobytes()


def arrays(nodes: Sequence[Node], memories: Sequence[Memory]) -> list[np.ndarray]:
    return [np.array(m.view(n.shape, n.dtype.numpy)) for n, m in zip(nodes, memories, strict=True)]


def run(outputs: Sequence[Node], feeds: dict[Node, np.ndarray], cpu: target.Target = NATIVE) -> list[np.ndarray]:
    compiled = compile_graph(outputs, list(feeds), cpu)
    return arrays(outputs, compiled.run([from_numpy(np.ascontiguousarray(a)) for a in feeds.values()]))


# -- one node, alone -----------------------------------------------------------------------------
def one_by_one(outputs: Sequence[Node], feeds: dict[Node, np.ndarray]) -> dict[Node, np.ndarray]:
    """Every node's value, each computed by a program of its own from the values of its inputs, and checked against its reference."""
    values = dict(feeds)
    for n in topological(outputs):
        if n not in values:
            holes = [placeholder(i.aval) for i in n.inputs]
            alone = Node(n.prim, tuple(holes), n.attrs, n.aval)
            inputs = [values[i] for i in n.inputs]
            (values[n],) = run([alone], dict(zip(holes, inputs, strict=True)))
            check_value(n, values[n], inputs)
    return values


def check_value(n: Node, got: np.ndarray, inputs: Sequence[np.ndarray]) -> None:
    with np.errstate(all="ignore"):
        expected = np.asarray(n.prim.reference(n.attrs, *inputs))
        assert got.shape == expected.shape
        if n.dtype.kind != "f":
            np.testing.assert_array_equal(got, expected, err_msg=repr(n))
            return
        size, ulps = _scale(n, expected, inputs)
        close = np.abs(got.astype(np.float64) - expected.astype(np.float64)) <= ulps * EPSILON[n.dtype.name] * size + _smallest(n)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    bad = ~(same | close)
    # sums and products that overflow on the way do so in another order
    if n.prim.kind in ("reduce", "scan", "contract", "scatter"):
        bad &= np.isfinite(expected) & np.isfinite(size * 1e3) & (np.abs(expected.astype(np.float64)) < 0.99 * n.dtype.max)
        if n.prim.how == "prod":
            factors = np.abs(inputs[0].astype(np.float64))
            bad &= bool(np.maximum(factors, 1).prod() < n.dtype.compute.max and np.minimum(factors[factors > 0], 1).prod() > 1e-37)
    assert not bad.any(), f"{n.prim.name} {n!r} of {[a.dtype for a in inputs]}: {got[bad][:4]} expected {expected[bad][:4]}"


def _smallest(n: Node) -> float:
    return float(np.finfo(np.float32).smallest_subnormal) if n.dtype.bits != 64 else 0.0


def _scale(n: Node, expected: np.ndarray, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """What rounding errors are relative to, and how many of them may add up."""
    wide = [np.abs(a.astype(np.float64)) for a in inputs]
    exact = expected.astype(np.float64)
    if n.prim.kind == "contract":
        return wide[0] @ wide[1], 4 + wide[0].shape[-1]
    if n.prim.kind == "reduce" and n.prim.how == "sum":
        return wide[0].sum(n.attrs[0]), 4 + wide[0].size / max(1, exact.size)
    if n.prim.kind == "scan" and n.prim.how == "sum":
        return wide[0].cumsum(n.attrs[0]), 4 + wide[0].size
    if n.prim.kind in ("reduce", "scan"):
        return np.abs(exact), (4 + wide[0].size) if n.prim.how == "prod" else 0
    if n.prim.kind == "scatter":
        return np.abs(exact) + wide[0].max(initial=0) + wide[2].sum() if n.attrs[0] == "add" else np.abs(exact), 4
    return np.abs(exact), 4 if n.dtype.bits > 16 else 2


# -- whole graphs --------------------------------------------------------------------------------
def split(compiled: Compiled, grain: int) -> None:
    """Let even the smallest kernels be shared by threads."""
    launches = [dataclasses.replace(launch, grain=grain) for launch in compiled.recipe.launches]
    compiled._program = Program(launches, compiled._n_inputs, len(compiled.graph), compiled.recipe.arena)


def wishes(graph: Graph) -> dict[int, int]:
    """Results that ask for the memory of an input."""
    out: dict[int, int] = {}
    for k, n in enumerate(graph.outputs):
        fits = [i for i, x in enumerate(graph.inputs) if x.aval is n.aval and i not in out.values()]
        if fits and n not in graph.outputs[:k]:
            out[k] = graph.rng.choice(fits)
    return out


def check(seed: int, steps: int = 12) -> None:
    """All that must hold of one random graph."""
    graph = Graph(seed, steps)
    outputs, feeds = graph.outputs, graph.values
    values = one_by_one(outputs, feeds)
    expected = [bits(values[n]) for n in outputs]
    kept = [from_numpy(np.ascontiguousarray(a)) for a in feeds.values()]
    for width in WIDTHS:
        compiled = compile_graph(outputs, graph.inputs, target.named("native", width))
        for threads, grain in ((1, 0), (2, 1), (3, 7), (7, 1)) if width == WIDTHS[-1] else ((1, 0),):
            config.threads = threads
            if grain:
                split(compiled, grain)
            for n, got, bytes_ in zip(outputs, arrays(outputs, compiled.run(kept)), expected, strict=True):
                assert bits(got) == bytes_, f"{seed}: {n!r} with {width} bits, {threads} threads: {_difference(got, values[n])}"
    fixed = graph.rng.randint(1, len(kept))
    prepared = compile_graph(outputs, graph.inputs, NATIVE, {}, True, fixed)
    ready = [*kept[:-fixed], *prepared.prepare(kept[-fixed:])]
    for n, got, bytes_ in zip(outputs, arrays(outputs, prepared.run(ready)), expected, strict=True):
        assert bits(got) == bytes_, f"{seed}: {n!r} with {fixed} constants: {_difference(got, values[n])}"
    wanted = wishes(graph)
    for join, threads, grain in ((False, 1, 0), (True, 1, 0), (True, 3, 1)):
        config.threads = threads
        donated = compile_graph(outputs, graph.inputs, NATIVE, wanted, join)
        if grain:
            split(donated, grain)
        given = [from_numpy(np.array(a)) for a in feeds.values()]
        results = arrays(outputs, donated.run(given, set(donated.donated.values())))
        for n, got, bytes_ in zip(outputs, results, expected, strict=True):
            assert bits(got) == bytes_, f"{seed}: {n!r} in place, {join=}, {threads} threads: {_difference(got, values[n])}"
        for k, (memory, a) in enumerate(zip(given, feeds.values(), strict=True)):
            if k not in donated.donated.values():
                assert memory.view(a.shape, a.dtype).tobytes() == a.tobytes()


def _difference(got: np.ndarray, expected: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        bad = np.argwhere((got != expected) & ~((got != got) & (expected != expected)))
    first = tuple(bad[0]) if len(bad) else ()
    return f"{len(bad)} of {got.size} differ, first at {first}: {got[first]!r} {expected[first]!r}"


@pytest.mark.parametrize("seed", range(60))
def test_random_graph(seed: int) -> None:
    check(seed)
