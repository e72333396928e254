"""Optimizers and schedules against Keras' own values; the same bits eager and compiled; copies and configurations."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import keras_optimizers as golden

GOLDEN = Path(__file__).parent / "golden"
STORED = json.loads((GOLDEN / "keras_optimizers.json").read_text())
NAMES = [f"{name} {config}" for name, config in golden.CASES]


def trained(optimizer, variables, compiled, steps=range(golden.STEPS)):
    def step(grads):
        optimizer.apply(grads, variables)

    run = si.compile(step) if compiled else step
    for k in steps:
        run([si.asarray(g) for g in golden.gradients(k)])
    return [v.numpy() for v in variables]


def variables():
    return [si.Variable(p, name=f"w{i}") for i, p in enumerate(golden.parameters())]


@pytest.mark.parametrize("number", range(len(golden.CASES)), ids=NAMES)
def test_steps_as_in_keras_and_the_same_compiled(number):
    name, config = golden.CASES[number]
    eager = trained(getattr(si.optim, name)(**config), variables(), compiled=False)
    for got, want in zip(eager, STORED["optimizers"][number], strict=True):
        np.testing.assert_allclose(got, want, rtol=3e-5, atol=2e-6)
    compiled = trained(getattr(si.optim, name)(**config), variables(), compiled=True)
    assert all(np.array_equal(a, b) for a, b in zip(eager, compiled, strict=True))


@pytest.mark.parametrize("number", range(len(golden.CASES)), ids=NAMES)
def test_functional_core_configuration_and_pickling_go_on_with_the_same_bits(number):
    name, config = golden.CASES[number]
    optimizer = si.optim.get({"class_name": name, "config": config})
    again = si.optim.get(json.loads(json.dumps(si.optim.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config() and repr(again) == repr(optimizer)
    params = [si.asarray(p) for p in golden.parameters()]
    state = again.init(params)
    for k in range(golden.STEPS):
        params, state = again.update([si.asarray(g) for g in golden.gradients(k)], params, state)
    own = variables()
    trained(optimizer, own, True, range(4))
    copies = [pickle.loads(pickle.dumps((optimizer, own))), copy.deepcopy((optimizer, own))]
    want = trained(optimizer, own, True, range(4, golden.STEPS))
    assert all(np.array_equal(p, w) for p, w in zip(map(np.asarray, params), want, strict=True))
    for other, held in copies:
        assert all(np.array_equal(p, w) for p, w in zip(trained(other, held, True, range(4, golden.STEPS)), want, strict=True))


@pytest.mark.parametrize("number", range(len(golden.SCHEDULES)), ids=[f"{n} {c}" for n, c in golden.SCHEDULES])
def test_schedules_as_in_keras(number):
    name, config = golden.SCHEDULES[number]
    schedule = getattr(si.optim.schedules, name)(**config)
    got = [float(schedule(si.asarray(at))) for at in golden.AT]
    np.testing.assert_allclose(got, STORED["schedules"][number], rtol=2e-5, atol=1e-8)
    again = si.optim.schedules.get(json.loads(json.dumps(si.optim.schedules.serialize(schedule))))
    assert repr(again) == repr(schedule)


@pytest.mark.skipif(not importlib.util.find_spec("keras") or not importlib.util.find_spec("jax"), reason="Keras with JAX is not installed")
def test_keras_still_gives_the_stored_values():
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "keras_optimizers.py")],
        env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    for part in ("optimizers", "schedules"):
        for got, want in zip(found[part], STORED[part], strict=True):
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_schedule_moves_the_rate_inside_one_compiled_step():
    optimizer = si.optim.SGD(si.optim.schedules.PiecewiseConstantDecay([1], [1.0, 0.5]))
    w = si.Variable(np.float32([8.0]))
    step = si.compile(lambda g: optimizer.apply([g], [w]))
    seen = []
    for _ in range(4):
        step(np.float32([1.0]))
        seen.append(float(w.numpy()[0]))
    assert seen == [7.0, 6.0, 5.5, 5.0] and float(optimizer.learning_rate) == 0.5
    assert len(step._traced) == 1
    with pytest.raises(UserError) as caught:
        optimizer.learning_rate = 0.1
    assert caught.value.slug == "optimizer-schedule"


def test_changing_the_rate_compiles_nothing_anew():
    optimizer = si.optim.SGD(0.5)
    w = si.Variable(np.float32([8.0]))
    step = si.compile(lambda g: optimizer.apply([g], [w]))
    step(np.float32([1.0]))
    optimizer.learning_rate = 2.0
    step(np.float32([1.0]))
    assert w.numpy()[0] == 5.5 and len(step._traced) == 1


def test_trees_of_variables_in_a_plain_loop():
    params = {"a": si.Variable(np.float32([1.0, 2.0])), "b": [si.Variable(np.float32(3.0))]}
    optimizer = si.optim.SGD(0.25)

    @si.compile
    def step():
        loss, grads = si.value_and_grad(lambda p: si.sum(p["a"] ** 2) + p["b"][0] ** 2)(params)
        optimizer.apply(grads, params)
        return loss

    assert float(step()) == 14.0 and float(step()) == 3.5
    np.testing.assert_array_equal(params["a"].numpy(), [0.25, 0.5])


def test_weight_decay_spares_what_is_excluded():
    optimizer = si.optim.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    kernel, bias = si.Variable(np.float32([4.0]), name="d/kernel"), si.Variable(np.float32([4.0]), name="d/bias")
    optimizer.apply([si.zeros(1), si.zeros(1)], [kernel, bias])
    assert kernel.numpy()[0] == 2.0 and bias.numpy()[0] == 4.0


def test_constraints_hold_after_a_step():
    w = si.Variable(np.float32([1.0, -1.0]))
    w.constraint = lambda x: si.maximum(x, 0)
    si.optim.SGD(0.5).apply([si.asarray(np.float32([4.0, 0.0]))], [w])
    np.testing.assert_array_equal(w.numpy(), [0.0, 0.0])


def test_averages_replace_the_weights_at_the_end():
    optimizer = si.optim.SGD(1.0, use_ema=True, ema_momentum=0.5)
    w = si.Variable(np.float32([4.0]))
    for _ in range(2):
        optimizer.apply([si.ones(1)], [w])
    assert w.numpy()[0] == 2.0
    optimizer.finalize_variable_values([w])
    assert w.numpy()[0] == 2.5  # (3 + 2) / 2


@pytest.mark.parametrize(
    ("make", "slug", "fix"),
    [
        (lambda: si.optim.Adam(beta1=0.9), "argument-unknown", "did you mean beta_1=?"),
        (lambda: si.optim.SGD(clipnorm=1.0, clipvalue=1.0), "optimizer-clipping", "leave two of them out"),
        (lambda: si.optim.SGD(gradient_accumulation_steps=1), "optimizer-range", "pass gradient_accumulation_steps=4"),
        (lambda: si.optim.RMSprop(rho="much"), "optimizer-range", "leave rho out to use the default"),
        (lambda: si.optim.get("adamm"), "optimizer-unknown", 'did you mean "adam"?'),
        (lambda: si.optim.schedules.PiecewiseConstantDecay([1], [0.1]), "schedule-values", "PiecewiseConstantDecay([1000], [0.1, 0.01])"),
    ],
)
def test_mistakes_are_named(make, slug, fix):
    with pytest.raises(UserError) as caught:
        make()
    assert (caught.value.slug, caught.value.fix) == (slug, fix)
