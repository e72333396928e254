"""Whole programs give the same bits: with any number of threads, any vector width, alone or in a batch, lazily or not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import insitu as si

ROOT = Path(__file__).resolve().parent.parent
TARGET = si.config.target

pytestmark = pytest.mark.skipif(not TARGET.fma, reason="the frozen bits are those of CPUs with fma")

#: sha256 of all weights after the training below. A change of these bits is a change of the arithmetic: it needs a new version.
FROZEN = "a3bf426c844d6937143dfe26190d03d4b714e1168d9ad5650b2b93c3a611af77"

THREADS = (1, 2, 3, 7)
WIDTHS = tuple(bits for bits in (128, 256, 512) if bits <= TARGET.vector_bits)


@pytest.fixture
def settings() -> Iterator[None]:
    """Whatever a test sets is undone."""
    yield
    si.config.threads = si.config.vector_bits = si.config.cpu = si.config.eager = None


def _data() -> tuple[si.Array, si.Array]:
    (x, y), _ = si.data.digits()
    return si.asarray(x.reshape(len(x), -1)), si.asarray(y)


def _loss(p: dict[str, si.Array], x: si.Array, y: si.Array) -> si.Array:
    h = si.tanh(x @ p["w1"] + p["b1"])
    d = h - si.mean(h, axis=1, keepdims=True)
    h = d / si.sqrt(si.mean(d * d, axis=1, keepdims=True) + 1e-5)
    h = 1 / (1 + si.exp(-(h @ p["w2"] + p["b2"])))
    z = h @ p["w3"] + p["b3"]
    z = z - si.max(z, axis=1, keepdims=True)
    log_p = z - si.log(si.sum(si.exp(z), axis=1, keepdims=True))
    decay = si.sum(p["w1"] * p["w1"]) + si.sum(si.abs(p["w2"]))
    return 1e-4 * decay - si.mean(si.take_along_axis(log_p, y[:, None], axis=1))


def train(steps: int = 12, batch: int = 360) -> str:
    """Train a net with products, rows, long sums and gathers by Adam; the hash of its weights."""
    rng = si.random.default_rng(5)
    shapes = {"w1": (64, 257), "b1": (257,), "w2": (257, 130), "b2": (130,), "w3": (130, 10), "b3": (10,)}
    p = {k: si.Variable(rng.normal(0, 0.1, s)) for k, s in shapes.items()}
    m, v = ({k: si.Variable(si.zeros(s)) for k, s in shapes.items()} for _ in range(2))
    x, y = _data()

    @si.compile
    def step(x: si.Array, y: si.Array, rate: si.Array) -> si.Array:
        value, grads = si.value_and_grad(_loss)({k: w.value for k, w in p.items()}, x, y)
        for k, g in grads.items():
            m[k].assign(0.9 * m[k].value + 0.1 * g)
            v[k].assign(0.999 * v[k].value + 0.001 * g * g)
            p[k].assign(p[k].value - rate * m[k].value / (si.sqrt(v[k].value) + 1e-8))
        return value

    losses = []
    for number in range(steps):
        start = number * batch % (x.shape[0] - batch)
        losses.append(float(step(x[start : start + batch], y[start : start + batch], si.asarray(0.01 * 0.9**number))))
    assert steps < 10 or losses[-1] < losses[0]
    return hashlib.sha256(b"".join(w.numpy().tobytes() for w in p.values())).hexdigest()


def test_training_gives_the_frozen_bits():
    assert train() == FROZEN


@pytest.mark.parametrize("threads", THREADS)
def test_threads_do_not_change_training(settings, threads):
    si.config.threads = threads
    assert train() == FROZEN


@pytest.mark.parametrize("bits", WIDTHS)
def test_vector_width_does_not_change_training(settings, bits):
    si.config.vector_bits, si.config.threads = bits, 3
    assert train() == FROZEN


@pytest.mark.parametrize("cpu", ["haswell", "znver3", "skylake-avx512", "x86-64-v3"])
def test_cpu_does_not_change_training(settings, cpu):
    try:
        si.config.cpu = cpu
        si.sum(si.ones(3)).item()
    except si.errors.UserError:
        pytest.skip("this machine cannot run code for that CPU")
    if not si.config.target.fma:
        pytest.skip("a profile of its own")
    assert train() == FROZEN


def test_eager_does_not_change_training(settings):
    si.config.eager = True
    assert train(steps=3) == _lazily()


def _lazily() -> str:
    si.config.eager = None
    return train(steps=3)


def test_another_process_gives_the_frozen_bits():
    code = "import sys; sys.path.insert(0, 'tests'); import test_bits; print(test_bits.train())"
    environment = dict(os.environ, PYTHONPATH=str(ROOT), INSITU_THREADS="2", PYTHONHASHSEED="77")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == FROZEN


# -- alone and in a batch ------------------------------------------------------------------------
def _network(x: si.Array) -> si.Array:
    rng = si.random.default_rng(6)
    w1, w2 = rng.normal(0, 0.1, (64, 300)), rng.normal(0, 0.1, (300, 10))
    h = si.tanh(x @ w1)
    h = h - si.mean(h, axis=-1, keepdims=True)
    z = h @ w2
    e = si.exp(z - si.max(z, axis=-1, keepdims=True))
    return e / si.sum(e, axis=-1, keepdims=True)


def _pairs(x: si.Array) -> si.Array:
    """Batched products: each example with itself."""
    rows = si.reshape(x, (-1, 8, 8))
    return si.sum(rows @ si.matrix_transpose(rows), axis=(1, 2))


@pytest.mark.parametrize("function", [_network, _pairs])
@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 100, 999])
def test_an_example_alone_gives_the_bits_it_gives_in_a_batch(function: Callable[[si.Array], si.Array], size):
    x, _ = _data()
    compiled = si.compile(function)
    whole = np.asarray(compiled(x))
    part = np.asarray(compiled(x[5 : 5 + size]))
    assert part.tobytes() == whole[5 : 5 + size].tobytes()


def test_compiled_and_plain_give_the_same_bits():
    x, _ = _data()
    assert np.asarray(_network(x)).tobytes() == np.asarray(si.compile(_network)(x)).tobytes()


def test_stretches_of_a_long_program_do_not_change_it():
    """Looking at values on the way cuts the graph in other places; fusion must not show."""
    x, _ = _data()
    a = si.tanh(x * 3 + 1)
    b = si.sum(a * a, axis=0)
    seen = [float(si.sum(a)), float(b[0])]
    c = si.exp(-b) @ si.permute_dims(a, (1, 0))
    a2 = si.tanh(x * 3 + 1)
    c2 = si.exp(-si.sum(a2 * a2, axis=0)) @ si.permute_dims(a2, (1, 0))
    assert np.isfinite(seen).all() and np.asarray(c).tobytes() == np.asarray(c2).tobytes()
