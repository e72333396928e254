"""Training against the same written by hand in NumPy (float64); checks before the first step; what is shown."""

from __future__ import annotations

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError

rng = np.random.default_rng(0)
X = rng.standard_normal((45, 6)).astype(np.float32)
Y = rng.integers(0, 3, 45)


def softmax_model(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=("accuracy",)):
    model = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_hand(w, b, x, y, rate, batch, epochs):
    """Softmax regression with SGD: final weights, mean loss and accuracy of each epoch."""
    losses, accuracies = [], []
    for _ in range(epochs):
        loss = right = 0.0
        for at in range(0, len(x), batch):
            xb, yb = x[at : at + batch], y[at : at + batch]
            p = softmax(xb @ w + b)
            loss -= np.log(p[np.arange(len(yb)), yb]).sum()
            right += (p.argmax(-1) == yb).sum()
            d = (p - np.eye(3)[yb]) / len(yb)
            w, b = w - rate * xb.T @ d, b - rate * d.sum(0)
        losses.append(loss / len(x))
        accuracies.append(right / len(x))
    return w, b, losses, accuracies


@pytest.mark.filterwarnings("ignore::insitu.errors.DataWarning")  # a batch is larger than the data
@pytest.mark.parametrize("labels", [np.int64, np.uint8, np.float32])
@pytest.mark.parametrize("batch", [10, 45, 100, 1])
def test_softmax_regression_as_by_hand(batch, labels):
    model = softmax_model(si.optim.SGD(0.1))
    model.build((None, 6))
    w, b = (a.astype(np.float64) for a in model.get_weights())
    history = model.fit(X, Y.astype(labels), batch_size=batch, epochs=3, shuffle=False, verbose=0)
    w, b, losses, accuracies = by_hand(w, b, X.astype(np.float64), Y, 0.1, batch, 3)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(history.history["accuracy"], accuracies, rtol=1e-6)
    assert list(history.history) == ["loss", "accuracy"] and history.epoch == [0, 1, 2]


def test_hidden_layer_with_adam_as_by_hand():
    model = si.nn.Sequential([si.nn.Dense(5, activation="sigmoid"), si.nn.Dense(3, activation="softmax")])
    model.compile(si.optim.Adam(0.05), "categorical_crossentropy")
    model.build((None, 6))
    params = [a.astype(np.float64) for a in model.get_weights()]
    m, v, t = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params], 0
    target = np.eye(3)[Y]
    model.fit(X, target, batch_size=20, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for at in range(0, 45, 20):
            x, y, t = X[at : at + 20].astype(np.float64), target[at : at + 20], t + 1
            h = 1 / (1 + np.exp(-(x @ params[0] + params[1])))
            d = (softmax(h @ params[2] + params[3]) - y) / len(y)
            back = d @ params[2].T * h * (1 - h)
            for i, g in enumerate([x.T @ back, back.sum(0), h.T @ d, d.sum(0)]):
                m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g
                params[i] = params[i] - 0.05 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m[i] / (np.sqrt(v[i]) + 1e-7)
    for got, expected in zip(model.get_weights(), params, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)


def test_a_seed_gives_the_same_training_and_another_seed_another():
    def weights(seed):
        si.random.seed(seed)
        model = softmax_model("adam")
        model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        return model.get_weights()[0].tobytes()

    assert weights(1) == weights(1) != weights(2)


def test_shuffling_takes_every_example_once():
    # with one weight, a rate of 0 and the example itself as prediction, the epoch's loss is the mean over the examples
    seen = np.arange(23, dtype=np.float32)[:, None]
    model = si.nn.Sequential([si.nn.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(si.optim.SGD(0.0), lambda y, p: si.mean(p - y, axis=-1))
    history = model.fit(seen, seen * 0, batch_size=4, epochs=3, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [11.0, 11.0, 11.0], rtol=1e-7)


def test_targets_move_with_their_inputs():
    x = np.arange(50, dtype=np.float32)[:, None]
    model = si.nn.Sequential([si.nn.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(si.optim.SGD(0.0), "mse")
    assert model.fit(x, x[:, 0], batch_size=7, epochs=2, verbose=0).history["loss"] == [0.0, 0.0]


@pytest.mark.parametrize("batch", [1, 7, 32, 45, 64])
def test_evaluate_counts_every_example_once(batch):
    model = softmax_model()
    model.build((None, 6))
    w, b = (a.astype(np.float64) for a in model.get_weights())
    p = softmax(X.astype(np.float64) @ w + b)
    loss, accuracy = model.evaluate(X, Y, batch_size=batch, verbose=0)
    assert loss == pytest.approx(-np.log(p[np.arange(45), Y]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(-1) == Y).mean(), rel=1e-6)
    assert model.evaluate(X, Y, batch_size=batch, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}


@pytest.mark.filterwarnings("ignore::insitu.errors.SpeedWarning")  # each length of a batch is a program
def test_an_example_gives_the_same_bits_in_any_batch():
    model = si.nn.Sequential([si.nn.Dense(17, activation="tanh"), si.nn.Dense(5, activation="softmax")])
    whole = model.predict(X, batch_size=45)
    assert whole.shape == (45, 5) and whole.dtype == np.float32
    for batch in (1, 2, 7, 16, 32):
        assert model.predict(X, batch_size=batch).tobytes() == whole.tobytes()
    assert np.asarray(model(X)).tobytes() == whole.tobytes()


def test_validation_data_and_split():
    model = softmax_model()
    data = model.fit(X[:30], Y[:30], epochs=2, validation_data=(X[30:], Y[30:]), verbose=0, shuffle=False).history
    assert list(data) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    loss, accuracy = model.evaluate(X[30:], Y[30:], verbose=0)
    assert data["val_loss"][-1] == loss and data["val_accuracy"][-1] == accuracy
    split = softmax_model()
    split.build((None, 6))
    other = softmax_model()
    other.build((None, 6))
    other.set_weights(split.get_weights())
    a = split.fit(X, Y, validation_split=1 / 3, verbose=0, shuffle=False).history
    b = other.fit(X[:30], Y[:30], validation_data=(X[30:], Y[30:]), verbose=0, shuffle=False).history
    assert a == b


def test_data_may_be_lists_arrays_and_other_types():
    model = softmax_model(si.optim.SGD(0.0))
    expected = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(si.asarray(X), si.asarray(Y), verbose=0) == expected
    assert model.evaluate(X.tolist(), Y.tolist(), verbose=0) == expected
    assert model.evaluate(X.astype(np.float64), Y[:, None], verbose=0) == expected
    assert model.evaluate(np.asfortranarray(X), Y.astype(">i4"), verbose=0) == expected


def test_the_users_data_stay_as_they_are():
    x, y = X.copy(), Y.copy()
    model = softmax_model("adam")
    model.fit(x, y, epochs=2, verbose=0)
    assert np.array_equal(x, X) and np.array_equal(y, Y)


def test_fit_goes_on_where_it_stopped():
    a, b = softmax_model("adam"), softmax_model("adam")
    a.build((None, 6))
    b.build((None, 6))
    b.set_weights(a.get_weights())
    a.fit(X, Y, epochs=3, verbose=0, shuffle=False)
    for _ in range(3):
        b.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    assert a.get_weights()[0].tobytes() == b.get_weights()[0].tobytes()


def test_a_frozen_layer_does_not_move():
    model = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dense(3, activation="softmax")])
    model.build((None, 6))
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    assert before[0].tobytes() == after[0].tobytes() and before[2].tobytes() != after[2].tobytes()


def test_own_layers_can_be_trained():
    class Scale(si.nn.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight((input_shape[-1],), "ones", "factor")

        def call(self, x, training=False):
            return x * self.factor.value

    model = si.nn.Sequential([Scale(), si.nn.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(X, X[:, 0], epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0] and model.layers[0].get_weights()[0].tolist() != [1.0] * 6


@pytest.fixture
def settings():
    yield si.config
    si.config.threads = si.config.vector_bits = None


def test_training_gives_the_same_bits_on_any_number_of_threads_and_lanes(settings):
    (x, y), _ = si.data.digits()

    def weights(threads, bits):
        settings.threads, settings.vector_bits = threads, bits
        si.random.seed(0)
        model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(50, activation="gelu"), si.nn.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x[:500], y[:500], epochs=2, batch_size=100, verbose=0).history
        return [w.tobytes() for w in model.get_weights()], history

    first = weights(1, None)
    for threads, bits in [(2, None), (3, None), (7, None), (1, 128), (2, 256)]:
        assert weights(threads, bits) == first


def test_digits_are_learned():
    si.random.seed(0)
    (x, y), (x_test, y_test) = si.data.digits()
    model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
    model.compile(si.optim.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=10, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.93


def fit(**changed):
    model = changed.pop("model", None) or softmax_model()
    return model.fit(**{"x": X, "y": Y, "verbose": 0} | changed)


@pytest.mark.parametrize(
    ("call", "slug", "hint"),
    [
        (lambda: si.nn.Sequential([si.nn.Dense(3)]).fit(X, Y), "fit-not-compiled", "compile"),
        (lambda: fit(y=Y[:-1]), "fit-lengths-differ", "44"),
        (lambda: fit(y=None), "fit-no-targets", "model.fit(x, y)"),
        (lambda: fit(x=X[:0], y=Y[:0]), "fit-empty-data", "split"),
        (lambda: fit(batch_size=0), "batch-size", "batch_size=32"),
        (lambda: fit(batch_size=2.5), "batch-size", "batch_size=32"),
        (lambda: fit(epochs=0), "epochs", "epochs"),
        (lambda: fit(verbose=7), "verbose", "verbose"),
        (lambda: fit(y=Y + 1), "labels-out-of-range", "4 units"),
        (lambda: fit(y=Y - 1), "labels-out-of-range", "from 0"),
        (lambda: fit(y=Y + 0.5), "labels-dtype", "mean_squared_error"),
        (lambda: fit(y=Y.astype(str)), "data-dtype", "int64"),
        (lambda: fit(x=[[1.0], [1.0, 2.0]], y=[0, 1]), "data-ragged", "fill the shorter ones"),
        (lambda: fit(y=np.eye(3)[Y]), "loss-shapes", "categorical_crossentropy"),
        (lambda: fit(x=X[:, :, None]), "loss-shapes", "Flatten"),
        (lambda: fit(x=X[:, 0]), "dense-input-rank", "[:, None]"),
        (lambda: fit(validation_split=1.5), "validation-split", "validation_split=0.1"),
        (lambda: fit(validation_data=X), "validation-data", "validation_data=(x_test, y_test)"),
        (lambda: fit(validation_data=(X, Y[1:])), "fit-lengths-differ", "44"),
        (lambda: fit(validation_data=(X, Y + 5)), "labels-out-of-range", "units"),
        (lambda: fit(validation_data=(X[:, :4], Y)), "dense-input-features", "6 features"),
        (lambda: softmax_model(optimizer="adamm"), "optimizer-unknown", "adam"),
        (lambda: softmax_model(loss="crossentropy"), "loss-unknown", "crossentropy"),
        (lambda: softmax_model(metrics=["acuracy"]), "metric-unknown", "accuracy"),
        (lambda: softmax_model().predict(np.zeros(6)), "dense-input-rank", "[None, :]"),
    ],
)
def test_mistakes_are_told_before_the_first_step(call, slug, hint):
    with pytest.raises(UserError) as caught:
        call()
    error = caught.value
    assert error.slug == slug and hint in str(error) and error.expected and error.received and error.fix


def test_a_refused_fit_changes_nothing():
    model = softmax_model()
    model.build((None, 6))
    before = model.get_weights()[0].tobytes()
    with pytest.raises(UserError):
        model.fit(X, Y + 1, verbose=0)
    assert model.get_weights()[0].tobytes() == before


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_in_a_pipe_each_epoch_is_one_line(capsys, verbose):
    softmax_model().fit(X, Y, epochs=2, verbose=verbose, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    if verbose == 2:
        assert lines[0].startswith("Training of ")  # the report comes first
        lines = lines[lines.index("", 7) + 1 :]
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"Epoch {number}/2  2/2  loss ")
        assert all(word in line for word in ("accuracy", "val_loss", "val_accuracy", "examples/s"))


def test_silence(capsys):
    model = softmax_model()
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""


def test_a_generator_for_validation_goes_on_where_it_stopped():
    x, y = rng.random((12, 3), np.float32), rng.integers(0, 2, 12)

    def batches():
        for at in range(0, 12, 2):
            yield x[at : at + 2], y[at : at + 2]

    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(2, "softmax")])
    model.compile(si.optim.SGD(0.0), "sparse_categorical_crossentropy")
    history = model.fit(x, y, epochs=6, verbose=0, validation_data=batches(), validation_steps=2, validation_freq=2).history
    parts = [model.evaluate(x[at : at + 4], y[at : at + 4], verbose=0) for at in (0, 4, 8)]
    np.testing.assert_allclose(history["val_loss"], parts, rtol=1e-6)
    with pytest.raises(UserError, match="the generator ended before the validation did"):
        model.fit(x, y, epochs=4, verbose=0, validation_data=batches(), validation_steps=2)


def test_short_epochs_without_shuffling_go_on_where_the_last_one_stopped():
    x = np.arange(10, dtype=np.float32)[:, None]
    seen = []

    def note(y_true, y_pred):
        return si.sum(y_true, axis=-1)

    model = si.nn.Sequential([si.nn.Input((1,)), si.nn.Dense(1)])
    model.compile(si.optim.SGD(0.0), "mse", metrics=[note])
    for initial_epoch in (0, 3):
        history = model.fit(x, x, batch_size=2, epochs=initial_epoch + 4, initial_epoch=initial_epoch, steps_per_epoch=2, shuffle=False, verbose=0)
        seen.append(history.history["note"])
    assert seen[0] == seen[1] == [1.5, 5.5, (8 + 9 + 0 + 1) / 4, 3.5]


def test_metrics_of_one_name_are_told_apart_as_in_keras():
    model = si.nn.Sequential([si.nn.Input((6,)), si.nn.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "acc", "accuracy"], weighted_metrics=["accuracy", "accuracy"])
    names = ["loss", "accuracy", "acc", "accuracy_1", "weighted_accuracy", "weighted_accuracy_1"]
    assert list(model.evaluate(X, Y, sample_weight=np.ones(45), verbose=0, return_dict=True)) == names
