"""Callbacks: what Keras' do on the same logs, in `fit`, and in trainings that are interrupted in every way."""

from __future__ import annotations

import copy
import doctest
import importlib
import importlib.util
import json
import os
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import InsituWarning, UserError
from insitu.nn import callbacks as cb

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import keras_callbacks as golden

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 4)).astype(np.float32)
Y = rng.integers(0, 3, 24)


def make_model(optimizer="adam", **options):
    model = si.nn.Sequential([si.nn.Dense(5, activation="tanh"), si.nn.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", **options)
    return model


def fit(*callbacks, model=None, **options):
    model = model or make_model()
    return model.fit(X, Y, **{"batch_size": 8, "epochs": 3, "verbose": 0} | options, callbacks=list(callbacks))


def scheduled():
    return si.optim.SGD(si.optim.schedules.ExponentialDecay(0.1, 10, 0.9))


class Calls(cb.Callback):
    """Notes all hooks."""

    def __init__(self):
        self.calls = []


for hook in [n for n in dir(cb.Callback) if n.startswith("on_") and n not in ("on_batch_begin", "on_batch_end")]:
    setattr(Calls, hook, lambda self, *args, hook=hook: self.calls.append((hook, *[a for a in args if isinstance(a, int)])))


# -- against Keras ---------------------------------------------------------------------------------------
def test_callbacks_do_on_given_logs_what_those_of_keras_do():
    stored = json.loads(golden.STORED.read_text())
    found = json.loads(json.dumps(golden.cases(cb, ".insitu", ".safetensors")))
    assert found.keys() == stored.keys()
    for name in stored:
        assert found[name] == stored[name], name


@pytest.mark.skipif(importlib.util.find_spec("keras") is None or importlib.util.find_spec("jax") is None, reason="Keras is not installed")
def test_stored_values_are_those_of_keras():
    command = [sys.executable, golden.__file__, "--show"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(golden.STORED.read_text())


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(cb.__path__)])
def test_examples_of_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"insitu.nn.callbacks.{name}")).failed == 0


# -- stages --------------------------------------------------------------------------------------------
def test_hooks_are_called_in_keras_order():
    seen = Calls()
    fit(seen, epochs=1, validation_data=(X[:9], Y[:9]), validation_batch_size=8)
    assert seen.calls == [
        ("on_train_begin",), ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0), ("on_train_batch_end", 0), ("on_train_batch_begin", 1), ("on_train_batch_end", 1),
        ("on_train_batch_begin", 2), ("on_train_batch_end", 2),
        ("on_test_begin",), ("on_test_batch_begin", 0), ("on_test_batch_end", 0), ("on_test_batch_begin", 1), ("on_test_batch_end", 1),
        ("on_test_end",), ("on_epoch_end", 0), ("on_train_end",),
    ]  # fmt: skip


def test_hooks_of_evaluate_and_predict():
    model, seen = make_model(), Calls()
    model.evaluate(X, Y, batch_size=12, verbose=0, callbacks=[seen])
    names = ["begin", "batch_begin", "batch_end", "batch_begin", "batch_end", "end"]
    assert [c[0] for c in seen.calls] == [f"on_test_{n}" for n in names]
    seen.calls.clear()
    model.predict(X, batch_size=12, callbacks=seen)
    assert [c[0] for c in seen.calls] == [f"on_predict_{n}" for n in names]


def test_logs_are_floats_and_means_so_far():
    batches, epochs = [], []
    show = cb.LambdaCallback(on_train_batch_end=lambda b, logs: batches.append(logs["loss"]), on_epoch_end=lambda e, logs: epochs.append(dict(logs)))
    history = fit(show, epochs=2, validation_split=0.25)
    assert all(type(v) is float for v in batches) and all(type(v) is float for logs in epochs for v in logs.values())
    assert [e["loss"] for e in epochs] == history.history["loss"] == [batches[2], batches[5]]
    assert [e["val_loss"] for e in epochs] == history.history["val_loss"]


def test_batches_are_looked_at_only_if_a_callback_does():
    quiet = [cb.EarlyStopping("loss"), cb.ModelCheckpoint("x"), cb.BackupAndRestore("x"), cb.CSVLogger("x"), cb.History()]
    assert not cb.CallbackList(quiet).needs_train_batches
    assert cb.CallbackList([cb.TerminateOnNaN()]).needs_train_batches
    assert not cb.CallbackList([cb.TerminateOnNaN()]).needs_test_batches
    assert cb.CallbackList([cb.ModelCheckpoint("x", save_freq=2)]).needs_train_batches
    assert cb.CallbackList([cb.LambdaCallback(on_test_batch_begin=print)]).needs_test_batches
    assert cb.CallbackList([cb.LambdaCallback(on_predict_batch_end=print)]).needs_predict_batches
    asked = []
    several = cb.CallbackList([cb.BackupAndRestore("x", save_freq=9)])
    several.on_train_batch_end(0, lambda: asked.append(0) or {})
    assert not asked
    several.append(cb.TerminateOnNaN())
    several.on_train_batch_end(1, lambda: asked.append(1) or {"loss": si.asarray(1.0)})
    assert asked == [1]


def test_old_names_of_batch_hooks():
    class Old(cb.Callback):
        seen = 0

        def on_batch_end(self, batch, logs=None):
            self.seen += 1

    old = Old()
    fit(old, epochs=2)
    assert old.seen == 6


def test_what_one_callback_adds_to_the_logs_the_others_see():
    class Adds(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["made"] = float(10 - epoch)

    stop = cb.EarlyStopping("made", mode="max", patience=1)
    history = fit(Adds(), stop, epochs=5)
    assert history.history["made"] == [10.0, 9.0]


def test_a_callback_stops_the_training_between_batches():
    seen = Calls()

    class Stop(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    assert fit(Stop(), seen).epoch == [0]
    assert ("on_train_batch_end", 1) in seen.calls and ("on_train_batch_end", 2) not in seen.calls


def test_params_and_model():
    seen = Calls()
    model = make_model()
    history = fit(seen, model=model)
    assert seen.model is model and seen.params == {"epochs": 3, "steps": 3, "verbose": 0} == history.params
    assert model.history is history and isinstance(history, cb.History)


def test_a_history_of_the_users_is_the_one_that_fit_returns():
    mine = cb.History()
    assert fit(mine) is mine


# -- in fit ---------------------------------------------------------------------------------------------
def test_early_stopping_gives_back_the_best_weights():
    weights = []
    keep = cb.LambdaCallback(on_epoch_end=lambda e, logs: weights.append([w.copy() for w in model.get_weights()]))
    model = make_model(si.optim.SGD(2.0))
    history = fit(keep, cb.EarlyStopping(patience=2, restore_best_weights=True), model=model, epochs=60, validation_split=0.5)
    best = int(np.argmin(history.history["val_loss"]))
    assert len(history.epoch) == best + 3
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights[best], strict=True))


def test_checkpoints_hold_the_model_of_their_epoch(tmp_path):
    model = make_model()
    fit(
        cb.ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}.insitu"),
        cb.ModelCheckpoint(tmp_path / "w.safetensors", save_weights_only=True),
        model=model,
    )
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["01.insitu", "02.insitu", "03.insitu"]
    last = si.load(tmp_path / "deep" / "03.insitu")
    assert last.predict(X).tobytes() == model.predict(X).tobytes() != si.load(tmp_path / "deep" / "01.insitu").predict(X).tobytes()
    other = make_model()
    other.build((None, 4))
    other.load_weights(tmp_path / "w.safetensors")
    assert other.predict(X).tobytes() == model.predict(X).tobytes()


def test_save_best_only_waits_for_epochs_with_validation(tmp_path):
    fit(cb.ModelCheckpoint(tmp_path / "{epoch}.insitu", save_best_only=True), epochs=4, validation_freq=2, validation_split=0.25)
    assert {p.name for p in tmp_path.iterdir()} <= {"2.insitu", "4.insitu"}


@pytest.mark.parametrize(
    ("name", "more"),
    [("val_loss", False), ("out_loss", False), ("val_accuracy", True), ("acc", True), ("f1_score", True), ("mean_absolute_error", False),
     ("mse", False), ("val_out_auc", True), ("log_cosh", False), ("r2_score", True), ("sparse_top_k_categorical_accuracy", True),
     ("quality", True), ("val_b_badness", False)],
)  # fmt: skip
def test_whether_more_is_better_is_told_by_the_metric_or_its_name(name, more):
    class Precision:
        name = "quality"

    class PoissonDeviance:
        name = "badness"

    class Model:
        metrics = [Precision(), PoissonDeviance()]

    stop = cb.EarlyStopping(name)
    stop.set_model(Model())
    assert stop.is_improvement(2.0, 1.0) is more


def test_nan_is_no_improvement():
    stop = cb.EarlyStopping("loss", patience=2)
    assert not stop.is_improvement(float("nan"), None) and stop.is_improvement(5.0, float("nan"))


def test_terminate_on_nan(capsys):
    data = {"batch_size": 8, "epochs": 9}
    assert len(fit(cb.TerminateOnNaN(), model=make_model(si.optim.SGD(1e30), loss_weights=1e20), **data).epoch) < 9
    assert "Invalid loss, terminating training" in capsys.readouterr().out


def test_messages(capsys):
    model = make_model(si.optim.SGD(0.0))
    reduce = cb.ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1)
    model.optimizer.learning_rate = 0.0
    fit(cb.EarlyStopping("loss", patience=1, verbose=1, restore_best_weights=True, min_delta=9), reduce, model=model)
    out = capsys.readouterr().out
    assert "Epoch 2: early stopping" in out and "best epoch: 1" in out and "reducing" not in out
    fit(cb.LearningRateScheduler(lambda e: 0.5, verbose=1), epochs=1)
    assert "setting learning rate to 0.5" in capsys.readouterr().out


def test_learning_rates_stand_in_the_history():
    history = fit(cb.LearningRateScheduler(lambda epoch, rate: rate / 2), model=make_model(si.optim.SGD(1.0)))
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]


def test_progress_of_an_own_loop_is_shown_and_fit_shows_it_once(capsys):
    loop = cb.CallbackList(add_progbar=True, epochs=2, steps=3, verbose=2)
    loop.on_train_begin()
    for epoch in range(2):
        loop.on_epoch_begin(epoch)
        for batch in range(3):
            loop.on_train_batch_end(batch, {"loss": 0.5})
        loop.on_epoch_end(epoch, {"loss": 0.25})
    loop.on_train_end()
    assert capsys.readouterr().out.count("loss 0.25") == 2
    fit(cb.ProgbarLogger(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"] == [line[:9] for line in lines[-2:]]


@pytest.mark.parametrize(
    "callback",
    [
        cb.BackupAndRestore("x", 3), cb.CSVLogger("x"), cb.EarlyStopping(), cb.History(), cb.ModelCheckpoint("x", save_freq=2), cb.ProgbarLogger(),
        cb.ReduceLROnPlateau(), cb.TerminateOnNaN(), cb.LearningRateScheduler(golden.train), cb.LambdaCallback(on_train_begin=golden.train),
    ],
    ids=lambda c: type(c).__name__,
)  # fmt: skip
def test_callbacks_pickle_and_copy_without_the_model(callback):
    callback.set_model(make_model())
    for other in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert other.model is None and str(other.get_state()) == str(callback.get_state())


# -- what is wrong is told ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "slug", "hint"),
    [
        (lambda: fit(cb.TerminateOnNaN), "callback-type", "TerminateOnNaN(...)"),
        (lambda: fit(print), "callback-type", "LambdaCallback"),
        (lambda: cb.EarlyStopping(3), "callback-argument", "val_loss"),
        (lambda: cb.EarlyStopping(mode="less"), "argument-choice", "auto"),
        (lambda: cb.EarlyStopping(patience=-1), "callback-argument", "at least 0"),
        (lambda: cb.EarlyStopping(min_delta="small"), "callback-argument", "min_delta='small'"),
        (lambda: cb.EarlyStopping(baseline=float("nan")), "callback-argument", "a number"),
        (lambda: cb.ReduceLROnPlateau(factor=1.0), "callback-argument", "below 1"),
        (lambda: cb.ReduceLROnPlateau(min_lr=-1), "callback-argument", "from 0"),
        (lambda: cb.LearningRateScheduler(0.1), "callback-argument", "lambda"),
        (lambda: cb.ModelCheckpoint(""), "callback-argument", "path"),
        (lambda: cb.ModelCheckpoint("x", save_freq="batch"), "callback-argument", "epoch"),
        (lambda: cb.ModelCheckpoint("x", save_freq=0), "callback-argument", "at least 1"),
        (lambda: cb.ModelCheckpoint("x-{epoch"), "checkpoint-filepath", "{{"),
        (lambda: cb.ModelCheckpoint("x-{}"), "checkpoint-filepath", "epoch"),
        (lambda: cb.ModelCheckpoint("x-{loss:d}"), "checkpoint-filepath", ":.2f"),
        (lambda: fit(cb.ModelCheckpoint("x-{acc:.2f}")), "checkpoint-filepath", "epoch, loss"),
        (lambda: fit(cb.ModelCheckpoint("x-{batch}")), "checkpoint-filepath", "batch"),
        (lambda: cb.CSVLogger("x", separator=", "), "callback-argument", "one character"),
        (lambda: cb.CSVLogger(None), "callback-argument", "path"),
        (lambda: cb.BackupAndRestore(""), "callback-argument", "backup_dir"),
        (lambda: cb.LambdaCallback(on_epoch_stop=print), "argument-unknown", "on_epoch_begin"),
        (lambda: cb.LambdaCallback(on_epoch_end=3), "callback-argument", "function"),
        (lambda: fit(cb.EarlyStopping()), "callback-monitor", "validation_data"),
        (lambda: fit(cb.ReduceLROnPlateau("los")), "callback-monitor", '"loss"'),
        (lambda: fit(cb.ModelCheckpoint("x", save_best_only=True)), "callback-monitor", "without validation data"),
        (lambda: fit(cb.EarlyStopping("learning_rate"), cb.LearningRateScheduler(abs)), "callback-mode", "max"),
        (lambda: fit(cb.LearningRateScheduler(lambda epoch: None)), "schedule-return", "None"),
        (lambda: fit(cb.ReduceLROnPlateau("loss"), model=make_model(scheduled())), "optimizer-schedule", "0.001"),
        (lambda: fit(cb.TerminateOnNaN(True), model=make_model(si.optim.SGD(1e30), loss_weights=1e20), epochs=9), "loss-not-finite", "clipnorm"),
        (lambda: fit(cb.BackupAndRestore(Path(__file__, "x"))), "file-not-writable", "path"),
        (lambda: fit(cb.ModelCheckpoint(Path(__file__, "x"))), "file-not-writable", "path"),
        (lambda: fit(cb.CSVLogger(Path(__file__, "x"))), "file-not-writable", "path"),
    ],
)  # fmt: skip
def test_mistakes_are_told(call, slug, hint):
    with pytest.raises(UserError) as caught:
        call()
    error = caught.value
    assert error.slug == slug and hint in str(error) and error.expected and error.received and error.fix


def test_monitored_names_are_checked_before_the_first_step():
    model = make_model()
    model.build((None, 4))
    before = model.get_weights()[0].tobytes()
    with pytest.raises(UserError):
        fit(cb.EarlyStopping("accuracy"), model=model)
    assert model.get_weights()[0].tobytes() == before


def test_a_name_that_never_comes_is_said_once_where_others_may_add_names():
    with pytest.warns(InsituWarning) as caught:
        history = fit(cb.LambdaCallback(on_epoch_end=lambda e, logs: None), cb.EarlyStopping())
    assert len(caught) == 1 and "insitu explain callback-monitor" in str(caught[0].message) and len(history.epoch) == 3


def test_a_test_within_an_epoch_leaves_its_sums_alone():
    def trained(*callbacks):
        si.random.seed(3)
        model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
        model.compile(si.optim.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model.fit(x, y, batch_size=6, epochs=2, validation_data=(x[:9], y[:9]), callbacks=list(callbacks), verbose=0).history

    class Within(si.nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.told = [self.model.evaluate(x, y, verbose=0), self.model.test_on_batch(x, y), self.model.train_on_batch(x, y)]

        def on_test_batch_end(self, batch, logs=None):
            if not self.busy:
                self.busy = True
                self.model.evaluate(x, y, verbose=0)
                self.busy = False

        busy = False

    x, y = np.linspace(-1, 1, 60, dtype=np.float32).reshape(20, 3), np.arange(20) % 2
    within = Within()
    assert trained(within) == trained()
    np.testing.assert_allclose(within.told, [within.told[0]] * 3, rtol=1e-6)
