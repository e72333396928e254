"""Optimizers and schedules against Keras' own values; the same bits eager and compiled, from copies and from configurations."""

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


@pytest.mark.slow
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
