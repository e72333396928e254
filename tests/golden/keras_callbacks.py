"""What Keras' callbacks do on given logs. ``KERAS_BACKEND=jax python tests/golden/keras_callbacks.py`` writes the stored values;
with ``--show`` it prints them instead. The cases run on any callbacks of Keras' interface: the tests give them ours."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

STORED = Path(__file__).with_suffix(".json")
LOSSES = [1.0, 0.75, 0.5, 0.625, 0.5, 0.4375, 0.5, 0.5, 0.5, 0.5, 0.25, 0.375, 0.375, 0.375, 0.375]
RISING = [0.25, 0.5, 0.5, 0.625, 0.5, 0.5, 0.75, 0.5, 0.25, 0.5, 0.5, 0.5]

STOPPING = [
    {},
    {"patience": 2},
    {"patience": 3, "restore_best_weights": True},
    {"patience": 2, "min_delta": 0.125},
    {"patience": 2, "min_delta": -0.125, "restore_best_weights": True},
    {"patience": 2, "baseline": 0.5},
    {"patience": 4, "baseline": 0.25, "restore_best_weights": True},
    {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
    {"patience": 2, "monitor": "score", "mode": "max", "restore_best_weights": True},
    {"patience": 3, "monitor": "score", "mode": "min"},
    {"monitor": "loss", "patience": 1},
]
PLATEAU = [
    {"patience": 1},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "factor": 0.5, "cooldown": 2},
    {"patience": 1, "factor": 0.25, "min_lr": 0.03125},
    {"patience": 2, "factor": 0.5, "min_delta": 0.125},
    {"patience": 1, "factor": 0.5, "monitor": "score", "mode": "max"},
    {"patience": 0, "factor": 0.5},
]
CHECKPOINTS = [
    {"filepath": "{epoch:02d}-{val_loss:.3f}"},
    {"filepath": "best-{epoch}", "save_best_only": True},
    {"filepath": "above-{epoch}", "save_best_only": True, "initial_value_threshold": 0.4},
    {"filepath": "score-{epoch}-{score:.2f}", "save_best_only": True, "monitor": "score", "mode": "max"},
    {"filepath": "every-{epoch}-{batch:02d}-{loss:.3f}", "save_freq": 3},
    {"filepath": "weights-{epoch}", "save_weights_only": True},
]


class Optimizer:
    def __init__(self):
        self._rate = np.float32(1.0)

    @property
    def learning_rate(self):
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._rate = np.float32(value)


class Model:
    """As much of a model as callbacks see; its weights are the number of the epoch."""

    def __init__(self):
        self.optimizer, self.stop_training, self.metrics, self.epoch, self.saved = Optimizer(), False, [], 0, []

    def get_weights(self):
        return [np.full(2, self.epoch, np.float32)]

    def set_weights(self, weights):
        self.epoch = int(weights[0][0])

    def save(self, path, overwrite=True):
        self.saved.append(os.path.basename(path))

    def save_weights(self, path, overwrite=True):
        self.saved.append("weights:" + os.path.basename(path))


def train(callback, batches=0, more=()):
    """Epochs with the logs above until the callback stops them; the model, and the logs as they became."""
    model, seen = Model(), []
    for c in (callback, *more):
        c.set_params({"epochs": len(LOSSES), "steps": batches, "verbose": 0})
        c.set_model(model)
        c.on_train_begin({})
    for epoch, loss in enumerate(LOSSES):
        logs = {"loss": loss, "val_loss": loss, "score": RISING[epoch % len(RISING)]}
        callback.on_epoch_begin(epoch, {})
        for batch in range(batches):
            callback.on_train_batch_begin(batch, {})
            callback.on_train_batch_end(batch, {"loss": loss + batch / 8})
        model.epoch = epoch
        callback.on_epoch_end(epoch, logs)
        seen.append(logs)
        if model.stop_training:
            break
    callback.on_train_end({})
    return model, seen


def cases(callbacks, ending, weights_ending):
    """What each case does, as JSON values."""
    found = {"stopping": [], "plateau": [], "checkpoints": []}
    for options in STOPPING:
        callback = callbacks.EarlyStopping(**options)
        model, seen = train(callback)
        found["stopping"].append([len(seen), callback.wait, float(callback.best), callback.stopped_epoch, callback.best_epoch, model.epoch])
    for options in PLATEAU:
        callback = callbacks.ReduceLROnPlateau(**options)
        model, seen = train(callback)
        found["plateau"].append([[e["learning_rate"] for e in seen], float(model.optimizer.learning_rate), callback.wait, callback.cooldown_counter])
    for options in CHECKPOINTS:
        end = weights_ending if options.get("save_weights_only") else ending
        with tempfile.TemporaryDirectory() as folder:
            callback = callbacks.ModelCheckpoint(**{**options, "filepath": os.path.join(folder, options["filepath"] + end)})
            model, _ = train(callback, batches=4)
        found["checkpoints"].append([name.removesuffix(end) for name in model.saved])
    found["scheduler"] = []
    for schedule in (lambda epoch, rate: rate * 0.9, lambda epoch: 0.5 / (epoch + 1)):
        model, seen = train(callbacks.LearningRateScheduler(schedule))
        found["scheduler"].append([e["learning_rate"] for e in seen])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        train(callbacks.CSVLogger(path))
        train(callbacks.CSVLogger(path, append=True))
        found["csv"] = Path(path).read_bytes().decode()
        callback = callbacks.CSVLogger(path, separator=";")
        callback.set_model(Model())
        callback.on_train_begin({})
        callback.on_epoch_end(0, {"loss": 0.5, "table": np.arange(3), "word": "a;b"})
        callback.on_epoch_end(1, {"loss": 0.1})
        callback.on_train_end({})
        found["csv"] += Path(path).read_bytes().decode()
    history = callbacks.History()
    train(history)
    found["history"] = [history.epoch, history.history]
    return found


if __name__ == "__main__":
    import keras

    text = json.dumps(cases(SimpleNamespace(**vars(keras.callbacks)), ".keras", ".weights.h5"))
    if "--show" in sys.argv:
        print(text)
    else:
        STORED.write_text(text + "\n")
