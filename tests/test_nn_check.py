"""Everything is checked before the first step: `Model.check`, which `fit` calls first."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections import namedtuple

import numpy as np
import pytest

import insitu as si
from insitu.compiler import compiled, pipeline
from insitu.errors import DataWarning, UserError
from insitu.nn import callbacks, looks
from insitu.runtime import system

RNG = np.random.default_rng(5)
X, Y = RNG.random((48, 6), np.float32), RNG.integers(0, 3, 48)


def model(units=3, activation="softmax", loss="sparse_categorical_crossentropy", **options):
    made = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dense(units, activation=activation)])
    made.compile("sgd", loss, **options)
    return made


def refused(call, slug):
    """The error that a call must raise."""
    with pytest.raises(UserError) as caught:
        call()
    assert caught.value.slug == slug, str(caught.value)
    return caught.value


def warned(call, slug):
    """The text of the one warning that a call must give."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
    assert len(told) == 1 and told[0].category is DataWarning and str(told[0].message).endswith(f"insitu explain {slug}")
    return str(told[0].message)


def quiet(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call()


# -- nothing runs ------------------------------------------------------------------------------------
def test_a_check_compiles_nothing_and_leaves_a_training_as_it_was(monkeypatch):
    def run(check):
        si.random.seed(3)
        made = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dropout(0.5), si.nn.Dense(3, activation="softmax")])
        made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        if check:
            with monkeypatch.context() as patched:
                patched.setattr(compiled, "compile_graph", lambda *a, **k: pytest.fail("something was compiled"))
                patched.setattr("insitu.compiler.compile_graph", lambda *a, **k: pytest.fail("something was compiled"))
                made.check(X, Y, validation_data=(X, Y), verbose=0)
        history = made.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y))
        return [w.tobytes() for w in made.get_weights()], history.history

    assert run(True) == run(False)


def test_the_first_batch_of_a_generator_is_looked_at_and_trained_on():
    taken = []

    def batches():
        for k in range(0, 48, 12):
            taken.append(k)
            yield X[k : k + 12], Y[k : k + 12]

    for iterator in (batches(), zip(np.split(X, 4), np.split(Y, 4), strict=True)):
        si.random.seed(1)
        one, other = model(), model()
        one.build((None, 6))
        other.build((None, 6))
        other.set_weights(one.get_weights())
        report = one.check(iterator, verbose=0)
        one.check(iterator, verbose=0)
        one.fit(iterator, verbose=0)
        other.fit(X, Y, batch_size=12, shuffle=False, verbose=0)
        assert [w.tobytes() for w in one.get_weights()] == [w.tobytes() for w in other.get_weights()]
        assert report.batch == 12 and report.steps is None
    assert taken == [0, 12, 24, 36]


def test_weights_are_untouched_by_a_refusal():
    made = model()
    made.build((None, 6))
    before = [w.tobytes() for w in made.get_weights()]
    refused(lambda: made.fit(X, Y, validation_data=(X[:, :5], Y), verbose=0), "dense-input-features")
    assert [w.tobytes() for w in made.get_weights()] == before


# -- the report --------------------------------------------------------------------------------------
def test_report_counts_layers_parameters_flops_and_bytes(capsys):
    made = si.nn.Sequential([si.nn.Dense(4, name="a"), si.nn.Dense(3, name="b")], name="m")
    made.compile(si.optim.Adam(), si.nn.losses.SparseCategoricalCrossentropy(from_logits=True))
    report = made.check(X, Y, batch_size=16, epochs=2, validation_data=(X[:20], Y[:20]))
    assert str(report) + "\n" == capsys.readouterr().out
    a, b = report.rows
    assert (a.name, a.kind, a.shape, a.parameters) == ("a", "Dense", "(batch, 4)", 28)
    assert a.flops == 2 * 6 * 4 + 4 and b.flops == 2 * 4 * 3 + 3  # products and biases
    assert a.nbytes == 4 * (28 + 16 * 4) and b.nbytes == 4 * (15 + 16 * 3)
    assert (report.parameters, report.weight_bytes, report.batch, report.epochs, report.steps, report.examples) == (43, 172, 16, 2, 3, 48)
    assert report.optimizer_bytes >= 2 * 172 and (report.validations, report.validation_steps, report.validation_examples) == (2, 2, 20)
    # forward, gradients of both kernels and of the hidden values: products alone
    assert report.step_flops > 16 * (2 * 6 * 4 * 2 + 2 * 4 * 3 * 3)
    assert report.data["x"].startswith("(48, 6) float32 from ") and "validation y" in report.data
    made.check(X, Y, verbose=0)
    assert capsys.readouterr().out == ""


def test_report_of_shared_nested_and_functional_models():
    x = si.nn.Input((6,))
    shared = si.nn.Dense(6, name="shared")
    inner = si.nn.Sequential([si.nn.Dense(2, name="inner")], name="block")
    made = si.nn.Model(x, inner(shared(shared(x))))
    made.compile("sgd", "mse")
    rows = {row.name: row for row in made.check(X, X[:, :2], verbose=0).rows}
    assert rows["shared"].flops == 2 * (2 * 6 * 6 + 6) and rows["block"].flops == 2 * 6 * 2 + 2 and rows["block"].parameters == 14


def test_bound_of_memory_is_not_below_what_the_planner_needs():
    for units in (3, 300):
        made = si.nn.Sequential([si.nn.Dense(units, activation="tanh"), si.nn.Dense(3, activation="softmax")])
        made.compile("adam", "sparse_categorical_crossentropy")
        from insitu.nn.planning import Plan

        options = dict.fromkeys(("batch_size", "callbacks", "steps_per_epoch", "validation_steps", "validation_batch_size"))
        options |= {"epochs": 1, "verbose": 0, "shuffle": True, "initial_epoch": 0, "validation_freq": 1, "nan": "raise"}
        plan = Plan(made, (X, Y, None, None, 0.0, None), options)
        assert 0 < pipeline.planned_arena(plan._outputs) <= plan.report.step_bytes


# -- data --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_anywhere_is_found(dtype, bad):
    x = np.zeros((700, 500), dtype)
    assert looks.look(x) == (0.0, 0.0, None, True)
    for place in (0, 65535, 65536, 349_999):
        x.reshape(-1)[place] = bad
        assert looks.look(x).bad == place // 500
        x.reshape(-1)[place] = 0


def test_of_large_data_evenly_spread_pieces_are_looked_at():
    x = np.zeros((1 << 12, 1 << 10), np.float32)
    found = looks.look(x, limit=1 << 20)
    assert not found.whole and found.bad is None
    x[-1, -1] = np.nan
    assert looks.look(x, limit=1 << 20).bad == (1 << 12) - 1


@pytest.mark.parametrize("place", ["x", "y", "sample_weight", "validation x"])
def test_nan_is_told_before_the_first_step(place):
    parts = {"x": X.copy(), "y": Y.astype(np.float32), "sample_weight": np.ones(48, np.float32), "validation x": X.copy()}
    parts[place][7] = np.nan

    def fit(**more):
        held = (parts["validation x"], Y)
        return model().fit(parts["x"], parts["y"], sample_weight=parts["sample_weight"], validation_data=held, verbose=0, **more)

    error = refused(fit, "data-not-finite")
    assert error.what.startswith(f"fit: {place} holds NaN") and f"example 7 of {place}" in error.received
    if place != "y":
        fit(nan="ignore")


def test_nan_in_the_first_batch_of_a_data_set():
    x = X.copy()
    x[3, 3] = np.inf
    refused(lambda: model().fit(si.data.Dataset((x, Y)).batch(8), verbose=0), "data-not-finite")


def test_unscaled_images_are_told_unless_the_model_scales_them():
    images = RNG.integers(0, 256, (20, 8, 8)).astype(np.uint8)
    labels = RNG.integers(0, 3, 20)

    def fit(x, *first):
        made = si.nn.Sequential([*first, si.nn.Flatten(), si.nn.Dense(3, activation="softmax")])
        made.compile("sgd", "sparse_categorical_crossentropy")
        return lambda: made.fit(x, labels, verbose=0)

    class Scale(si.nn.Layer):
        def call(self, x):
            return x / 255.0

    assert "x / 255.0" in warned(fit(images), "data-unscaled")
    warned(fit(images.astype(np.float32)), "data-unscaled")
    warned(fit(images.reshape(20, 64)), "data-unscaled")
    quiet(fit(images / 255.0))
    quiet(fit(images, Scale()))
    quiet(fit(images.astype(np.float32), si.nn.UnitNormalization(axis=(1, 2))))
    quiet(fit(images[:, :3, :3].reshape(20, 9)))  # nine whole numbers need be no image


def test_a_warning_is_printed_once_for_a_line_and_its_kind_can_be_silenced(capsys):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            model().fit(X, Y, batch_size=100, verbose=0)
        assert len(told) == 1
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DataWarning)
        model().fit(X, Y, batch_size=100, verbose=0)
        assert not told


def test_logits_and_probabilities():
    sparse, binary = si.nn.losses.SparseCategoricalCrossentropy, si.nn.losses.BinaryCrossentropy
    for loss, units, activation in ((sparse, 3, "softmax"), (binary, 1, "sigmoid")):
        y = Y if units == 3 else Y % 2
        warned(lambda u=units, a=activation, f=loss, y=y: model(u, a, f(from_logits=True)).fit(X, y, verbose=0), "logits-expected")
        warned(lambda u=units, f=loss, y=y: model(u, None, f()).fit(X, y, verbose=0), "probabilities-expected")
        quiet(lambda u=units, a=activation, f=loss, y=y: model(u, a, f()).fit(X, y, verbose=0))
        quiet(lambda u=units, f=loss, y=y: model(u, None, f(from_logits=True)).fit(X, y, verbose=0))
    quiet(lambda: model(3, lambda x: si.exp(x) / si.sum(si.exp(x), axis=-1, keepdims=True), sparse()).fit(X, Y, verbose=0))


def test_a_loss_of_ones_own_that_broadcasts():
    def loss(y_true, y_pred):
        return si.mean((y_true - y_pred) ** 2)

    y = Y.astype(np.float32)
    assert "test_nn_check.py" in warned(lambda: model(1, None, loss).fit(X, y, verbose=0), "loss-broadcast")
    quiet(lambda: model(1, None, loss).fit(X, y[:, None], verbose=0))
    quiet(lambda: model(1, None, "mse").fit(X, y, verbose=0))


def test_labels_of_a_binary_crossentropy():
    y = np.where(Y > 0, 1, -1)
    assert "(y + 1) / 2" in warned(lambda: model(1, "sigmoid", "binary_crossentropy").fit(X, y, verbose=0), "labels-not-binary")
    quiet(lambda: model(1, "sigmoid", "binary_crossentropy").fit(X, (y + 1) // 2, verbose=0))


@pytest.mark.parametrize("weights", [{3: 1.0}, {-1: 1.0}, {0: np.nan}, {0: -1.0}])
def test_class_weights_of_classes_that_do_not_exist(weights):
    refused(lambda: model().fit(X, Y, class_weight=weights, verbose=0), "class-weight")


@pytest.mark.parametrize(
    ("held", "slug"),
    [
        ((X[:, :5], Y), "dense-input-features"), ((X, Y + 5), "labels-out-of-range"), ((X, np.eye(3)[Y]), "loss-shapes"),
        ((X, Y + 0.5), "labels-dtype"),
    ],
)  # fmt: skip
def test_mistakes_in_validation_data_are_told_as_such(held, slug):
    error = refused(lambda: model().fit(X, Y, validation_data=held, verbose=0), slug)
    assert error.what.startswith("In the data for validation: ") and "validation_data" in "".join(error.where)


def test_validation_data_of_another_scale():
    assert "scale" in warned(lambda: model().fit(X, Y, validation_data=(np.round(X * 255), Y), verbose=0), "validation-scale")


def test_generators_that_end_too_early_are_told_at_once():
    def batches():
        while True:
            yield X, Y

    assert "2 epochs" in refused(lambda: model().fit(batches(), epochs=2, verbose=0), "data-ends-early").what
    held = refused(lambda: model().fit(X, Y, epochs=3, validation_data=batches(), verbose=0), "data-ends-early")
    assert "3 validations" in held.what
    model().fit(batches(), epochs=2, steps_per_epoch=2, validation_data=batches(), validation_steps=1, validation_freq=2, verbose=0)


def test_a_layer_that_fails_for_the_last_shorter_batch_is_found():
    class Halves(si.nn.Layer):
        def call(self, x):
            return si.reshape(x, (-1, 12)) if x.shape[0] == 10 else si.reshape(x, (x.shape[0], 6))

    made = si.nn.Sequential([Halves(), si.nn.Dense(3, activation="softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(UserError):
        made.check(X[:20], Y[:20], batch_size=10, verbose=0)


# -- files and memory --------------------------------------------------------------------------------
def test_files_that_cannot_be_written_are_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    inside = str(tmp_path / "file" / "x.insitu")
    for callback in (callbacks.ModelCheckpoint(inside), callbacks.BackupAndRestore(inside), callbacks.CSVLogger(str(tmp_path / "folder"))):
        refused(lambda c=callback: model().check(X, Y, callbacks=[c], verbose=0), "file-not-writable")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused(lambda: model().check(X, Y, callbacks=[callbacks.CSVLogger(str(tmp_path / "log.csv"))], verbose=0), "file-not-writable")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_model_that_no_file_can_hold_is_told_before_the_first_step(tmp_path):
    whole, weights = (callbacks.ModelCheckpoint(str(tmp_path / name), save_weights_only=name == "w") for name in ("m", "w"))
    softmax = si.nn.activations.softmax
    for options in ({"activation": lambda x: softmax(x)}, {"metrics": [lambda y, p: si.mean(p)]}, {"loss": lambda y, p: si.mean(p)}):
        refused(lambda o=options: model(**o).fit(X, Y[:, None], callbacks=[whole], verbose=0), "save-function")
    model(metrics=[lambda y, p: si.mean(p)]).fit(X, Y, callbacks=[weights], verbose=0)
    assert os.listdir(tmp_path) == ["w"]


def test_room_on_the_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1000))
    each = callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.insitu"), save_weights_only=True)  # 43 parameters, 172 bytes
    report = model().check(X, Y, epochs=4, callbacks=[each], verbose=0)
    assert "5 x 172 bytes" in report.files[0]
    error = refused(lambda: model().fit(X, Y, epochs=5, callbacks=[each], verbose=0), "disk-full")
    assert "6 x 172 bytes" in error.received
    one = callbacks.ModelCheckpoint(str(tmp_path / "last.insitu"), save_weights_only=True)
    model().check(X, Y, epochs=500, callbacks=[one], verbose=0)


def test_memory_for_a_step(monkeypatch):
    monkeypatch.setattr(system, "usable_memory", lambda: 400)
    error = refused(lambda: model().fit(X, Y, verbose=0), "memory-exhausted")
    assert "weights 172 bytes" in error.received
    monkeypatch.undo()
    assert 1 << 28 < system.usable_memory() <= system.physical_memory()


def test_options_are_checked():
    refused(lambda: model().fit(X, Y, nan="stop"), "argument-choice")
    assert tempfile.gettempdir()  # nothing was written for it


def test_a_look_at_a_generator_leaves_class_weights_to_the_training():
    def batches():
        yield X[:24], Y[:24]
        yield X[24:], Y[24:]

    trained = model()
    trained.optimizer.learning_rate = 0.0
    weights = {0: 3.0, 2: 0.5}
    looked_at, other = batches(), batches()
    for generator in (looked_at, other):
        trained.check(generator, class_weight=weights, verbose=0)
    each = -np.log(trained.predict(X)[np.arange(48), Y])
    loss = trained.fit(looked_at, class_weight=weights, verbose=0).history["loss"]
    np.testing.assert_allclose(loss, [(each * np.asarray([3.0, 1.0, 0.5])[Y]).mean()], rtol=1e-5)
    np.testing.assert_allclose(trained.fit(other, verbose=0).history["loss"], [each.mean()], rtol=1e-5)


def test_data_without_end_need_a_number_of_batches():
    endless = si.data.Dataset((X, Y)).batch(24).repeat()
    trained = model()
    refused(lambda: trained.fit(endless, verbose=0), "data-endless")
    refused(lambda: trained.fit(X, Y, validation_data=endless, verbose=0), "data-endless")
    refused(lambda: trained.fit(endless, class_weight={0: 2.0}, verbose=0), "data-endless")
    refused(lambda: trained.evaluate(endless, verbose=0), "data-endless")
    refused(lambda: trained.predict(endless), "data-endless")
    trained.fit(endless, steps_per_epoch=3, validation_data=endless, validation_steps=1, verbose=0)
    trained.fit(endless.take(2), verbose=0)
    assert trained.predict(endless, steps=3).shape == (72, 3) and trained.evaluate(endless, steps=2, verbose=0) > 0


def test_labels_of_every_batch_are_looked_at():
    def batches(wrong=3):
        return ((X[:8], np.where(np.arange(8) == 5, label, Y[:8])) for label in (0, 1, wrong))

    trained = model()
    for call in (lambda: trained.fit(batches(), verbose=0), lambda: trained.evaluate(batches(), verbose=0)):
        assert "y of batch 2 holds class numbers" in str(refused(call, "labels-out-of-range"))
    error = refused(lambda: trained.fit(X, Y, validation_data=batches(), verbose=0), "labels-out-of-range")
    assert "validation y of batch 2" in str(error)
    refused(lambda: trained.fit(batches(0.5), verbose=0), "labels-dtype")
    trained.fit(batches(2), verbose=0)
