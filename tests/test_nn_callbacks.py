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
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import InsituWarning, UserError
from insitu.io import container
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
    assert len(capsys.readouterr().out.splitlines()) == 2


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
        (lambda: cb.EarlyStopping(patience=-1), "argument-integer", "at least 0"),
        (lambda: cb.EarlyStopping(min_delta="small"), "callback-argument", "min_delta='small'"),
        (lambda: cb.EarlyStopping(baseline=float("nan")), "callback-argument", "a number"),
        (lambda: cb.ReduceLROnPlateau(factor=1.0), "callback-argument", "below 1"),
        (lambda: cb.ReduceLROnPlateau(min_lr=-1), "callback-argument", "from 0"),
        (lambda: cb.LearningRateScheduler(0.1), "callback-argument", "lambda"),
        (lambda: cb.ModelCheckpoint(""), "callback-argument", "path"),
        (lambda: cb.ModelCheckpoint("x", save_freq="batch"), "callback-argument", "epoch"),
        (lambda: cb.ModelCheckpoint("x", save_freq=0), "argument-integer", "at least 1"),
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


# -- interruptions -----------------------------------------------------------------------------------------
class Interrupt(cb.Callback):
    """Ends the training in a step, before or after the backup of that step."""

    def __init__(self, step, after):
        self.step, self.order, self.count = step, 4 if after else 0, 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.step:
            raise KeyboardInterrupt


def training(folder, *more, save_freq="epoch"):
    """A training with all that remembers something; what it leaves."""
    si.random.seed(3)
    model = make_model(si.optim.Adam(0.05))
    reduce = cb.ReduceLROnPlateau("loss", patience=1, factor=0.5, cooldown=1, min_delta=0.05)
    stop = cb.EarlyStopping(patience=2, restore_best_weights=True)
    decay = cb.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    files = [cb.CSVLogger(folder / "log.csv"), cb.ModelCheckpoint(folder / "best.insitu", save_best_only=True),
             cb.ModelCheckpoint(folder / "at-{epoch}-{batch}.insitu", save_freq=4)]  # fmt: skip
    backup = cb.BackupAndRestore(folder / "backup", save_freq=save_freq)
    history = model.fit(
        X, Y, batch_size=7, epochs=6, verbose=0, validation_data=(X[:8], Y[::-1][:8]), callbacks=[backup, reduce, decay, stop, *files, *more]
    )
    weights = b"".join(w.tobytes() for w in model.get_weights())
    return weights, history.history, history.epoch, (folder / "log.csv").read_bytes(), sorted(p.name for p in folder.iterdir())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return training(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
@pytest.mark.parametrize("step", [1, 2, 4, 5, 8, 9, 11])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, uninterrupted, save_freq, step):
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path, Interrupt(step, after=step % 2), save_freq=save_freq)
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path, Interrupt(2, after=True), save_freq=save_freq)
    assert training(tmp_path, save_freq=save_freq) == uninterrupted


def generator():
    order = np.random.default_rng(1)
    while True:
        rows = order.integers(0, 24, order.integers(3, 9))
        yield X[rows], Y[rows]


def once():
    order = np.random.default_rng(1)
    for n in (5, 8, 3, 8):
        rows = order.integers(0, 24, n)
        yield X[rows], Y[rows]


SOURCES = {
    "data set": lambda: (si.data.Dataset((X, Y)).shuffle().batch(7), {}),
    "steps of a data set": lambda: (si.data.Dataset((X, Y)).shuffle(seed=1).batch(7), {"steps_per_epoch": 3}),
    "endless generator": lambda: (generator(), {"steps_per_epoch": 3}),
    "function that makes generators": lambda: (once, {}),
    "list": lambda: ([(X[:7], Y[:7]), (X[7:10], Y[7:10]), (X[10:], Y[10:])], {}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_training_on_batches_resumes_exactly(tmp_path, source):
    def train(folder, *more, save_freq=1, seed=3):
        si.random.seed(seed)
        model = make_model()
        data, options = SOURCES[source]()
        history = model.fit(data, epochs=4, verbose=0, callbacks=[cb.BackupAndRestore(folder, save_freq), *more], **options)
        return b"".join(w.tobytes() for w in model.get_weights()), history.history

    whole = train(tmp_path / "whole")
    for save_freq, steps in [("epoch", (5, 6)), (1, (2, 4)), (2, (5, 3))]:
        for seed, step in enumerate(steps, 3):
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path / "b", Interrupt(step, after=True), save_freq=save_freq, seed=seed)
        assert train(tmp_path / "b", save_freq=save_freq, seed=5) == whole


def test_a_training_that_had_stopped_does_not_go_on(tmp_path):
    class Lost(cb.Callback):
        order = 9

        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    def train(*more):
        model = make_model(si.optim.SGD(0.0))
        history = fit(
            cb.BackupAndRestore(tmp_path / "b", delete_checkpoint=not more), cb.EarlyStopping("loss", patience=1), *more, model=model, epochs=9
        )
        return history.epoch

    si.random.seed(0)
    with pytest.raises(KeyboardInterrupt):
        train(Lost())
    assert train() == [0, 1] and not (tmp_path / "b").exists()


def backed_up(tmp_path, **options):
    fit(cb.BackupAndRestore(tmp_path, delete_checkpoint=False, **options), epochs=1)
    return tmp_path / "backup.insitu"


def test_a_damaged_backup_is_refused_by_name(tmp_path):
    file = backed_up(tmp_path)
    whole = file.read_bytes()
    for content, slug in [
        (whole[:-3], "file-truncated"),
        (whole[:-9] + b"?" + whole[-8:], "file-damaged"),
        (b"", "file-foreign"),
        (b"text", "file-foreign"),
    ]:
        file.write_bytes(content)
        model = make_model()
        with pytest.raises(UserError) as caught:
            fit(cb.BackupAndRestore(tmp_path), model=model)
        assert caught.value.slug == slug and str(file) in caught.value.what and f'delete "{file}"' in caught.value.fix
        assert file.read_bytes() == content


def test_a_backup_of_another_training_is_refused(tmp_path):
    file = backed_up(tmp_path)
    other = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
    other.compile("adam", "sparse_categorical_crossentropy")
    for model in (other, make_model("sgd")):
        with pytest.raises(UserError) as caught:
            fit(cb.BackupAndRestore(tmp_path), model=model)
        assert caught.value.slug == "backup-other-model" and str(file) in caught.value.what and caught.value.expected and caught.value.received
    si.save(file, si.ones(3))
    with pytest.raises(UserError) as caught:
        fit(cb.BackupAndRestore(tmp_path))
    assert caught.value.slug == "backup-other-model"


def test_a_backup_within_an_epoch_needs_as_many_steps(tmp_path):
    backed_up(tmp_path, save_freq=2)
    with pytest.raises(UserError, match="steps per epoch: 2"):
        fit(cb.BackupAndRestore(tmp_path, save_freq=2), batch_size=12)


def test_losses_without_a_name_can_be_backed_up(tmp_path):
    model = si.nn.Sequential([si.nn.Dense(1)])
    model.compile("sgd", lambda y, p: si.mean((y - p) ** 2, axis=-1))
    model.fit(X, X[:, :1], callbacks=[cb.BackupAndRestore(tmp_path / "b")], verbose=0)


def test_left_overs_of_a_killed_process_are_removed(tmp_path):
    left = tmp_path / ".insitu-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    backed_up(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["backup.insitu"]


# -- real processes ------------------------------------------------------------------------------------------
PROGRAM = """
import hashlib, sys
import numpy as np
import insitu as si

folder, freq, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
x, y = rng.standard_normal((96, 6)).astype(np.float32), rng.integers(0, 3, 96)
si.random.seed(5)
model = si.nn.Sequential([si.nn.Dense(200, activation="relu"), si.nn.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
c = si.nn.callbacks
begun = c.LambdaCallback(on_train_batch_end=lambda b, logs: print("step", flush=True))
backup = c.BackupAndRestore(folder + "/backup", save_freq=freq if freq == "epoch" else int(freq))
log = c.CSVLogger(folder + "/log.csv")
callbacks = [backup, c.ReduceLROnPlateau(patience=2), log, begun]
history = model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, validation_split=0.2, callbacks=callbacks)
digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights()))
print(digest.hexdigest(), history.history, hashlib.sha256(open(folder + "/log.csv", "rb").read()).hexdigest())
"""


def start(folder, freq, epochs):
    folder.mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(PROGRAM)
    return subprocess.Popen([sys.executable, program, folder, str(freq), str(epochs)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize(("freq", "rounds"), [(1, 4), pytest.param("epoch", 20, marks=pytest.mark.slow), pytest.param(1, 40, marks=pytest.mark.slow)])
def test_a_killed_training_resumes_to_the_same_bits(tmp_path, freq, rounds):
    epochs = 3 * rounds
    whole, errors = start(tmp_path / "whole", freq, epochs).communicate()
    assert not errors
    chance, killed = random.Random(f"kill {freq} {rounds}"), 0
    for _ in range(rounds):
        process = start(tmp_path / "killed", freq, epochs)
        process.stdout.readline()  # trains
        time.sleep(chance.uniform(0, 0.08))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        file = tmp_path / "killed" / "backup" / "backup.insitu"
        if file.exists():
            container.read(file)  # whole
    out, errors = start(tmp_path / "killed", freq, epochs).communicate()
    assert not errors and killed >= rounds / 2
    assert out.splitlines()[-1] == whole.splitlines()[-1]


def test_ctrl_c_stops_within_a_second_and_leaves_the_backup_whole(tmp_path):
    process = start(tmp_path, 1, 100000)
    for _ in range(30):
        process.stdout.readline()
    asked = time.perf_counter()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate()
    assert time.perf_counter() - asked < 1
    assert "KeyboardInterrupt" in errors
    metadata = container.read(tmp_path / "backup" / "backup.insitu").metadata
    place = json.loads(metadata["place"])
    assert place["epoch"] * 10 + place["step"] == 30 + out.count("step")


FULL = """
import resource, sys
import numpy as np
import insitu as si

folder = sys.argv[1]
x = np.ones((8, 4), np.float32)
model = si.nn.Sequential([si.nn.Dense(300)])
model.compile("sgd", "mse")
c = si.nn.callbacks
def train(limit, epochs, *callbacks):
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        model.fit(x, np.ones((8, 300), np.float32), epochs=epochs, verbose=0, callbacks=list(callbacks))
    except si.errors.FileFormatError as error:
        print(error.slug, error.received)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
backup = c.BackupAndRestore(folder + "/b", delete_checkpoint=False)
train(-1, 1, backup)
before = open(folder + "/b/backup.insitu", "rb").read()
train(2000, 2, backup)
print(open(folder + "/b/backup.insitu", "rb").read() == before)
keep = c.ModelCheckpoint(folder + "/m.insitu")
train(-1, 1, keep)
before = open(folder + "/m.insitu", "rb").read()
train(2000, 2, keep)
print(open(folder + "/m.insitu", "rb").read() == before)
train(60, 9, c.CSVLogger(folder + "/log.csv"))
print(open(folder + "/log.csv", newline="").read().endswith("\\r\\n"))
"""


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="the system has no limits of file sizes")
def test_a_full_disk_is_told_and_the_old_files_stay(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["file-not-writable File too large", "True"] * 3
    assert not list(tmp_path.rglob("*.tmp"))
