"""`grad`, `value_and_grad`, `vjp`, `jvp`, `stop_gradient` on Python functions and trees."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError

RNG = np.random.default_rng(1)


def _arr(*shape: int) -> si.Array:
    return si.asarray(RNG.uniform(0.3, 1.5, shape))


def _numeric(f: Any, x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += eps
        down[i] -= eps
        out[i] = (float(f(si.asarray(up))) - float(f(si.asarray(down)))) / (2 * eps)
    return out


FUNCTIONS: dict[str, Any] = {
    "matmul": lambda x: ((x @ x.T) ** 2).sum(),
    "vector products": lambda x: (x[0] @ x[1]) * (x @ x[0]).sum(),
    "softmax": lambda x: (si.exp(x - si.logsumexp(x, axis=1, keepdims=True)) * si.arange(3)).sum(),
    "statistics": lambda x: si.var(x, axis=0).sum() + si.std(x, correction=1) * si.mean(x),
    "einsum": lambda x: si.einsum("ij,kj,kl->il", x, x, x).sum() + si.einsum("ii", x[:, :2]),
    "tensordot": lambda x: si.tensordot(x, x, axes=((0,), (0,))).prod(),
    "shapes": lambda x: (si.concat([x, si.flip(x, axis=1)], axis=0).reshape(3, 4) * si.roll(si.tile(x, (2, 1)).reshape(3, 4), 1, axis=1)).sum(),
    "stack and pad": lambda x: (si.stack([x, x * 2], axis=2)[:, ::-1, 0] * si.pad(x, ((0, 0), (1, 0)), mode="edge")[:, 1:]).sum(),
    "wrapped pad": lambda x: (si.pad(x, 2, mode="reflect" if x.shape[0] > 2 else "wrap") ** 2 * si.arange(7)).sum(),
    "indexing": lambda x: (x[si.asarray([0, 0, 1]), si.asarray([1, 1, 2])] ** 2).sum() + (x[:, None, 1:] ** 3).sum(),
    "at": lambda x: (x.at[0, 1:].set(x[1, :2] * 2).at[si.asarray([1, 1])].add(x[0]) ** 2).sum(),
    "sort and topk": lambda x: (si.sort(x, axis=1) * si.arange(3)).sum() + si.topk(x, 2, axis=0).values.prod(),
    "where and clip": lambda x: si.where(x > 0.9, x * x, si.sin(x)).sum() + si.clip(x, 0.5, 1.2).sum(),
    "extremes": lambda x: x.max() * x.min(axis=1).sum() + si.maximum(x, 0.8).sum(),
    "cumulative": lambda x: (si.cumulative_sum(x, axis=1) * si.cumulative_prod(x, axis=0)).sum(),
    "powers": lambda x: (x**2 + x**0.5 + x**3.3 + 2.0**x + 1 / x + x**-1).sum(),
    "logs": lambda x: (si.logaddexp(x, 2 * x) + si.hypot(x, 1.0) + si.log2(x) + si.atan2(x, 2.0)).sum(),
    "take": lambda x: (si.take(x, [2, 0, 2], axis=1) * si.take_along_axis(x, si.argsort(x, axis=1), axis=1)).sum(),
    "repeat": lambda x: (si.repeat(x, 2, axis=1) * si.arange(6)).sum() + si.diff(x, axis=1).prod(),
    "meshed": lambda x: si.vecdot(x, si.broadcast_to(x[0], (2, 3))).prod() + si.outer(x, x).sum() + si.tril(x[:, :2]).sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    x = _arr(2, 3)
    np.testing.assert_allclose(np.asarray(si.grad(FUNCTIONS[name])(x)), _numeric(FUNCTIONS[name], np.array(x)), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["matmul", "softmax", "einsum", "powers", "indexing", "statistics"])
def test_forward_mode_agrees_with_reverse_mode(name: str) -> None:
    x, t = _arr(2, 3), si.asarray(RNG.normal(size=(2, 3)))
    value, along = si.jvp(FUNCTIONS[name], (x,), (t,))
    np.testing.assert_allclose(float(value), float(FUNCTIONS[name](x)))
    np.testing.assert_allclose(float(along), float((si.grad(FUNCTIONS[name])(x) * t).sum()), rtol=1e-9)


def test_derivatives_of_derivatives() -> None:
    f = lambda x: si.sin(x) * x**3  # noqa: E731
    for order, expected in enumerate([lambda v: np.sin(v) * v**3, lambda v: np.cos(v) * v**3 + 3 * np.sin(v) * v**2,
                                      lambda v: (6 * v - v**3) * np.sin(v) + 6 * v**2 * np.cos(v)]):  # fmt: skip
        g = f
        for _ in range(order):
            g = si.grad(g)
        np.testing.assert_allclose(float(g(si.asarray(0.7, dtype="float64"))), expected(0.7), rtol=1e-12)
    x = _arr(3)
    hessian_vector = si.jvp(si.grad(lambda v: (v**3).sum()), (x,), (si.ones(3, dtype="float64"),))[1]
    np.testing.assert_allclose(np.asarray(hessian_vector), 6 * np.asarray(x), rtol=1e-12)


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


def test_trees_of_arrays_as_arguments() -> None:
    params = {"a": Layer(_arr(3, 2), _arr(2)), "list": [_arr(2), (_arr(),)], "none": None}
    x = _arr(4, 3)

    def loss(p: Any, x: Any) -> Any:
        return ((x @ p["a"].w + p["a"].b) * p["list"][0] * p["list"][1][0]).sum()

    value, g = si.value_and_grad(loss)(params, x)
    assert value.shape == () and type(g["a"]) is Layer and g["none"] is None
    h = np.asarray(x) @ np.asarray(params["a"].w) + np.asarray(params["a"].b)
    s, c = np.asarray(params["list"][0]), float(params["list"][1][0])
    np.testing.assert_allclose(np.asarray(g["a"].w), np.asarray(x).sum(0)[:, None] * s * c)
    np.testing.assert_allclose(np.asarray(g["a"].b), 4 * s * c)
    np.testing.assert_allclose(np.asarray(g["list"][0]), h.sum(0) * c)
    np.testing.assert_allclose(float(g["list"][1][0]), (h * s).sum())


def test_argnums_and_aux() -> None:
    f = lambda a, b, scale=1.0: (a * b * scale).sum()  # noqa: E731
    a, b = _arr(3), _arr(3)
    np.testing.assert_array_equal(si.grad(f, argnums=1)(a, b, scale=2.0), 2 * a)
    np.testing.assert_array_equal(si.grad(f, argnums=-1)(a, b), a)
    both = si.grad(f, argnums=(0, 1))(a, b)
    assert isinstance(both, tuple)
    np.testing.assert_array_equal(both[0], b)
    (value, more), g = si.value_and_grad(lambda x: (x.sum(), {"twice": x * 2}), has_aux=True)(a)
    np.testing.assert_array_equal(more["twice"], a * 2)
    assert float(value) == float(a.sum())
    np.testing.assert_array_equal(g, [1, 1, 1])
    g, more = si.grad(lambda x: (x.sum(), "text"), has_aux=True)(a)
    assert more == "text"


def test_python_numbers_and_numpy_arrays_as_arguments() -> None:
    assert float(si.grad(lambda x: x * x)(3.0)) == 6.0
    np.testing.assert_array_equal(si.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0])), [2, 4])
    np.testing.assert_array_equal(si.grad(lambda x: (x * x).sum())(si.Variable([1.0, 2.0]).value), [2, 4])


def test_what_the_result_does_not_depend_on_gives_zeros() -> None:
    g = si.grad(lambda x, y: y.sum())(si.ones(3), si.ones(2))
    np.testing.assert_array_equal(g, [0, 0, 0])
    assert float(si.grad(lambda x: 3.0)(1.0)) == 0
    assert float(si.grad(lambda x: si.floor(x) * 0 + si.round(x))(1.5)) == 0
    g = si.grad(lambda x: (x * si.stop_gradient(x)).sum())(si.asarray([1.0, 2.0]))
    np.testing.assert_array_equal(g, [1, 2])
    assert si.stop_gradient({"a": si.ones(2)})["a"].shape == (2,)


def test_values_may_be_looked_at_on_the_way() -> None:
    seen = []

    def f(x: Any) -> Any:
        y = x * x
        seen.append(float(y.sum()))
        z = si.exp(y)
        if z.max() > 1:
            z = z * 2
        return z.sum()

    x = si.asarray([0.5, 1.0], dtype="float64")
    np.testing.assert_allclose(np.asarray(si.grad(f)(x)), 4 * np.asarray(x) * np.exp(np.asarray(x) ** 2))
    assert seen == [1.25]
    value, pullback = si.vjp(f, x)
    si.evaluate(value)
    np.testing.assert_allclose(np.asarray(pullback(si.asarray(1.0, dtype="float64"))[0]), 4 * np.asarray(x) * np.exp(np.asarray(x) ** 2))


def test_vjp_of_trees() -> None:
    a, b = _arr(2, 3), _arr(3)
    value, pullback = si.vjp(lambda p, q: {"m": p @ q, "s": (p * q).sum()}, a, b)
    assert set(value) == {"m", "s"}
    ga, gb = pullback({"m": si.asarray([1.0, 0.0], dtype="float64"), "s": 0.0})
    np.testing.assert_allclose(np.asarray(ga), np.outer([1, 0], np.asarray(b)))
    np.testing.assert_allclose(np.asarray(gb), np.asarray(a)[0])
    ga, _ = pullback({"m": si.zeros(2, dtype="float64"), "s": 2.0})
    np.testing.assert_allclose(np.asarray(ga), np.broadcast_to(2 * np.asarray(b), (2, 3)))
    value, pullback, more = si.vjp(lambda p: (p.sum(), "more"), a, has_aux=True)
    assert more == "more"
    value, along, more = si.jvp(lambda p: (p.sum(), "more"), (a,), (a,), has_aux=True)
    assert more == "more" and float(along) == pytest.approx(float(a.sum()))
    _, zero = si.jvp(lambda p: {"i": si.argmax(p), "c": si.ones(2)}, (b,), (b,))
    np.testing.assert_array_equal(zero["c"], [0, 0])


@pytest.mark.parametrize(
    ("call", "error", "slug"),
    [
        (lambda: si.grad(lambda x: x * 2)(si.ones(3)), ShapeError, "grad-not-scalar"),
        (lambda: si.grad(lambda x: (x.sum(), x))(si.ones(3)), ShapeError, "grad-not-scalar"),
        (lambda: si.grad(lambda x: si.argmax(x))(si.ones(3)), DTypeError, "grad-not-scalar"),
        (lambda: si.grad(lambda x: x.sum())(si.arange(3)), DTypeError, "grad-integer-input"),
        (lambda: si.grad(lambda x: x)(2), DTypeError, "grad-integer-input"),
        (lambda: si.grad(lambda x: x)("text"), DTypeError, "grad-integer-input"),
        (lambda: si.grad(lambda x: x, argnums=1)(2.0), ArgumentError, "grad-argnums"),
        (lambda: si.grad(lambda x: x, argnums="x"), ArgumentError, "grad-argnums"),
        (lambda: si.grad(lambda x: x, has_aux=True)(2.0), ArgumentError, "grad-aux"),
        (lambda: si.vjp(lambda x: x, si.ones(2))[1](si.ones(3)), ShapeError, "vjp-cotangent"),
        (lambda: si.vjp(lambda x: x, si.ones(2))[1]((si.ones(2),)), ArgumentError, "vjp-cotangent"),
        (lambda: si.jvp(lambda x: x, (si.ones(2),), (si.ones(3),)), ShapeError, "jvp-tangent"),
        (lambda: si.jvp(lambda x: x, (si.ones(2),), si.ones(2)), ArgumentError, "jvp-tangents"),
        (lambda: si.jvp(lambda x: x, si.ones(2), si.ones(2)), ArgumentError, "argument-list"),
        (lambda: si.grad(lambda x, y: x * y, argnums=(0, -2))(2.0, 3.0), ArgumentError, "grad-argnums"),
    ],
)
def test_misuse_is_refused(call: Any, error: type[UserError], slug: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.slug == slug


def test_an_argument_that_does_not_exist_is_not_told_as_one_named_twice() -> None:
    for argnums, expected in (((1, 5), "argnums from 0 to 1"), ((1, -1), "each argument at most once")):
        with pytest.raises(ArgumentError) as caught:
            si.grad(lambda x, y: x * y, argnums=argnums)(2.0, 3.0)
        assert caught.value.expected == expected


SECOND = {
    "pow": (lambda a, b: a**b, (2.0, 0.0), [[0, 0.5], [0.5, np.log(2.0) ** 2]]),
    "logaddexp": (si.logaddexp, (1.5, 1.5), [[0.25, -0.25], [-0.25, 0.25]]),
    "hypot": (si.hypot, (0.0, 2.0), [[0.5, 0], [0, 0]]),
    "hypot of equals": (si.hypot, (1.0, 1.0), [[0.125**0.5, -(0.125**0.5)], [-(0.125**0.5), 0.125**0.5]]),
    "log_cosh": (lambda a, b: si.nn.losses.log_cosh(a.reshape(1), b.reshape(1)), (1.0, 1.0), [[1, -1], [-1, 1]]),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_hold_where_operands_meet(name: str) -> None:
    """Where a formula chooses between branches, or a first derivative has a value of its own, the second one is still right."""
    function, at, expected = SECOND[name]
    x = si.asarray(at, dtype="float64")
    gradient = si.grad(lambda x: function(x[0], x[1]))
    hessian = [si.jvp(gradient, (x,), (row,))[1] for row in si.eye(2, dtype="float64")]
    np.testing.assert_allclose(np.stack([np.asarray(row) for row in hessian]), expected, rtol=1e-12, atol=1e-15)


def test_a_power_of_0_has_no_slope_at_0() -> None:
    for x in (0.0, 1e-310, 1.0):
        assert float(si.grad(lambda x: x ** si.asarray(0.0, dtype="float64"))(si.asarray(x, dtype="float64"))) == 0


def test_gradients_inside_compiled_functions() -> None:
    step = si.compile(si.value_and_grad(lambda w, x: ((x @ w) ** 2).mean()))
    w, x = _arr(3), _arr(5, 3)
    value, g = step(w, x)
    expected = si.grad(lambda w, x: ((x @ w) ** 2).mean())(w, x)
    np.testing.assert_allclose(np.asarray(g), np.asarray(expected), rtol=1e-12)
    assert value.shape == ()
