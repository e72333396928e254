"""Functional, subclassed and nested models: values, shapes, several inputs and outputs, configuration, pickling."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError

rng = np.random.default_rng(0)
A, B = (rng.standard_normal((12, 3)).astype(np.float32) for _ in range(2))


def two_inputs():
    a, b = si.nn.Input((3,), name="left"), si.nn.Input((3,), name="right")
    shared = si.nn.Dense(4, name="shared")
    hidden = shared(a) + 2 * shared(b)
    out = si.nn.Dense(1, name="sum")(hidden), si.nn.Dense(2, activation="softmax", name="side")(hidden)
    return si.nn.Model([a, b], list(out), name="two")


def by_hand(model, a, b):
    w, c, w1, c1, w2, c2 = (x.astype(np.float64) for x in model.get_weights())
    h = (a @ w + c) + 2 * (b @ w + c)
    z = h @ w2 + c2
    e = np.exp(z - z.max(-1, keepdims=True))
    return h @ w1 + c1, e / e.sum(-1, keepdims=True)


def test_shared_layers_and_arithmetic_as_by_hand():
    model = two_inputs()
    assert [w.name for w in model.weights] == ["shared/kernel", "shared/bias", "sum/kernel", "sum/bias", "side/kernel", "side/bias"]
    for got, want in zip(model.predict([A, B], batch_size=5), by_hand(model, A, B), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert model.output_names == ["sum", "side"]
    assert model.output_shape == [(None, 1), (None, 2)]


def test_inputs_go_by_name_in_dicts():
    model = two_inputs()
    want = model.predict([A, B])
    for got in (model.predict({"right": B, "left": A}), model.predict((A, B))):
        assert all(np.array_equal(g, w) for g, w in zip(got, want, strict=True))
    with pytest.raises(UserError) as caught:
        model.predict({"left": A, "wrong": B})
    assert caught.value.slug == "model-inputs" and caught.value.expected == '2 inputs: "left", "right"'


def test_configuration_round_trip_and_copies_give_the_same_bits():
    model = two_inputs()
    want = model.predict([A, B])
    again = si.nn.Functional.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    for other in (again, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert all(np.array_equal(g, w) for g, w in zip(other.predict([A, B]), want, strict=True))
        assert len({id(w) for w in other.weights} & {id(w) for w in model.weights}) == 0


def test_a_new_process_knows_all_that_a_file_names(tmp_path):
    model = two_inputs()
    model.save(tmp_path / "two.insitu")
    np.savez(tmp_path / "want.npz", *model.predict([A, B]), A=A, B=B)
    program = "import sys, numpy as np, insitu as si; f = np.load(sys.argv[2]); m = si.load(sys.argv[1]); got = m.predict([f['A'], f['B']]);"
    program += "sys.exit(not (np.array_equal(got[0], f['arr_0']) and np.array_equal(got[1], f['arr_1'])))"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "two.insitu"), str(tmp_path / "want.npz")], check=True)


def test_losses_weights_and_metrics_of_several_outputs():
    model = two_inputs()
    model.compile(
        si.optim.SGD(0.0), {"sum": "mse", "side": "sparse_categorical_crossentropy"}, loss_weights={"sum": 0.5}, metrics={"side": ["accuracy"]}
    )
    y, labels = rng.standard_normal((12, 1)), rng.integers(0, 2, 12)
    logs = model.evaluate([A, B], [y, labels], batch_size=5, verbose=0, return_dict=True)
    first, side = by_hand(model, A, B)
    mse, ce = ((first - y) ** 2).mean(), -np.log(side[np.arange(12), labels]).mean()
    assert list(logs) == ["loss", "sum_loss", "side_loss", "side_accuracy"]
    np.testing.assert_allclose(list(logs.values()), [0.5 * mse + ce, mse, ce, (side.argmax(-1) == labels).mean()], rtol=1e-5)
    history = model.fit([A, B], {"sum": y, "side": labels}, batch_size=5, verbose=0, validation_data=([A, B], [y, labels]))
    np.testing.assert_allclose(history.history["loss"], [0.5 * mse + ce], rtol=1e-5)
    np.testing.assert_allclose(history.history["val_side_accuracy"], [logs["side_accuracy"]], rtol=1e-6)


def test_one_loss_serves_all_outputs_and_a_list_goes_by_position():
    x = si.nn.Input((3,))
    model = si.nn.Model(x, [si.nn.Dense(1)(x), si.nn.Dense(1)(x)])
    y = [np.ones((12, 1)), np.zeros((12, 1))]
    for loss in ("mse", ["mse", "mse"]):
        model.compile("sgd", loss)
        assert len(model.evaluate(A, y, verbose=0)) == 3


class Residual(si.nn.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.inner = [si.nn.Dense(units, activation="tanh"), si.nn.Dense(units)]

    def call(self, x):
        for layer in self.inner:
            x = x + layer(x)
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Custom(si.nn.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.block = Residual(3)
        self.last = si.nn.Dense(2)

    def call(self, x, training=False):
        y = self.last(self.block(x))
        return {"y": y, "twice": y * 2} if training else y


def test_subclassed_model_trains_and_is_rebuilt(tmp_path):
    class Plain(Custom):
        def call(self, x, training=False):
            return self.last(self.block(x))

    model = Plain()
    model.compile(si.optim.Adam(0.05), "mse")
    y = np.stack([A.sum(-1), A[:, 0]], -1)
    losses = model.fit(A, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    assert model.count_params() == 2 * (3 * 3 + 3) + 3 * 2 + 2
    model.save(tmp_path / "m.insitu")
    again = si.load(tmp_path / "m.insitu")
    assert np.array_equal(again.predict(A), model.predict(A))
    assert [w.name for w in again.weights] == [w.name for w in model.weights]


def test_steps_of_ones_own_are_not_passed_over_in_silence():
    def of(**methods):
        model = type("Own", (si.nn.Sequential,), methods)([si.nn.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def step(self, *arguments):
        raise AssertionError

    y = A[:, :1]
    calls = {"fit": (A, y), "train_on_batch": (A, y), "evaluate": (A, y), "test_on_batch": (A, y), "predict": (A,), "predict_on_batch": (A,)}
    refusing = {"train_step": ["fit", "train_on_batch"], "test_step": ["evaluate", "test_on_batch"],
                "predict_step": ["predict", "predict_on_batch"], "compute_loss": [*calls][:4]}  # fmt: skip
    for method, expected in refusing.items():
        for name, arguments in calls.items():
            model = of(**{method: step})
            if name in expected:
                with pytest.raises(UserError, match=f"{name}: Own has a {method}") as caught:
                    getattr(model, name)(*arguments)
                assert caught.value.slug == "model-own-steps"
            else:
                getattr(model, name)(*arguments)


def test_model_inside_a_model():
    inner = si.nn.Sequential([si.nn.Dense(4), si.nn.Dense(3)], name="inner")
    x = si.nn.Input((3,))
    outer = si.nn.Model(x, inner(x) + x)
    np.testing.assert_allclose(outer.predict(A), inner.predict(A) + A, rtol=1e-6)
    again = si.nn.Functional.from_config(outer.get_config())
    again.set_weights(outer.get_weights())
    assert np.array_equal(again.predict(A), outer.predict(A))


def test_trainable_reaches_inner_layers_and_freezes_them():
    model = si.nn.Sequential([si.nn.Dense(4, name="frozen"), si.nn.Dense(1)])
    model.build((None, 3))
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2 and len(model.non_trainable_weights) == 2
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(A, A[:, :1], verbose=0)
    after = model.get_weights()
    assert [np.array_equal(p, q) for p, q in zip(before, after, strict=True)] == [True, True, False, False]
    model.layers[0].trainable = True
    model.fit(A, A[:, :1], verbose=0)  # a change counts from the next fit on
    assert not np.array_equal(model.get_weights()[0], before[0])
    model.trainable = False
    assert model.trainable_weights == [] and not model.layers[1].trainable


def test_sequential_takes_its_input_also_alone_in_a_list_and_no_others():
    model = si.nn.Sequential([si.nn.Dense(1)])
    model.compile("sgd", "mse")
    for alone in ([A], (A,)):
        model.fit(alone, B[:, :1], batch_size=5, verbose=0, validation_data=(alone, B[:, :1]))
        assert model.predict(alone).tobytes() == model.predict(A).tobytes() == np.asarray(model(alone)).tobytes()
    assert model.predict([[0.0, 1.0, 2.0]]).shape == (1, 1)
    for wrong in ({"a": A}, [A, A]):
        for call in (model.predict, model, lambda x: model.fit(x, B[:, :1]), si.nn.Sequential([si.nn.Dense(1)]).predict):
            with pytest.raises(UserError, match=r'"sequential.*" takes one array') as caught:
                call(wrong)
            assert caught.value.slug == "layer-one-array"


def test_sequential_is_built_by_an_input_or_a_given_shape():
    for model in (si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(2)]), si.nn.Sequential([si.nn.Dense(2, input_shape=(3,))])):
        assert model.built and model.output_shape == (None, 2) and model.count_params() == 8
        again = si.nn.Sequential.from_config(json.loads(json.dumps(model.get_config())))
        assert again.built and again.count_params() == 8


def test_losses_added_by_layers_and_regularizers_count():
    class Penalty(si.nn.Layer):
        def call(self, x):
            self.add_loss(si.mean(x * x))
            return x

    model = si.nn.Sequential([si.nn.Input((3,)), Penalty(), si.nn.Dense(1, kernel_regularizer="l2")])
    model.compile(si.optim.SGD(0.0), "mse")
    y = A[:, :1]
    kernel = model.get_weights()[0].astype(np.float64)
    plain = ((A @ kernel + 0 - y) ** 2).mean()
    want = plain + 0.01 * (kernel**2).sum() + (A.astype(np.float64) ** 2).mean()
    np.testing.assert_allclose(model.evaluate(A, y, batch_size=4, verbose=0), want, rtol=1e-5)
    np.testing.assert_allclose(model.fit(A, y, batch_size=4, verbose=0).history["loss"], [want], rtol=1e-5)


def test_training_argument_reaches_inner_layers():
    seen = []

    class Seen(si.nn.Layer):
        def call(self, x, training=False):
            seen.append(training)
            return x

    class Outer(si.nn.Model):
        def __init__(self):
            super().__init__()
            self.inner = Seen()

        def call(self, x):
            return self.inner(x)

    model = Outer()
    model(A)
    model(A, training=True)
    assert seen[-1] is True and set(seen[:-1]) == {False}


def test_get_layer_and_summary():
    model = two_inputs()
    assert model.get_layer("side").name == "side" and model.get_layer(index=0).name == "shared"
    with pytest.raises(UserError) as caught:
        model.get_layer("shard")
    assert caught.value.fix == 'did you mean "shared"?'
    text = []
    model.summary(print_fn=text.append)
    assert "shared (Dense)" in text[0] and "(batch, 2)" in text[0] and "parameters: 31 (trainable 31)" in text[0]


def test_weights_by_name_and_by_order(tmp_path):
    path = tmp_path / "w.safetensors"
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(4), si.nn.Dense(1)])
    model.save_weights(path)
    import safetensors.numpy

    assert set(safetensors.numpy.load_file(path)) == {w.name for w in model.weights}
    other = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(4), si.nn.Dense(1)])
    other.load_weights(path)  # its layers are numbered otherwise
    assert all(np.array_equal(p, q) for p, q in zip(model.get_weights(), other.get_weights(), strict=True))
    before = [w.copy() for w in other.get_weights()]
    bigger = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(5), si.nn.Dense(1)])
    bigger.save_weights(path)
    with pytest.raises(UserError) as caught:
        other.load_weights(path)
    assert caught.value.slug == "weights-file"
    assert all(np.array_equal(p, q) for p, q in zip(before, other.get_weights(), strict=True))


def test_resumed_training_equals_an_uninterrupted_one(tmp_path):
    def model():
        si.random.seed(3)
        made = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(8, activation="relu"), si.nn.Dropout(0.5), si.nn.Dense(2, activation="softmax")])
        made.compile(si.optim.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return made

    labels = rng.integers(0, 2, 12)
    whole = model()
    history = whole.fit(A, labels, batch_size=5, epochs=4, verbose=0)
    half = model()
    half.fit(A, labels, batch_size=5, epochs=2, verbose=0)
    half.save(tmp_path / "half.insitu")
    si.random.seed(99)  # the default generator has no part in it
    again = si.load(tmp_path / "half.insitu")
    rest = again.fit(A, labels, batch_size=5, epochs=4, initial_epoch=2, verbose=0)
    assert all(np.array_equal(p, q) for p, q in zip(whole.get_weights(), again.get_weights(), strict=True))
    assert rest.history["loss"] == history.history["loss"][2:] and rest.epoch == [2, 3]
    copied = pickle.loads(pickle.dumps(half))
    copied.fit(A, labels, batch_size=5, epochs=4, initial_epoch=2, verbose=0)
    assert all(np.array_equal(p, q) for p, q in zip(whole.get_weights(), copied.get_weights(), strict=True))


def test_batches_train_like_arrays():
    def model():
        si.random.seed(5)
        made = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(2)])
        made.compile("sgd", "mse")
        return made

    y = B[:, :2]
    arrays, batches = model(), model()
    one = arrays.fit(A, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    two = batches.fit([(A[i : i + 4], y[i : i + 4]) for i in range(0, 12, 4)], epochs=3, verbose=0)
    assert all(np.array_equal(p, q) for p, q in zip(arrays.get_weights(), batches.get_weights(), strict=True))
    assert one.history == two.history


def test_sample_and_class_weights():
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(2, activation="softmax")])
    model.compile(si.optim.SGD(0.0), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    labels = rng.integers(0, 2, 12)
    p = model.predict(A).astype(np.float64)
    each = -np.log(p[np.arange(12), labels])
    weights = rng.random(12).astype(np.float32)
    loss, accuracy = model.evaluate(A, labels, sample_weight=weights, batch_size=5, verbose=0)
    np.testing.assert_allclose(loss, (each * weights).mean(), rtol=1e-5)
    np.testing.assert_allclose(accuracy, ((p.argmax(-1) == labels) * weights).sum() / weights.sum(), rtol=1e-5)
    history = model.fit(A, labels, class_weight={0: 2.0, 1: 0.5}, batch_size=5, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [(each * np.where(labels == 0, 2, 0.5)).mean()], rtol=1e-5)


def test_class_weights_are_numbers_of_any_kind_and_go_with_the_weights_of_a_named_output():
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(2, activation="softmax", name="kind")])
    model.compile(si.optim.SGD(0.0), "sparse_categorical_crossentropy", loss_weights=np.float32(1))
    labels, own = np.arange(12) % 3 // 2, np.arange(12, dtype=np.float32) / 4
    each = -np.log(model.predict(A).astype(np.float64)[np.arange(12), labels])
    expected = [(each * own * np.where(labels == 0, 2, 0.5)).mean()]
    for weights in ({0: np.float32(2), 1: 0.5}, {0.0: 2, 1.0: np.float16(0.5)}, dict(zip(np.unique(labels > 0), np.asarray([2, 0.5]), strict=True))):
        for given in (own, [own], {"kind": own}):
            found = model.fit(A, labels, sample_weight=given, class_weight=weights, verbose=0).history["loss"]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_class_weights_are_refused_for_several_outputs_also_of_batches():
    model = two_inputs()
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"])
    y = B[:, :1], np.arange(12) % 2
    for data in (([A, B], list(y)), (si.data.Dataset(((A, B), y)).batch(4),)):
        with pytest.raises(UserError, match="class_weight") as caught:
            model.fit(*data, class_weight={0: 2.0}, verbose=0)
        assert caught.value.received == "several outputs"


def test_class_weights_leave_the_order_of_a_data_set_its_state():
    # an order whose seed nobody chose can only be resumed with the state of the data set itself
    from insitu.data.feed import feed
    from insitu.nn.fitting import with_class_weight

    data = feed(si.data.Dataset((A, np.arange(12) % 2)).shuffle().batch(4))
    weighed = with_class_weight(data, {0: 2.0})
    assert weighed.state() == data.state() and len(weighed.state()) > 1
    again = with_class_weight(feed(si.data.Dataset((A, np.arange(12) % 2)).shuffle().batch(4)), {0: 2.0})
    again.set_state(weighed.state())
    for (x, y, w), (x2, y2, w2) in zip(weighed, again, strict=True):
        assert np.array_equal(x, x2) and np.array_equal(y, y2) and np.array_equal(w, w2)
        np.testing.assert_array_equal(w, np.where(y == 0, 2, 1))


def test_single_batches():
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    y = B[:, :1]
    want = model.evaluate(A, y, verbose=0)
    np.testing.assert_allclose(model.test_on_batch(A, y), want, rtol=1e-6)
    logs = model.train_on_batch(A, y, return_dict=True)
    np.testing.assert_allclose([logs["loss"], logs["mae"]], want, rtol=1e-6)
    assert model.test_on_batch(A, y)[0] < want[0]
    assert np.array_equal(model.predict_on_batch(A), model.predict(A))


class Counting(si.nn.Model):
    """Counts how often it was traced."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last, self.traces = si.nn.Dense(4), [si.nn.Dense(1)], 0

    def call(self, x):
        self.traces += 1
        return self.last[-1](self.hidden(x))


def test_batches_of_known_form_are_not_traced_again():
    model = Counting()
    model.compile("sgd", "mse", metrics=["mae"])
    runs = [lambda: model.train_on_batch(A, B[:, :1]), lambda: model.test_on_batch(A, B[:, :1]), lambda: model.predict_on_batch(A)]
    for run in runs:
        run()
    traces = model.traces
    for run in (*runs, lambda: model.predict(A), lambda: model.evaluate(A, B[:, :1], verbose=0)):
        run()
    assert model.traces == traces
    model.predict_on_batch(A[:, :3].astype(np.float64))  # another dtype is another form
    assert model.traces > traces


@pytest.mark.parametrize("function", ["train_on_batch", "test_on_batch", "predict_on_batch", "predict", "evaluate"])
def test_what_does_not_fit_is_told_after_batches_that_did(function):
    model = si.nn.Sequential([si.nn.Embedding(5, 3), si.nn.Flatten(), si.nn.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    words, y = np.arange(12).reshape(6, 2) % 5, np.arange(6) % 2
    given = () if "predict" in function else (y,)
    use = getattr(model, function)
    use(words, *given)
    cases = [(words[:, :1], *given), (words + 1, *given), (words / 2, *given)]
    slugs = ["dense-input-features", "embedding-range", "embedding-dtype"]
    if given:
        cases += [(words, y + 1), (words, np.stack([y, y, y], 1)), (words, y[:5])]
        slugs += ["labels-out-of-range", "loss-shapes", f"{'fit' if 'train' in function else 'evaluate'}-lengths-differ"]
    for case, slug in zip(cases, slugs, strict=True):
        with pytest.raises(UserError) as told:
            use(*case)
        assert told.value.slug == slug
        use(words, *given)


def test_changes_of_a_model_are_seen_by_the_next_batch():
    model, y = Counting(), B[:, :1]
    model.compile("sgd", "mse")
    model.train_on_batch(A, y)
    model.hidden.trainable = False
    frozen, moved = model.hidden.get_weights(), model.last[0].get_weights()
    model.train_on_batch(A, y)
    assert np.array_equal(frozen[0], model.hidden.get_weights()[0]) and not np.array_equal(moved[0], model.last[0].get_weights()[0])
    model.hidden.trainable = True
    model.train_on_batch(A, y)
    assert not np.array_equal(frozen[0], model.hidden.get_weights()[0])
    model.last.append(si.nn.Dense(2))
    model.train_on_batch(A, B[:, :2])
    assert model.metrics == [] and model.last[1].built
    with pytest.raises(UserError, match="shape"):
        model.train_on_batch(A, y[:, 0][:, None, None])
    row = si.nn.Sequential([si.nn.Dense(4), si.nn.Dense(2)])
    row.compile("sgd", "mse")
    row.train_on_batch(A, B[:, :2])
    row.pop()
    assert row.predict_on_batch(A).shape == (12, 4)
    row.add(si.nn.Dense(1))
    row.compile("adam", "mae", metrics=["mse"])
    assert set(row.train_on_batch(A, y, return_dict=True)) == {"loss", "mse"}


def test_an_average_of_weights_begins_with_the_first_single_batch():
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(1)])
    model.compile(si.optim.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    model.check(A, B[:, :1], verbose=0)
    kernels = []
    for _ in range(2):
        model.train_on_batch(A, B[:, :1])
        kernels.append(model.get_weights()[0])
    model.optimizer.finalize_variable_values(model.trainable_weights)
    np.testing.assert_allclose(model.get_weights()[0], (kernels[0] + kernels[1]) / 2, rtol=1e-6)


def test_weights_come_in_the_order_of_keras():
    a, b = si.nn.Input((4,)), si.nn.Input((3,))
    shared = si.nn.Dense(3, name="shared")
    first = shared(si.nn.Dense(4, name="h")(si.nn.Concatenate(name="cat")([a, b])))
    short = si.nn.Dense(1, name="short")(first)
    model = si.nn.Model([a, b], [short, si.nn.Dense(2, name="long")(shared(si.nn.Dense(4, name="between")(first)))])
    assert [layer.name for layer in model.layers] == ["cat", "h", "shared", "between", "short", "long"]  # keras.Model's, beside its inputs
    assert [w.shape for w in model.get_weights()[::2]] == [(7, 4), (4, 3), (3, 4), (3, 1), (3, 2)]

    class Counted(si.nn.Layer):
        def build(self, input_shape):
            self.calls = self.add_weight((), "zeros", "calls", trainable=False)
            self.factor = self.add_weight(input_shape[-1:], "ones", "factor")

        def call(self, x):
            return x * self.factor.value

    layer = Counted(name="counted")
    layer.build((None, 3))
    assert [w.name for w in layer.weights] == ["counted/factor", "counted/calls"]


def test_a_layer_has_the_symbols_it_was_called_with():
    x = si.nn.Input((4,))
    dense, add = si.nn.Dense(3), si.nn.Add()
    y = add([dense(x), dense(x)])
    assert dense.input is x
    assert [s.shape for s in add.input] == [(None, 3), (None, 3)]
    assert add.output is y


def test_parts_of_a_row_of_layers_are_models():
    x = np.random.default_rng(0).random((5, 4), np.float32)
    model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(3, "relu", name="hidden"), si.nn.Dropout(0.5), si.nn.Dense(2)])
    features = si.nn.Model(model.inputs, model.get_layer("hidden").output)
    np.testing.assert_array_equal(features.predict(x), np.asarray(model.layers[0](x)))
    both = si.nn.Model(model.input, [model.layers[0].output, *model.outputs])
    np.testing.assert_array_equal(both.predict(x)[1], model.predict(x))
    model.pop()
    model.add(si.nn.Dense(1, name="head"))
    assert si.nn.Model(model.input, [model.layers[0].output, model.output]).output_shape == [(None, 3), (None, 1)]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), si.nn.Sequential.from_config(model.get_config())):
        part = si.nn.Model(again.inputs, again.get_layer("hidden").output)
        assert part.layers == again.layers[:1]
    late = si.nn.Sequential([si.nn.Dense(3)])
    with pytest.raises(UserError, match="does not know its input yet"):
        _ = late.layers[0].output
    late.build((None, 4))
    assert late.output.shape == (None, 3)


def test_a_functional_model_has_its_own_input_and_output():
    a, b = si.nn.Input((3,), name="a"), si.nn.Input((3,), name="b")
    model = si.nn.Model({"a": a, "b": b}, si.nn.Add()([a, b]))
    inner = model({"a": si.nn.Input((3,)), "b": si.nn.Input((3,))})
    assert model.input == {"a": a, "b": b}
    assert model.output is model.outputs[0] is not inner


def test_deep_graphs_are_made_saved_and_copied(tmp_path):
    shared = si.nn.Dense(2, name="shared")
    x = y = si.nn.Input((2,))
    for k in range(1200):
        y = shared(y) if k % 100 == 0 else si.nn.Activation("linear")(y)
    model = si.nn.Model(x, y)
    data = np.random.default_rng(0).random((3, 2), np.float32)
    model.save(tmp_path / "deep.insitu")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), si.load(tmp_path / "deep.insitu")):
        assert len(other.layers) == len(model.layers) == 1189
        np.testing.assert_array_equal(other.predict(data), model.predict(data))
        assert other.get_layer("shared").output is not shared.output


def test_a_copied_layer_belongs_to_no_model_and_a_copied_model_has_all_of_its_calls():
    layer = si.nn.Dense(3)
    x = si.nn.Input((4,))
    model = si.nn.Model(x, si.nn.Dense(2)(layer(x)))
    alone = copy.deepcopy(layer)
    np.testing.assert_array_equal(alone(np.ones((1, 4))), layer(np.ones((1, 4))))
    with pytest.raises(UserError, match="is not part of a functional model"):
        _ = alone.output
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        for other, first in (copied((model, layer)), reversed(copied((layer, model)))):
            assert other.layers[0] is first
            assert si.nn.Model(other.input, first.output).layers == [first]


def test_symbols_have_parts_and_functions_of_one_number():
    x = np.random.default_rng(0).random((2, 5, 3), np.float32) - 0.5
    i = si.nn.Input((5, 3))
    model = si.nn.Model(i, [i[:, -1], i[..., :2], i[:, None, 1:3, ::2], abs(i), 2**i, i // 0.25, i % 0.25])
    want = [x[:, -1], x[..., :2], x[:, None, 1:3, ::2], abs(x), 2**x, x // 0.25, x % 0.25]
    for m in (model, type(model).from_config(model.get_config())):
        for found, value in zip(m.predict(x), want, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-6)
    for key in ([0, 2], "a", i):
        with pytest.raises(UserError, match="cannot be indexed"):
            i[key]
    with pytest.raises(TypeError):
        list(i)


def test_a_loop_of_ones_own_adds_the_losses_of_the_model():
    class Added(si.nn.Layer):
        def call(self, x):
            self.add_loss(si.sum(x * x) * 0.01)
            return x

    x, y = np.random.default_rng(0).random((8, 3), np.float32), np.ones((8, 1), np.float32)
    layers = [si.nn.Input((3,)), si.nn.Dense(4, kernel_regularizer="l2", activity_regularizer="l1"), Added(), si.nn.Dense(1, bias_regularizer="l1")]
    model = si.nn.Sequential(layers)
    again = copy.deepcopy(model)
    assert len(model.losses) == 2  # those of the weights; no call has added any
    optimizer = si.optim.SGD(0.1)

    @si.compile
    def step():
        def loss(weights):
            return si.mean((model(x, training=True) - y) ** 2) + sum(model.losses)

        value, grads = si.value_and_grad(loss)(model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)
        return value

    again.compile(si.optim.SGD(0.1), "mse")
    for _ in range(3):
        np.testing.assert_allclose(float(step()), again.train_on_batch(x, y), rtol=1e-6)
    model(x)
    assert len(model.losses) == 4
    copy.deepcopy(model)
