"""Optimizers against their formulas in NumPy, as functions and on variables."""

from __future__ import annotations

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError, ShapeError
from insitu.optim import SGD, Adam

rng = np.random.default_rng(0)
PARAMS = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
GRADS = [[rng.standard_normal(p.shape) for p in PARAMS] for _ in range(5)]


def sgd(rate, momentum=0.0, nesterov=False):
    params, velocity = [p.copy() for p in PARAMS], [np.zeros_like(p) for p in PARAMS]
    for grads in GRADS:
        for i, g in enumerate(grads):
            velocity[i] = momentum * velocity[i] - rate * g
            params[i] = params[i] + (momentum * velocity[i] - rate * g if nesterov else velocity[i])
    return params


def adam(rate, b1=0.9, b2=0.999, eps=1e-7):
    params, m, v = [p.copy() for p in PARAMS], [np.zeros_like(p) for p in PARAMS], [np.zeros_like(p) for p in PARAMS]
    for t, grads in enumerate(GRADS, 1):
        for i, g in enumerate(grads):
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g * g
            params[i] = params[i] - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m[i] / (np.sqrt(v[i]) + eps)
    return params


CASES = [
    (lambda: SGD(0.1), sgd(0.1)),
    (lambda: SGD(0.1, momentum=0.9), sgd(0.1, 0.9)),
    (lambda: SGD(0.1, momentum=0.9, nesterov=True), sgd(0.1, 0.9, True)),
    (lambda: Adam(0.05), adam(0.05)),
    (lambda: Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3), adam(0.01, 0.5, 0.9, 1e-3)),
]


def f32(x):
    return si.asarray(np.asarray(x, np.float32))


@pytest.mark.parametrize(("make", "expected"), CASES)
def test_steps_as_functions(make, expected):
    optimizer = make()
    params = {"a": f32(PARAMS[0]), "b": [f32(PARAMS[1])]}
    state = optimizer.init(params)
    for ga, gb in GRADS:
        params, state = optimizer.update({"a": f32(ga), "b": [f32(gb)]}, params, state)
    np.testing.assert_allclose(np.asarray(params["a"]), expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(params["b"][0]), expected[1], rtol=1e-5, atol=1e-5)
    assert int(state["iterations"]) == 5


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("make", "expected"), CASES)
def test_steps_on_variables(make, expected, compiled):
    optimizer = make()
    variables = [si.Variable(f32(p)) for p in PARAMS]
    optimizer.build(variables)

    def step(a, b):
        optimizer.apply([a, b], variables)

    run = si.compile(step) if compiled else step
    for ga, gb in GRADS:
        run(f32(ga), f32(gb))
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-5)
    assert int(optimizer.iterations.value) == 5


def test_a_new_learning_rate_needs_no_new_trace():
    optimizer, traced = SGD(1.0), []
    w = si.Variable(f32([1.0]))
    optimizer.build([w])

    def step(g):
        traced.append(1)
        optimizer.apply([g], [w])

    run = si.compile(step)
    for rate in (1.0, 0.5, 0.25, 0.125):
        optimizer.learning_rate = rate
        run(f32([1.0]))
    assert len(traced) == 1 and w.numpy().tolist() == [1 - 1.875]


def test_no_gradient_leaves_the_variable_alone():
    a, b = si.Variable(f32([1.0])), si.Variable(f32([2.0]))
    Adam(0.1).apply([None, f32([1.0])], [a, b])
    assert a.numpy().tolist() == [1] and b.numpy()[0] != 2


@pytest.mark.parametrize("optimizer", [SGD(0.3, momentum=0.5, nesterov=True), Adam(0.02, 0.8, 0.9, 1e-5, name="mine")])
def test_optimizers_come_back_from_their_configuration(optimizer):
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config() and again.name == optimizer.name
    assert si.optim.get({"class_name": type(optimizer).__name__, "config": optimizer.get_config()}).get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda: SGD(-1.0), "optimizer-learning-rate"),
        (lambda: Adam("fast"), "optimizer-learning-rate"),
        (lambda: SGD(0.1, momentum=1.5), "optimizer-range"),
        (lambda: Adam(beta_1=1.0), "optimizer-range"),
        (lambda: Adam(epsilon=0.0), "optimizer-range"),
        (lambda: si.optim.get("adamm"), "optimizer-unknown"),
        (lambda: SGD().update([f32([1.0])], [f32([1.0, 2.0])], SGD().init([f32([1.0, 2.0])])), "optimizer-gradient-shape"),
        (lambda: SGD().apply([], [si.Variable(f32([1.0]))]), "optimizer-gradient-count"),
    ],
)
def test_mistakes_are_named(make, slug):
    with pytest.raises((ArgumentError, ShapeError)) as caught:
        make()
    assert caught.value.slug == slug
