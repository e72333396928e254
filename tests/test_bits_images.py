"""A training with convolutions gives the same bits with any number of threads and any vector width."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

import insitu as si
from insitu.vision import models

TARGET = si.config.target

pytestmark = pytest.mark.skipif(not TARGET.fma, reason="the frozen bits are those of CPUs with fma")

#: sha256 of all weights after 200 steps. A change of these bits is a change of the arithmetic: it needs a new version.
FROZEN = "f8f136ecbf16eb3ee0e972579b88860bae2df9ee34410868f2ca95b640aa1625"

BATCH, STEPS = 8, 200


@pytest.fixture(autouse=True)
def settings(monkeypatch) -> Iterator[None]:
    """Whatever a test sets is undone."""
    monkeypatch.setattr(si.config, "verify", False)
    yield
    si.config.threads = si.config.vector_bits = si.config.cpu = None


def train() -> str:
    """200 steps of the net with two convolutions on digits enlarged to 28 x 28; the hash of its weights."""
    (x, y), _ = si.data.digits()
    x = np.pad(x[: 5 * BATCH * 8].repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))[..., None]
    si.random.seed(3)
    model = models.MNISTNet()
    model.compile("adam", "sparse_categorical_crossentropy")
    epochs = STEPS * BATCH // len(x)
    history = model.fit(x, y[: len(x)], batch_size=BATCH, epochs=epochs, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == STEPS
    assert history.history["loss"][-1] < 0.2 * history.history["loss"][0]
    return hashlib.sha256(b"".join(w.numpy().tobytes() for w in model.weights)).hexdigest()


@pytest.mark.parametrize(("threads", "cpu"), [(1, None), (2, None), (3, None), (2, "haswell")])
def test_neither_threads_nor_vectors_change_a_training_with_convolutions(threads, cpu):
    try:
        si.config.cpu = cpu
        si.sum(si.ones(3)).item()
    except si.errors.UserError:
        pytest.skip("this machine cannot run code for that CPU")
    si.config.threads = threads
    assert train() == FROZEN
