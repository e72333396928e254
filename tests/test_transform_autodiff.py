"""Reverse and forward mode over graphs; the verifier that both are checked with."""

from __future__ import annotations

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.errors import ArgumentError, InternalError, ShapeError
from insitu.graph.node import REGISTRY, Node, aval, placeholder, show, topological
from insitu.graph.reference import evaluate
from insitu.graph.verify import verify
from insitu.transform.autodiff import backward, jvp_nodes

f64 = dt.float64
ONE = ops.constant(1, f64)


def vector(n: int = 3) -> Node:
    return placeholder(aval((n,), f64))


def test_cotangents_of_all_uses_are_added() -> None:
    x = vector()
    loss = ops.reduce_sum(ops.add(ops.mul(x, x), ops.sin(x)))
    (grad,) = backward([loss], [ONE], [x])
    assert grad is not None
    verify([grad])
    at = np.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(evaluate([grad], {x: at})[0], 2 * at + np.cos(at), rtol=1e-14)


def test_several_outputs_are_weighted_by_their_cotangents() -> None:
    x, u, v = vector(), vector(), placeholder(aval((), f64))
    (grad,) = backward([ops.exp(x), ops.reduce_sum(x)], [u, v], [x])
    assert grad is not None
    feeds = {x: np.array([0.0, 1.0, 2.0]), u: np.array([3.0, 4.0, 5.0]), v: np.array(7.0)}
    np.testing.assert_allclose(evaluate([grad], feeds)[0], np.exp(feeds[x]) * feeds[u] + 7, rtol=1e-14)


def test_only_nodes_on_the_way_are_differentiated() -> None:
    x, y = vector(), vector()
    (grad,) = backward([ops.reduce_sum(ops.mul(ops.exp(y), x))], [ONE], [x])
    assert grad is not None
    assert {n.prim.name for n in topological([grad])} == {"constant", "reshape", "broadcast_to", "input", "exp", "mul"}


def test_an_input_that_is_not_used_has_none() -> None:
    x, y = vector(), vector()
    assert backward([ops.reduce_sum(x)], [ONE], [y]) == [None]
    assert backward([ops.reduce_sum(ops.stop_gradient(x))], [ONE], [x]) == [None]
    assert backward([ops.reduce_sum(ops.cast(ops.lt(x, y), f64))], [ONE], [x]) == [None]
    assert backward([ops.reduce_sum(ops.floor(x))], [ONE], [x]) == [None]


def test_an_output_may_be_an_input_and_an_input_may_lie_between() -> None:
    x = vector()
    (same,) = backward([x], [x], [x])
    assert same is x
    middle = ops.identity(ops.mul(x, x))
    loss = ops.reduce_sum(ops.mul(middle, x))
    gx, gm = backward([loss], [ONE], [x, middle])
    assert gx is not None
    assert gm is not None
    at = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(evaluate([gx, gm], {x: at}), [3 * at**2, at])


def test_integers_and_booleans_are_passed_over() -> None:
    x = vector()
    n = placeholder(aval((2,), dt.int64))
    loss = ops.reduce_sum(ops.take(x, n))
    gx, gn = backward([loss, ops.argsort(x)], [ONE, ops.iota((3,))], [x, n])
    assert gn is None
    assert gx is not None
    np.testing.assert_array_equal(evaluate([gx], {x: np.zeros(3), n: np.array([2, 2])})[0], [0, 0, 2])


def test_a_derivative_of_a_derivative_of_a_derivative() -> None:
    x = placeholder(aval((), f64))
    y: Node = ops.tanh(x)
    for _ in range(3):
        (g,) = backward([y], [ONE], [x])
        assert g is not None
        y = g
    t = np.tanh(0.3)
    expected = -2 * (1 - t**2) * (1 - 3 * t**2)
    assert abs(float(evaluate([y], {x: np.array(0.3)})[0]) - expected) < 1e-13


def test_a_path_through_bits_is_refused() -> None:
    x = placeholder(aval((3,), dt.float16))
    out = ops.bitcast(x, dt.bfloat16)
    with pytest.raises(ArgumentError) as caught:
        backward([out], [ops.ones_like(out)], [x])
    assert caught.value.what == "bitcast has no gradient: it reads bits, not values."
    assert caught.value.slug == "no-gradient"
    assert backward([ops.stop_gradient(out)], [ops.ones_like(out)], [x]) == [None]


def test_cotangents_and_tangents_must_fit() -> None:
    x = vector()
    with pytest.raises(ShapeError, match="cotangent"):
        backward([x], [ONE], [x])
    with pytest.raises(ShapeError, match="tangent"):
        jvp_nodes([x], [x], [ONE])


def test_tangents_do_not_depend_on_the_dummy_cotangents() -> None:
    x, t = vector(), vector()
    y = ops.mul(ops.exp(x), ops.reshape(ops.reduce_max(x), (1,)))
    tangents = jvp_nodes([y, ops.reduce_prod(x), ops.lt(x, t)], [x], [t])
    verify(tangents)
    assert {n for n in topological(tangents) if n.prim.kind == "leaf"} == {x, t}
    at, along = np.array([0.5, -1.0, 2.0]), np.array([1.0, -2.0, 0.5])
    found = evaluate(tangents, {x: at, t: along})
    np.testing.assert_allclose(found[0], np.exp(at) * (along * 2 + 0.5), rtol=1e-13)
    np.testing.assert_allclose(found[1], along[0] * -2 + along[1] + along[2] * -0.5, rtol=1e-13)
    assert found[2].dtype == bool
    assert not found[2].any()


def test_forward_over_reverse_gives_the_hessian_times_a_vector() -> None:
    x, t = vector(), vector()
    (grad,) = backward([ops.reduce_sum(ops.mul(ops.sin(x), ops.mul(x, x)))], [ONE], [x])
    assert grad is not None
    (product,) = jvp_nodes([grad], [x], [t])
    at, along = np.array([0.5, -1.0, 2.0]), np.array([1.0, -2.0, 0.5])
    second = (2 - at**2) * np.sin(at) + 4 * at * np.cos(at)
    np.testing.assert_allclose(evaluate([product], {x: at, t: along})[0], second * along, rtol=1e-13)


def test_a_long_chain_needs_no_recursion() -> None:
    x = vector()
    y = x
    for _ in range(5000):
        y = ops.sin(y)
    (grad,) = backward([ops.reduce_sum(y)], [ONE], [x])
    assert grad is not None
    assert "cos" in show([grad])


# -- the verifier --------------------------------------------------------------------------------
def test_the_verifier_passes_sound_graphs_and_names_what_is_wrong() -> None:
    x = vector()
    exp, add = REGISTRY["exp"], REGISTRY["add"]
    verify([ops.exp(x), x])
    wrong = [
        (Node(exp, (x,), (), aval((4,), f64)), "should be float64"),
        (Node(add, (x,), (), x.aval), "takes 2"),
        (Node(exp, (x,), (1,), x.aval), "has attributes"),
        (Node(add, (x, vector(4)), (), x.aval), "does not fit its inputs"),
        (Node(REGISTRY["reshape"], (x,), ([3, 1],), aval((3, 1), f64)), "not hashable"),
    ]
    for node, text in wrong:
        with pytest.raises(InternalError, match=text):
            verify([ops.neg(node)])


def test_the_verifier_finds_a_cycle() -> None:
    a = ops.exp(vector())
    b = ops.exp(a)
    a.inputs = (b,)
    with pytest.raises(InternalError, match="cycle"):
        verify([b])


def test_the_reference_wants_a_value_for_every_placeholder() -> None:
    x = vector()
    with pytest.raises(InternalError, match="no value"):
        evaluate([ops.exp(x)])
    with pytest.raises(InternalError, match="gave"):
        evaluate([ops.exp(x)], {x: np.zeros(4)})
