"""Every registered primitive: it is complete, its rule agrees with its reference, its lowering and its gradient too."""

from __future__ import annotations

import math
from typing import Any

import nest_interpreter
import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.graph.node import REGISTRY, Aval, Node, Primitive, apply, aval, placeholder
from insitu.graph.reference import evaluate
from insitu.graph.verify import verify
from insitu.transform.autodiff import backward, jvp_nodes

Values = np.ndarray[Any, Any]
PRIMITIVES = [p for p in REGISTRY.values() if p.kind != "leaf"]
by_name = pytest.mark.parametrize("prim", PRIMITIVES, ids=lambda p: p.name)


def samples(prim: Primitive) -> list[tuple[tuple[Any, ...], tuple[Values, ...]]]:
    return list(prim.samples(np.random.default_rng(len(prim.name))))


def aval_of(x: Values) -> Aval:
    return aval(x.shape, dt.as_dtype(x.dtype))


def node_of(prim: Primitive, attrs: tuple[Any, ...], arrays: tuple[Values, ...]) -> Node:
    return apply(prim, tuple(placeholder(aval_of(x)) for x in arrays), attrs)


@by_name
def test_a_primitive_says_what_it_is(prim: Primitive) -> None:
    assert prim.name and prim.meaning
    assert prim.kind in {"map", "view", "reduce", "scan", "contract", "sort", "scatter", "composed", "mix"}
    assert bool(prim.how) == (prim.kind in {"reduce", "scan"})
    assert prim.no_gradient or type(prim).vjp is not Primitive.vjp
    assert len(samples(prim)) >= 4
    for attrs, arrays in samples(prim):
        assert len(attrs) == len(prim.attributes)
        assert prim.arity in (len(arrays), -1)
        hash(attrs)


@by_name
def test_the_rule_agrees_with_the_reference(prim: Primitive) -> None:
    for attrs, arrays in samples(prim):
        node = node_of(prim, attrs, arrays)
        verify([node])
        value = prim.reference(attrs, *arrays)
        assert (value.shape, value.dtype) == (node.shape, node.dtype.numpy)


def close(dtype: dt.DType) -> float:
    return {64: 1e-13, 32: 2e-6, 16: 2e-2}[dtype.bits] if dtype.is_float else 0


@pytest.mark.parametrize("prim", [p for p in PRIMITIVES if p.kind in ("map", "view")], ids=lambda p: p.name)
def test_the_lowering_agrees_with_the_reference(prim: Primitive) -> None:
    for attrs, arrays in samples(prim):
        node = node_of(prim, attrs, arrays)
        axes = [nest.Axis(f"i{k}", n).at for k, n in enumerate(node.shape)]
        expr = lowered(node, tuple(axes))
        places = np.indices(node.shape).reshape(node.ndim, -1) if node.ndim else np.zeros((0, 1))
        out = nest_interpreter.run(expr, {f"i{k}": p for k, p in enumerate(places)}, {f"x{k}": x.ravel() for k, x in enumerate(arrays)})
        expected = prim.reference(attrs, *arrays).ravel()
        assert out.dtype == expected.dtype
        if node.dtype.is_float:
            np.testing.assert_allclose(out.astype(np.float64), expected.astype(np.float64), rtol=close(node.dtype), atol=close(node.dtype) * 1e-3)
        else:
            np.testing.assert_array_equal(out, expected)


def lowered(node: Node, index: tuple[nest.Expr, ...]) -> nest.Expr:
    """The node's element as an expression over loads of its inputs."""

    def load(i: int, at: tuple[nest.Expr, ...], guard: nest.Expr | None) -> nest.Expr:
        x = node.inputs[i]
        assert len(at) == x.ndim
        offset = nest.index(0)
        stride = 1
        for place, extent in zip(reversed(at), reversed(x.shape), strict=True):
            offset = nest.op("add", offset, nest.op("mul", place, nest.index(stride)))
            stride *= extent
        return nest.load(f"x{i}", offset, x.dtype, guard)

    if node.prim.kind == "view":
        expr = node.prim.element(node, index, load, None)
        assert expr.dtype is node.dtype
        return expr
    args = []
    for i, x in enumerate(node.inputs):
        at = tuple(nest.index(0) if n == 1 else e for n, e in zip(x.shape, index[node.ndim - x.ndim :], strict=True))
        args.append(nest.cast(load(i, at, None), x.dtype.compute))
    expr = node.prim.scalar(node.attrs, node.dtype, *args)
    assert expr.dtype is node.dtype.compute
    return nest.cast(expr, node.dtype)


@pytest.mark.parametrize("prim", [p for p in PRIMITIVES if p.kind == "view" and p.arity], ids=lambda p: p.name)
def test_a_view_hands_its_guard_to_every_load(prim: Primitive) -> None:
    guard = nest.op("lt", nest.load("mask", nest.index(0), dt.int64), nest.index(1))
    for attrs, arrays in samples(prim):
        node = node_of(prim, attrs, arrays)
        seen = []

        def load(i: int, at: tuple[nest.Expr, ...], within: nest.Expr | None, node: Node = node, seen: list[Any] = seen) -> nest.Expr:
            seen.append(within)
            return nest.load(f"x{i}", nest.index(0), node.inputs[i].dtype, within)

        node.prim.element(node, tuple(nest.Axis(f"i{k}", n).at for k, n in enumerate(node.shape)), load, guard)
        assert all(w is not None and guard in conditions(w) for w in seen)


@pytest.mark.parametrize("prim", [p for p in PRIMITIVES if type(p).place is not Primitive.place], ids=lambda p: p.name)
def test_a_view_has_its_inputs_elements_where_it_says(prim: Primitive) -> None:
    told = 0
    for attrs, arrays in samples(prim):
        numbers = [np.arange(1, x.size + 1).reshape(x.shape) + sum(y.size for y in arrays[:k]) for k, x in enumerate(arrays)]
        attrs = (attrs[0], 0) if prim.name == "pad" else attrs
        node = node_of(prim, attrs, arrays)
        result = prim.reference(attrs, *numbers)
        for number, x in enumerate(numbers):
            at = prim.place(node, number, tuple(nest.axis(f"i{k}", n) for k, n in enumerate(x.shape)))
            if at is None:
                continue
            axes = {f"i{k}": p for k, p in enumerate(np.indices(x.shape).reshape(x.ndim, -1))} if x.ndim else {"i": np.zeros(1)}
            places = [np.broadcast_to(nest_interpreter.run(e, axes, {}), x.size) for e in at]
            there = np.ones(x.size, bool)
            for p, n in zip(places, node.shape, strict=True):
                there &= (p >= 0) & (p < n)
            np.testing.assert_array_equal(result[tuple([p[there] for p in places])].ravel(), x.ravel()[there])
            assert not np.isin(x.ravel()[~there], result).any()
            told += x.size
    assert told


def conditions(guard: nest.Expr) -> list[nest.Expr]:
    return [guard, *(c for a in guard.args for c in conditions(a))] if guard.op == "and" else [guard]


# -- gradients -----------------------------------------------------------------------------------
def differentiable(prim: Primitive) -> list[tuple[tuple[Any, ...], tuple[Values, ...]]]:
    """Samples whose floats are finite float64, with float64 results."""
    out = []
    for attrs, arrays in samples(prim):
        floats = [x for x in arrays if x.dtype.kind not in "biu"]
        good = all(x.dtype == np.float64 and np.isfinite(x).all() for x in floats)
        if good and floats and max(x.size for x in floats) and node_of(prim, attrs, arrays).dtype is dt.float64:
            out.append((attrs, arrays))
    return out


def slope(function: Any, arrays: list[Values], direction: list[Values]) -> tuple[float, float]:
    """The derivative along a direction by central differences, and how much the two one-sided ones differ."""
    h = 1e-6
    at = [function([x + s * h * d if d.any() else x for x, d in zip(arrays, direction, strict=True)]) for s in (-1, 0, 1)]
    return (at[2] - at[0]) / (2 * h), abs(at[2] - 2 * at[1] + at[0]) / h


def directions(rng: np.random.Generator, arrays: list[Values]) -> list[Values]:
    return [rng.standard_normal(x.shape) if x.dtype == np.float64 else np.zeros(x.shape) for x in arrays]


SMOOTH = [p for p in PRIMITIVES if not p.no_gradient and p.name != "stop_gradient"]


@pytest.mark.parametrize("prim", SMOOTH, ids=lambda p: p.name)
def test_first_and_second_derivatives_agree_with_differences(prim: Primitive) -> None:
    rng = np.random.default_rng(7)
    compared = 0
    for attrs, arrays in differentiable(prim):
        inputs = [placeholder(aval_of(x)) for x in arrays]
        out = apply(prim, tuple(inputs), attrs)
        floats = [k for k, x in enumerate(arrays) if x.dtype == np.float64]
        targets = [inputs[k] for k in floats]
        loss = total([out], rng)
        for _ in range(2):
            found = backward([loss], [ops.constant(1, dt.float64)], targets)
            compared += agree(rng, loss, found, inputs, arrays, floats)
            grads = [g for g in found if g is not None]
            if not grads:
                break
            loss = total(grads, rng)
    assert compared


def total(nodes: list[Node], rng: np.random.Generator) -> Node:
    """One number that depends on every element of the nodes."""
    out: Node | None = None
    for g in nodes:
        pattern = ops.sin(ops.mul(ops.iota((g.aval.size,), 0, dt.float64), ops.constant(rng.uniform(1, 2), dt.float64)))
        part = ops.reduce_sum(ops.mul(ops.reshape(g, (g.aval.size,)), ops.add(pattern, ops.constant(0.1, dt.float64))))
        out = part if out is None else ops.add(out, part)
    assert out is not None
    return out


def agree(rng: np.random.Generator, loss: Node, found: list[Node | None], inputs: list[Node], arrays: Any, floats: list[int]) -> int:
    arrays = list(arrays)
    known = [k for k, g in enumerate(found) if g is not None]
    grads = evaluate([found[k] for k in known], dict(zip(inputs, arrays, strict=True)))  # type: ignore[misc]
    done = 0
    for _ in range(2):
        step = directions(rng, arrays)
        expected, kink = slope(lambda at: float(evaluate([loss], dict(zip(inputs, at, strict=True)))[0]), arrays, step)
        if kink > 1e-2 * (1 + abs(expected)):
            continue
        got = sum(float((g * step[floats[k]]).sum()) for k, g in zip(known, grads, strict=True))
        assert math.isclose(got, expected, rel_tol=2e-5, abs_tol=2e-6 * (1 + sum(float(np.abs(g).sum()) for g in grads))), (loss, got, expected)
        done += 1
    return done


@pytest.mark.parametrize("prim", SMOOTH, ids=lambda p: p.name)
def test_tangents_agree_with_cotangents(prim: Primitive) -> None:
    rng = np.random.default_rng(3)
    for attrs, arrays in differentiable(prim)[:3]:
        inputs = [placeholder(aval_of(x)) for x in arrays]
        out = apply(prim, tuple(inputs), attrs)
        floats = [x for x in inputs if x.dtype is dt.float64]
        tangents, ct = [placeholder(x.aval) for x in floats], placeholder(out.aval)
        (tangent,) = jvp_nodes([out], floats, tangents)
        grads = backward([out], [ct], floats)
        feeds = dict(zip(inputs, arrays, strict=True)) | {t: rng.standard_normal(t.shape) for t in (*tangents, ct)}
        (pushed,) = evaluate([tangent], feeds)
        pulled = [None if g is None else evaluate([g], feeds)[0] for g in grads]
        left = float((pushed * feeds[ct]).sum())
        right = sum(float((g * feeds[t]).sum()) for g, t in zip(pulled, tangents, strict=True) if g is not None)
        assert math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
