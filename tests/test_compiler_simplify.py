"""Simplification: the pictured rewrites happen, every other node stays, and no value changes a bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.compiler.simplify import simplify
from insitu.graph.node import REGISTRY, Node, aval, leaf, placeholder, show, topological
from insitu.graph.reference import evaluate
from insitu.graph.verify import verify
from insitu.runtime.memory import from_numpy
from insitu.transform.autodiff import backward

f32, f16, i32, boolean = dt.float32, dt.float16, dt.int32, dt.bool_
Builder = Callable[..., Node]


def number(value: float, dtype: dt.DType = f32) -> Node:
    return ops.constant(value, dtype)


CASES: Sequence[tuple[str, Builder, Sequence[tuple[tuple[int, ...], dt.DType]], Builder]] = [
    ("x * 1", lambda x: ops.mul(x, number(1)), [((3,), f32)], lambda x: x),
    ("1 * x", lambda x: ops.mul(number(1), x), [((3,), f32)], lambda x: x),
    (
        "axes of 1 come last",
        lambda x, y: ops.mul(ops.exp(ops.reshape(x, (3, 1))), ops.reshape(y, (3, 1))),
        [((3,), f32), ((3,), f32)],
        lambda x, y: ops.reshape(ops.mul(ops.exp(x), y), (3, 1)),
    ),
    ("x * 1 stretched", lambda x: ops.mul(x, ops.full((2, 3), 1, f32)), [((3,), f32)], lambda x: ops.broadcast_to(x, (2, 3))),
    ("x / 1", lambda x: ops.div(x, number(1)), [((3,), f32)], lambda x: x),
    ("x / 8", lambda x: ops.div(x, number(8)), [((3,), f32)], lambda x: ops.mul(x, number(0.125))),
    ("x / 2**15", lambda x: ops.div(x, number(2**15)), [((3,), f32)], lambda x: ops.mul(x, number(2.0**-15))),
    ("x - 0", lambda x: ops.sub(x, number(0)), [((3,), f32)], lambda x: x),
    ("x + -0", lambda x: ops.add(x, number(-0.0)), [((3,), f32)], lambda x: x),
    ("n + 0", lambda x: ops.add(number(0, i32), x), [((3,), i32)], lambda x: x),
    ("n - n", lambda x: ops.sub(x, x), [((3,), i32)], lambda x: ops.full((3,), 0, i32)),
    ("n * 0", lambda x: ops.mul(x, number(0, i32)), [((3,), i32)], lambda x: ops.full((3,), 0, i32)),
    ("n + 2 + 5", lambda x: ops.add(ops.add(x, number(2, i32)), number(5, i32)), [((3,), i32)], lambda x: ops.add(x, number(7, i32))),
    ("n * 2 * 5", lambda x: ops.mul(number(5, i32), ops.mul(x, number(2, i32))), [((3,), i32)], lambda x: ops.mul(x, number(10, i32))),
    ("n % 1", lambda x: ops.mod(x, number(1, i32)), [((3,), i32)], lambda x: ops.full((3,), 0, i32)),
    ("n // 1", lambda x: ops.floordiv(x, number(1, i32)), [((3,), i32)], lambda x: x),
    ("n << 0", lambda x: ops.shl(x, number(0, i32)), [((3,), i32)], lambda x: x),
    ("n == n", lambda x: ops.eq(x, x), [((3,), i32)], lambda x: ops.full((3,), True, boolean)),
    ("p & true", lambda x: ops.and_(x, number(True, boolean)), [((3,), boolean)], lambda x: x),
    ("p | true", lambda x: ops.or_(x, number(True, boolean)), [((3,), boolean)], lambda x: ops.full((3,), True, boolean)),
    ("p ^ p", lambda x: ops.xor(x, x), [((3,), boolean)], lambda x: ops.full((3,), False, boolean)),
    ("x + -y", lambda x, y: ops.add(x, ops.neg(y)), [((3,), f32), ((3,), f32)], ops.sub),
    ("-x + y", lambda x, y: ops.add(ops.neg(x), y), [((3,), f32), ((3,), f32)], lambda x, y: ops.sub(y, x)),
    ("x - -y", lambda x, y: ops.sub(x, ops.neg(y)), [((3,), f32), ((3,), f32)], ops.add),
    ("-x * -y", lambda x, y: ops.mul(ops.neg(x), ops.neg(y)), [((3,), f32), ((3,), f32)], ops.mul),
    ("--x", lambda x: ops.neg(ops.neg(x)), [((3,), f32)], lambda x: x),
    ("~~p", lambda x: ops.not_(ops.not_(x)), [((3,), boolean)], lambda x: x),
    ("|-x|", lambda x: ops.abs(ops.neg(x)), [((3,), f32)], ops.abs),
    ("max(x, x)", lambda x: ops.max_(x, x), [((3,), f32)], lambda x: x),
    ("x ** 1", lambda x: ops.pow(x, number(1)), [((3,), f32)], lambda x: x),
    ("x ** 2", lambda x: ops.pow(x, number(2)), [((3,), f32)], lambda x: ops.mul(x, x)),
    ("x ** 3", lambda x: ops.pow(x, number(3)), [((3,), f32)], lambda x: ops.mul(ops.mul(x, x), x)),
    ("x ** 0", lambda x: ops.pow(x, number(0)), [((3,), f32)], lambda x: ops.full((3,), 1, f32)),
    ("x ** -1", lambda x: ops.pow(x, number(-1)), [((3,), f32)], lambda x: ops.div(number(1), x)),
    ("where(c, x, x)", lambda c, x: ops.where(c, x, x), [((3,), boolean), ((3,), f32)], lambda c, x: x),
    ("where(true, x, y)", lambda x, y: ops.where(number(True, boolean), x, y), [((3,), f32), ((2, 3), f32)],
     lambda x, y: ops.broadcast_to(x, (2, 3))),
    ("where(~c, x, y)", lambda c, x: ops.where(ops.not_(c), x, number(0)), [((3,), boolean), ((3,), f32)], lambda c, x: ops.where(c, number(0), x)),
    ("f16 → f32 → f16", lambda x: ops.cast(ops.cast(x, f32), f16), [((3,), f16)], lambda x: x),
    ("i8 → f32 → f64", lambda x: ops.cast(ops.cast(x, f32), dt.float64), [((3,), dt.int8)], lambda x: ops.cast(x, dt.float64)),
    ("i64 → i32 → i8", lambda x: ops.cast(ops.cast(x, i32), dt.int8), [((3,), dt.int64)], lambda x: ops.cast(x, dt.int8)),
    ("identity", lambda x: ops.exp(ops.stop_gradient(ops.identity(x))), [((3,), f32)], ops.exp),
    ("common", lambda x: ops.add(ops.exp(x), ops.exp(x)), [((3,), f32)], lambda x: (lambda e: ops.add(e, e))(ops.exp(x))),
    ("3 - 1", lambda x: ops.mul(x, ops.sub(number(3), number(1))), [((3,), f32)], lambda x: ops.mul(x, number(2))),
    ("reshape twice", lambda x: ops.reshape(ops.reshape(x, (12,)), (2, 6)), [((3, 4), f32)], lambda x: ops.reshape(x, (2, 6))),
    ("reshape and back", lambda x: ops.reshape(ops.reshape(x, (12,)), (3, 4)), [((3, 4), f32)], lambda x: x),
    ("permute twice", lambda x: ops.permute(ops.permute(x, (1, 2, 0)), (1, 2, 0)), [((2, 3, 4), f32)], lambda x: ops.permute(x, (2, 0, 1))),
    ("permute and back", lambda x: ops.permute(ops.permute(x, (1, 0)), (1, 0)), [((3, 4), f32)], lambda x: x),
    ("permute of ones", lambda x: ops.permute(x, (1, 0, 2)), [((1, 3, 4), f32)], lambda x: ops.reshape(x, (3, 1, 4))),
    ("broadcast in map", lambda x, y: ops.mul(x, ops.broadcast_to(y, (3, 4))), [((3, 4), f32), ((4,), f32)], ops.mul),
    ("map of broadcast", lambda x: ops.exp(ops.broadcast_to(x, (3, 4))), [((4,), f32)], lambda x: ops.broadcast_to(ops.exp(x), (3, 4))),
    ("broadcast of reshape", lambda x: ops.broadcast_to(ops.reshape(x, (1, 4)), (3, 4)), [((4,), f32)], lambda x: ops.broadcast_to(x, (3, 4))),
    ("uniform", lambda x: ops.reshape(ops.permute(ops.broadcast_to(x, (3, 4)), (1, 0)), (12,)), [((), f32)], lambda x: ops.broadcast_to(x, (12,))),
    ("slice twice", lambda x: ops.slice_(ops.slice_(x, (2,), (8,)), (1,), (6,), (2,)), [((9,), f32)], lambda x: ops.slice_(x, (3,), (8,), (2,))),
    ("flip twice", lambda x: ops.flip(ops.flip(x, (0,)), (0,)), [((9,), f32)], lambda x: x),
    ("inside of pad", lambda x: ops.slice_(ops.pad(x, [(2, 2)]), (3,), (5,)), [((4,), f32)], lambda x: ops.slice_(x, (1,), (3,))),
    ("part of concat", lambda x, y: ops.slice_(ops.concat([x, y]), (3,), (7,)), [((3,), f32), ((4,), f32)], lambda x, y: y),
    ("pad twice", lambda x: ops.pad(ops.pad(x, [(1, 0)]), [(0, 2)]), [((3,), f32)], lambda x: ops.pad(x, [(1, 2)])),
    ("pad of zeros", lambda: ops.pad(ops.full((3,), 0, f32), [(1, 2)]), [], lambda: ops.full((6,), 0, f32)),
    ("concat of empty", lambda x, y: ops.concat([x, y]), [((0,), f32), ((3,), f32)], lambda x, y: y),
    ("iota of one", lambda: ops.iota((1, 3), 0), [], lambda: ops.full((1, 3), 0, dt.int64)),
    ("bits and back", lambda x: ops.bitcast(ops.bitcast(x, dt.uint32), f32), [((3,), f32)], lambda x: x),
    ("reduce nothing", lambda x: ops.reduce_sum(x, ()), [((3,), f32)], lambda x: x),
    ("reduce one", lambda x: ops.reduce_max(x, (1,)), [((3, 1), f32)], lambda x: ops.reshape(x, (3,))),
    ("argmax of one", lambda x: ops.argmax(x, 1), [((3, 1), f32)], lambda x: ops.full((3,), 0, dt.int64)),
    ("cumsum of one", lambda x: ops.cumsum(x, 1), [((3, 1), f32)], lambda x: x),
    ("sum of nothing", lambda x: ops.reduce_sum(x, (0,)), [((0, 3), f32)], lambda x: ops.full((3,), 0, f32)),
    ("matmul of nothing", ops.matmul, [((2, 0), f32), ((0, 3), f32)], lambda x, y: ops.full((2, 3), 0, f32)),
    ("nothing", lambda x: ops.exp(x), [((0, 3), f32)], lambda x: ops.full((0, 3), 0, f32)),
    ("neighbours", lambda x: ops.reduce_sum(x, (0, 2)), [((2, 3, 4), f32)], lambda x: ops.reduce_sum(ops.reduce_sum(x, (2,)), (0,))),
    ("three groups", lambda x: ops.reduce_max(x, (0, 2, 3, 5)), [((2, 3, 2, 2, 3, 2), f32)],
     lambda x: ops.reduce_max(ops.reduce_max(ops.reduce_max(x, (5,)), (2, 3)), (0,))),
    ("one between", lambda x: ops.reduce_sum(x, (0, 2)), [((2, 1, 4), f32)],
     lambda x: ops.reshape(ops.reduce_sum(ops.reshape(x, (2, 4)), (0, 1)), (1,))),
    ("one among", lambda x: ops.reduce_sum(x, (0, 1)), [((1, 3, 4), f32)], lambda x: ops.reduce_sum(ops.reshape(x, (3, 4)), (0,))),
    ("half sum", lambda x: ops.reduce_sum(x, (0,)), [((5,), f16)], lambda x: ops.cast(ops.reduce_sum(ops.cast(x, f32), (0,)), f16)),
]  # fmt: skip


@pytest.mark.parametrize(("build", "kinds", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_rewrite_gives_the_pictured_graph(build: Builder, kinds: Any, expected: Builder) -> None:
    inputs = [placeholder(aval(*k)) for k in kinds]
    before, (after,) = build(*inputs), simplify([build(*inputs)])
    assert after.aval is before.aval
    verify([after])
    assert show([after]) == show([expected(*inputs)])
    rng = np.random.default_rng(1)
    feeds = {
        x: rng.integers(0, 2, x.shape).astype(x.dtype.numpy) if x.dtype.kind != "f" else rng.normal(size=x.shape).astype(x.dtype.numpy)
        for x in inputs
    }
    a, b = evaluate([before], feeds)[0], evaluate([after], feeds)[0]
    np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-3 if before.dtype is f16 else 3e-7, atol=1e-6)


KEPT: Sequence[tuple[str, Builder, Sequence[tuple[tuple[int, ...], dt.DType]]]] = [
    ("x + 0 turns -0 into 0", lambda x: ops.add(x, number(0)), [((3,), f32)]),
    ("x - -0 turns -0 into 0", lambda x: ops.sub(x, number(-0.0)), [((3,), f32)]),
    ("x * 0 keeps NaN", lambda x: ops.mul(x, number(0)), [((3,), f32)]),
    ("x - x keeps NaN", lambda x: ops.sub(x, x), [((3,), f32)]),
    ("x == x sees NaN", lambda x: ops.eq(x, x), [((3,), f32)]),
    ("x / 3 is not x * (1/3)", lambda x: ops.div(x, number(3)), [((3,), f32)]),
    ("f32 → f16 → f32 rounds", lambda x: ops.cast(ops.cast(x, f16), f32), [((3,), f32)]),
    ("i64 → f64 → f16 rounds otherwise", lambda x: ops.cast(ops.cast(x, dt.float64), f16), [((3,), i32)]),
    ("i8 → i64 → f32 could go, u8 → i8 → f32 not", lambda x: ops.cast(ops.cast(x, dt.int8), f32), [((3,), dt.uint8)]),
    ("exp of a constant is the kernel's", lambda: ops.exp(number(2)), []),
    ("0/0 has the CPU's sign", lambda: (lambda zero: ops.div(zero, zero))(number(0)), []),
    ("x + 1 + 2 of floats rounds twice", lambda x: ops.add(ops.add(x, number(1)), number(2)), [((3,), f32)]),
    ("pad of another value", lambda x: ops.pad(ops.pad(x, [(1, 1)], 1), [(1, 1)], 2), [((3,), f32)]),
    ("slice of the margin", lambda x: ops.slice_(ops.pad(x, [(2, 2)]), (1,), (5,)), [((4,), f32)]),
    ("pow(x, 2.5)", lambda x: ops.pow(x, number(2.5)), [((3,), f32)]),
]


@pytest.mark.parametrize(("build", "kinds"), [c[1:] for c in KEPT], ids=[c[0] for c in KEPT])
def test_what_would_change_bits_stays_as_the_same_nodes(build: Builder, kinds: Any) -> None:
    node = build(*[placeholder(aval(*k)) for k in kinds])
    assert simplify([node]) == [node]


def test_leaves_stay_the_same_objects() -> None:
    x, y = leaf(aval((3,), f32), from_numpy(np.arange(3, dtype=np.float32))), placeholder(aval((3,), f32))
    out, same = simplify([ops.mul(ops.add(x, y), number(1)), x])
    assert same is x
    assert set(topological([out])) >= {x, y}


def test_equal_constants_of_different_sign_stay_apart() -> None:
    x = placeholder(aval((3,), f32))
    a, b = simplify([ops.mul(x, number(0.0)), ops.mul(x, number(-0.0))])
    assert a is not b
    value = evaluate([a, b], {x: np.ones(3, np.float32)})
    assert np.signbit(value[1]).all()
    assert not np.signbit(value[0]).any()


def test_simplifying_twice_changes_nothing_more() -> None:
    for seed in range(20):
        once = simplify(random_graph(np.random.default_rng(seed))[0])
        assert simplify(once) == once


# -- random graphs -------------------------------------------------------------------------------
def random_graph(rng: np.random.Generator) -> tuple[list[Node], dict[Node, Any]]:
    shapes: list[tuple[int, ...]] = [(), (4,), (3, 4), (1, 4), (3, 1), (2, 3, 4), (3, 0)]
    feeds: dict[Node, Any] = {}
    nodes: list[Node] = []
    for shape in shapes:
        for dtype in (f32, i32):
            x = placeholder(aval(shape, dtype))
            feeds[x] = rng.integers(-3, 4, shape).astype(dtype.numpy) * (np.float32(0.5) if dtype is f32 else 1)
            feeds[x] = np.asarray(feeds[x], dtype.numpy)
            nodes.append(x)
    nodes += [number(v) for v in (0, -0.0, 1, 2, 0.25)] + [number(v, i32) for v in (0, 1, 2, -1)]
    for _ in range(60):
        made = random_node(rng, nodes)
        if made is not None and made.aval.size <= 2000 and made.ndim <= 4:
            nodes.append(made)
    picks = rng.integers(14, len(nodes), 6)
    return [nodes[k] for k in picks], feeds


def random_node(rng: np.random.Generator, nodes: list[Node]) -> Node | None:
    x, y = (nodes[k] for k in rng.integers(0, len(nodes), 2))
    binary = [ops.add, ops.sub, ops.mul, ops.max_, ops.min_]
    unary: list[Builder] = [ops.neg, ops.abs, ops.identity, ops.sign, ops.stop_gradient]
    view: list[Builder] = [
        lambda n: ops.reshape(n, (-1,)) if n.aval.size else n,
        lambda n: ops.permute(n, rng.permutation(n.ndim).tolist()),
        lambda n: ops.broadcast_to(n, (2, *n.shape)),
        lambda n: ops.flip(n, range(n.ndim)),
        lambda n: ops.pad(n, [(int(rng.integers(0, 2)), 1)] * n.ndim, int(rng.integers(0, 2))),
        lambda n: ops.concat([n, n], -1) if n.ndim else n,
        lambda n: ops.slice_(n, [0] * n.ndim, [(m + 1) // 2 for m in n.shape]),
        lambda n: ops.slice_(n, [0] * n.ndim, n.shape, [2] * n.ndim),
        lambda n: ops.reshape(n, (*n.shape, 1)),
        lambda n: ops.cast(n, [f32, i32, dt.float64, dt.int8, f16, boolean][rng.integers(6)]),
        lambda n: ops.reduce_max(n, tuple(k for k in range(n.ndim) if rng.integers(2))) if n.aval.size else n,
        lambda n: ops.cumsum(n, -1) if n.ndim and n.dtype is i32 else n,
    ]
    turn = rng.integers(4)
    if x.dtype is boolean or y.dtype is boolean or x.dtype.bits == 16 or y.dtype.bits == 16 or turn == 0:
        return view[rng.integers(len(view))](x) if x.dtype is not boolean else ops.cast(ops.not_(x), f32)
    if turn == 1:
        return unary[rng.integers(len(unary))](x)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return None
    if turn == 2:
        return ops.where(ops.lt(x, y), x, y)
    return binary[rng.integers(len(binary))](x, y)


@pytest.mark.parametrize("seed", range(60))
def test_no_value_of_a_random_graph_changes_a_bit(seed: int) -> None:
    outputs, feeds = random_graph(np.random.default_rng(seed))
    better = simplify(outputs)
    verify(better)
    assert [n.aval for n in better] == [n.aval for n in outputs]
    assert len(topological(better)) <= len(topological(outputs)) + 2 * len(outputs)
    with np.errstate(all="ignore"):
        for n, a, b in zip(outputs, evaluate(outputs, feeds), evaluate(better, feeds), strict=True):
            assert a.tobytes() == b.tobytes() or np.isnan(a.astype(np.float64)).any(), show([n])


def test_every_primitive_survives_simplification_of_its_samples() -> None:
    for prim in REGISTRY.values():
        if prim.kind == "leaf":
            continue
        for attrs, arrays in prim.samples(np.random.default_rng(2)):
            inputs = [placeholder(aval(x.shape, dt.as_dtype(x.dtype))) for x in arrays]
            node = Node(prim, tuple(inputs), attrs, prim.infer(attrs, *[x.aval for x in inputs]))
            (better,) = simplify([node])
            verify([better])
            feeds = dict(zip(inputs, arrays, strict=True))
            a, b = (evaluate([n], feeds)[0].astype(np.float64) for n in (node, better))
            np.testing.assert_allclose(a, b, rtol=1e-2 if node.dtype.bits == 16 else 1e-6)


def test_the_gradient_of_a_softmax_row_loses_its_detours() -> None:
    x = placeholder(aval((3, 4), f32))
    shifted = ops.sub(x, ops.stop_gradient(ops.reshape(ops.reduce_max(x, (1,)), (3, 1))))
    logs = ops.sub(shifted, ops.reshape(ops.log(ops.reduce_sum(ops.exp(shifted), (1,))), (3, 1)))
    (grad,) = backward([ops.reduce_sum(logs)], [number(1)], [x])
    assert grad is not None
    (better,) = simplify([grad])
    value = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(*[evaluate([n], {x: value})[0] for n in (grad, better)])
    assert len(topological([better])) < len(topological([grad]))
    names = {n.prim.name for n in topological([better])}
    assert not names & {"stop_gradient", "identity"}
