"""Trainings that are interrupted, killed, stopped by Ctrl-C or short of disk: they go on to the same bits."""

from __future__ import annotations

import importlib.util
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError
from insitu.io import container
from insitu.nn import callbacks as cb

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 4)).astype(np.float32)
Y = rng.integers(0, 3, 24)


def make_model(optimizer="adam"):
    model = si.nn.Sequential([si.nn.Dense(5, activation="tanh"), si.nn.Dropout(0.3), si.nn.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(*callbacks, model=None, **options):
    model = model or make_model()
    return model.fit(X, Y, **{"batch_size": 8, "epochs": 3, "verbose": 0} | options, callbacks=list(callbacks))


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
@pytest.mark.parametrize("step", [1, 4, 5, 8, 11])
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
    "endless generators": lambda: (generator(), {"steps_per_epoch": 3, "validation_data": generator(), "validation_steps": 2}),
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
model = si.nn.Sequential([si.nn.Dense(200, activation="relu"), si.nn.Dropout(0.3), si.nn.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
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


def stopped(process):
    """What a process has written that Ctrl-C stops, as it must within a second."""
    asked = time.perf_counter()
    process.send_signal(signal.SIGINT)
    try:
        out, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.perf_counter() - asked < 1
    assert "KeyboardInterrupt" in errors
    return out


def test_ctrl_c_stops_within_a_second_and_leaves_the_backup_whole(tmp_path):
    process = start(tmp_path, 1, 100000)
    for _ in range(30):
        process.stdout.readline()
    out = stopped(process)
    metadata = container.read(tmp_path / "backup" / "backup.insitu").metadata
    place = json.loads(metadata["place"])
    # a step is told before it is stored, and Ctrl-C may come in between
    assert place["epoch"] * 10 + place["step"] in (29 + out.count("step"), 30 + out.count("step"))


SLOW = """
import sys, time
import numpy as np
import insitu as si

x = np.ones((8, 4), np.float32)
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
def wait():
    print("waits", flush=True)
    time.sleep(30)
def slow():
    yield x, x[:, :1]
    wait()
    yield x, x[:, :1]
slowly = si.nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: wait())
where = {"data": ((slow,), {}), "validation": ((x, x[:, :1]), {"validation_data": slow}), "callback": ((x, x[:, :1]), {"callbacks": [slowly]})}
arguments, options = where[sys.argv[1]]
model.fit(*arguments, verbose=0, **options)
"""


@pytest.mark.parametrize("where", ["data", "validation", "callback"])
def test_ctrl_c_does_not_wait_for_code_of_the_users(where):
    process = subprocess.Popen([sys.executable, "-c", SLOW, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    time.sleep(0.1)
    stopped(process)


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
