"""NaN and infinities traced to the operation that made them: in any function, and while `fit` runs."""

from __future__ import annotations

import doctest
import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import DataWarning, NotFiniteError
from insitu.nn import callbacks, watch

RNG = np.random.default_rng(11)


def caught(call):
    """The error that a call must raise."""
    with pytest.raises(NotFiniteError) as found:
        call()
    return found.value


def line_of(text):
    """File and number of the line of this file that ends with a mark."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = [k for k, line in enumerate(lines, 1) if line.endswith(text)]
    return f"test_nn_watch.py:{number}"


# -- any function ------------------------------------------------------------------------------------
def test_the_first_operation_its_line_example_and_inputs_are_named():
    def f(x, w):
        h = si.exp(si.matmul(x, w))  # mark 1
        return si.sum(h / si.sum(h, axis=1, keepdims=True))

    x = np.ones((4, 3), np.float32)
    g = si.debug.check_finite(f)
    assert float(g(x, np.ones((3, 2), np.float32))) == 4
    x[2] = 1000
    error = caught(lambda: g(x, np.ones((3, 2), np.float32)))
    assert error.what == f"f: exp gave inf first ({line_of('# mark 1')})."
    assert "inf in example 2, at [2, 0] of (4, 2) float32, 2 times" in error.received and "from 3 to 3000" in error.received


def test_values_that_never_reach_the_result_are_not_to_blame():
    f = si.debug.check_finite(lambda x: si.sum(si.where(x > 0, si.log(x), 0)))
    assert float(f(np.asarray([0.0, 1.0], np.float32))) == 0
    g = si.debug.check_finite(lambda x: si.sum(si.where(x > 0, si.log(x), 0)) + si.sum(1 / x))
    assert "division gave inf" in caught(lambda: g(np.asarray([0.0, 1.0], np.float32))).what


def test_infinities_that_the_program_writes_are_meant():
    def masked(x, mask):
        z = si.where(mask, x, -si.inf)
        e = si.exp(z - si.max(z, axis=-1, keepdims=True))
        return e / si.sum(e, axis=-1, keepdims=True)

    f = si.debug.check_finite(masked)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(np.asarray(f(x, np.asarray([[True, True, False]] * 2))), [[0.5, 0.5, 0]] * 2)
    error = caught(lambda: f(x, np.asarray([[True, True, False], [False] * 3])))
    assert "subtraction gave NaN" in error.what and "example 1" in error.received


def test_gradients_variables_and_arguments():
    gradient = si.debug.check_finite(si.grad(lambda x: si.sum(si.where(x > 0, si.log(x), 0))))
    assert "division gave NaN first in a gradient" in caught(lambda: gradient(np.asarray([0.0, 1.0], np.float32))).what
    state = si.Variable([1.0, 2.0])

    @si.compile
    def step(x):
        state.assign(state.value / x)

    checked = si.debug.check_finite(step)
    checked(si.asarray(2.0))
    assert "division gave inf" in caught(lambda: checked(si.asarray(0.0))).what
    assert np.asarray(state.value).tolist() == [0.5, 1.0]
    assert "argument" in caught(lambda: checked(si.asarray(np.nan))).what


def test_a_checked_function_inside_another_is_part_of_it():
    inner = si.debug.check_finite(lambda x: x * 2)
    assert float(si.compile(lambda x: inner(x) + 1)(si.asarray(3.0))) == 7


# -- while fit runs ----------------------------------------------------------------------------------
class Log(si.nn.Layer):
    def call(self, x):
        return si.log(x)  # mark 2


class Root(si.nn.Layer):
    """Its values are finite everywhere, its derivative at 0 is not."""

    def call(self, x):
        return si.sqrt(si.maximum(x, 0))


def data(bad, value=0.0):
    x = RNG.random((400, 5), np.float32) + 0.5
    x[bad, 3] = value
    return x, RNG.integers(0, 3, 400)


def model(*layers, optimizer="adam"):
    si.random.seed(2)
    made = si.nn.Sequential([*layers, si.nn.Dense(3, activation="softmax", name="last")])
    made.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def state_before(bad_step, x, y, batch=10):
    """The weights after the steps before."""
    made = model(Log(name="logs"))
    made.fit(x[: bad_step * batch], y[: bad_step * batch], batch_size=batch, shuffle=False, verbose=0)
    return [w.tobytes() for w in made.get_weights()]


def test_layer_operation_step_and_example_are_named_and_the_model_is_as_before_that_step():
    x, y = data(273)
    made = model(Log(name="logs"))
    error = caught(lambda: made.fit(x, y, batch_size=10, shuffle=False, verbose=0))
    assert error.what.startswith("fit: the loss is ") and error.slug == "loss-not-finite"
    assert f'at step 28 of epoch 1: log gave -inf first in Log "logs" ({line_of("# mark 2")}).' in error.what
    assert "example 3 of the batch (example 273 of x), at [3, 3] of (10, 5) float32, once" in error.received and "from 0 to 1." in error.received
    assert [w.tobytes() for w in made.get_weights()] == state_before(27, x, y)


@pytest.mark.parametrize("share", [1e9, 1e-9])
def test_a_later_epoch_is_gone_through_again_from_an_older_copy(monkeypatch, share):
    monkeypatch.setattr(watch, "_SHARE", share)

    class Spoils(Log):
        """Fails when a weight has counted to 70."""

        def build(self, shape):
            self.steps = self.add_weight((), "zeros", "steps", trainable=False)

        def call(self, x, training=False):
            if training:
                self.steps.assign(self.steps.value + 1)
            return si.log(x + si.where(self.steps.value >= 70, -1e3, 0.0))

    x, y = data([])
    error = caught(lambda: model(Spoils(name="counts")).fit(x, y, batch_size=10, epochs=3, validation_split=0.1, verbose=0))
    assert error.what.startswith("fit: the loss is NaN at step 34 of epoch 2: log gave NaN first in Spoils"), error.what


def test_shuffled_examples_have_their_own_numbers():
    x, y = data(273)
    error = caught(lambda: model(Log()).fit(x, y, batch_size=10, epochs=3, verbose=0))
    assert "(example 273 of x)" in error.received and "epoch 1" in error.what


@pytest.mark.parametrize("held", [10**9, 1])
def test_batches_that_come(monkeypatch, held):
    monkeypatch.setattr(watch, "_HELD_BYTES", held)
    x, y = data(273)

    def batches():
        for k in range(0, 400, 10):
            yield x[k : k + 10], y[k : k + 10]

    made = model(Log(name="logs"))
    error = caught(lambda: made.fit(batches, verbose=0))
    assert "at step 28 of epoch 1: log gave -inf first" in error.what and "example 3 of the batch, at [3, 3]" in error.received
    assert [w.tobytes() for w in made.get_weights()] == state_before(27, x, y)


def test_with_callbacks_on_batches():
    x, y = data(273)
    seen = []
    each = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    assert "at step 28" in caught(lambda: model(Log()).fit(x, y, batch_size=10, shuffle=False, callbacks=[each], verbose=0)).what
    assert len(seen) == 27 and np.isfinite(seen).all()


def test_a_gradient_that_spoils_the_weights_before_the_loss():
    x, y = data([])
    first = si.nn.Dense(4, kernel_initializer="zeros", name="first")
    made = model(first, Root(name="root"), optimizer="sgd")
    error = caught(lambda: made.fit(x, y, batch_size=10, shuffle=False, verbose=0))
    assert '"first/kernel" is not finite after step 1 of epoch 1' in error.what and 'in the gradient of Root "root"' in error.what
    assert not np.asarray(made.get_weights()[0]).any()


def test_without_a_copy_of_the_state_the_step_is_still_named(monkeypatch):
    monkeypatch.setattr(watch, "_COPY_SHARE", 0.0)
    x, y = data(273)
    error = caught(lambda: model(Log()).fit(x, y, batch_size=400, shuffle=False, verbose=0))
    assert "at step 1 of epoch 1" in error.what


def test_loss_of_a_validation():
    x, y = data(273)
    made = model(Log(name="logs"))
    error = caught(lambda: made.fit(x[:200], y[:200], validation_data=(x, y), validation_batch_size=50, verbose=0))
    assert error.what.startswith("fit: the validation loss is ") and "at step 6 of the validation after epoch 1" in error.what
    assert "log gave -inf first" in error.what and "example 23 of the batch" in error.received


def test_data_that_hold_nan_in_a_later_batch_are_to_be_cleaned():
    model = si.nn.Sequential([si.nn.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 3), np.float32)
    with pytest.raises(si.errors.NotFiniteError) as caught:
        model.fit(((x * scale, x[:, :1]) for scale in (1, np.nan)), verbose=0)
    assert "the data held NaN" in caught.value.what and "np.nan_to_num" in caught.value.fix


def test_weights_that_held_nan_before():
    x, y = data([])
    made = model(si.nn.Dense(3, name="first"))
    made.build((None, 5))
    made.layers[0].bias.assign(si.asarray([0.0, np.nan, 0.0]))
    error = caught(lambda: made.fit(x, y, verbose=0))
    assert "a weight held NaN" in error.what and "at [1] of (3,)" in error.received


def test_other_answers_than_raising():
    x, y = data(273)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warned = model(Log()).fit(x, y, batch_size=10, epochs=2, verbose=0, nan="warn")
        assert len(told) == 1 and told[0].category is DataWarning and "log gave -inf first" in str(told[0].message)
        ignored = model(Log()).fit(x, y, batch_size=10, epochs=2, verbose=0, nan="ignore")
        assert len(told) == 1
    np.testing.assert_array_equal(warned.history["accuracy"], ignored.history["accuracy"])
    assert not np.isfinite(warned.history["loss"]).any()


def test_a_callback_that_stops_decides_itself(capsys):
    x, y = data(273)
    history = model(Log()).fit(x, y, batch_size=10, shuffle=False, epochs=4, callbacks=[callbacks.TerminateOnNaN()], verbose=0)
    assert len(history.epoch) == 1 and "Batch 27: Invalid loss" in capsys.readouterr().out


def test_a_training_without_trouble_has_the_same_bits_watched_or_not():
    x, y = data([])
    runs = []
    for nan in ("raise", "ignore"):
        si.random.seed(4)
        made = model(si.nn.Dense(8, activation="relu"), si.nn.Dropout(0.5))
        history = made.fit(x, y, batch_size=10, epochs=3, validation_split=0.2, verbose=0, nan=nan)
        runs.append(([w.tobytes() for w in made.get_weights()], history.history))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["insitu.array.finite", "insitu.errors", "insitu.graph.cost", "insitu.graph.origins"])
def test_examples_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
