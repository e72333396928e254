"""Layers at work: derivatives, training with regularizers and constraints, tables, adapted means, functions, files, mistakes."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError
from insitu.nn import activations, constraints, initializers, layers, regularizers
from insitu.nn.layer import deserialize, serialize

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import keras_layers as golden

STORED = json.loads((GOLDEN / "keras_layers.json").read_text())
RNG = np.random.default_rng(5)


# -- derivatives ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", range(len(golden.LAYERS)), ids=[f"{n} {c}" for n, c, _ in golden.LAYERS])
def test_gradients_of_a_layer_against_differences(number):
    name, config, shapes = golden.LAYERS[number]
    layer = getattr(layers, name)(**config, dtype="float64")
    rng = np.random.default_rng(number)
    inputs = [rng.standard_normal(s) for s in shapes]
    wrapped = (lambda x: layer(x[0])) if len(inputs) == 1 else layer
    scale = rng.standard_normal(wrapped([si.asarray(x) for x in inputs]).shape)
    if layer.trainable_weights:
        layer.set_weights([rng.standard_normal(w.shape) for w in layer.weights])

    def total(x, weights):
        for variable, value in zip(layer.weights, weights, strict=True):
            variable.assign(value)
        return si.sum(wrapped(x) * scale)

    leaves = [*inputs, *layer.get_weights()]
    n = len(inputs)

    @si.compile
    def value(*a):
        return total(list(a[:n]), list(a[n:]))

    got = si.compile(si.grad(lambda *a: total(list(a[:n]), list(a[n:])), argnums=tuple(range(len(leaves)))))(*leaves)
    for k, (leaf, slope) in enumerate(zip(leaves, got, strict=True)):
        if leaf.dtype != np.float64:
            continue
        towards, step = rng.standard_normal(leaf.shape), 1e-6
        moved = [[*leaves[:k], leaf + sign * step * towards, *leaves[k + 1 :]] for sign in (1, -1)]
        want = (float(value(*moved[0])) - float(value(*moved[1]))) / (2 * step)
        np.testing.assert_allclose(np.sum(np.asarray(slope) * towards), want, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("make", [lambda x: si.nn.UnitNormalization()(x), lambda x: si.nn.Dot(axes=1, normalize=True)([x, x])])
def test_vectors_of_length_zero_have_finite_slopes(make):
    x = si.asarray([[0.0, 0.0], [3.0, 4.0]])
    assert np.isfinite(np.asarray(si.grad(lambda v: si.sum(make(v)))(x))).all()


def test_orthogonal_regularizer_survives_a_row_of_zeros():
    got = si.grad(regularizers.OrthogonalRegularizer())(si.asarray([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
    assert np.isfinite(np.asarray(got)).all()


# -- training ------------------------------------------------------------------------------------------
def test_regularizers_are_part_of_the_loss():
    layer = si.nn.Dense(2, kernel_regularizer="l1_l2", bias_regularizer=regularizers.L2(0.5), bias_initializer="ones", activity_regularizer="l2")
    model = si.nn.Sequential([si.nn.Input((3,)), layer])
    model.compile("sgd", "mse")
    x, y = RNG.standard_normal((5, 3)).astype(np.float32), RNG.standard_normal((5, 2)).astype(np.float32)
    kernel, bias = layer.get_weights()
    out = x @ kernel + bias
    want = ((out - y) ** 2).mean() + 0.01 * (np.abs(kernel).sum() + (kernel**2).sum()) + 0.5 * (bias**2).sum() + 0.01 * (out**2).sum() / 5
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-5)


def test_constraints_hold_after_each_step():
    layer = si.nn.Dense(4, kernel_constraint=constraints.MaxNorm(0.3), bias_constraint="non_neg")
    model = si.nn.Sequential([si.nn.Input((3,)), layer])
    model.compile(si.optim.SGD(0.5), "mse")
    x, y = RNG.standard_normal((32, 3)), RNG.standard_normal((32, 4)) - 3
    model.fit(x, y, epochs=3, verbose=0)
    kernel, bias = layer.get_weights()
    assert np.linalg.norm(kernel, axis=0).max() <= 0.3 + 1e-6 and bias.min() >= 0


def test_dropout_in_training_follows_the_seed_and_differs_from_step_to_step():
    def losses():
        si.random.seed(4)
        model = si.nn.Sequential([si.nn.Input((50,)), si.nn.Dropout(0.5), si.nn.Dense(1, kernel_initializer="ones", trainable=False)])
        model.compile("sgd", "mse")
        return model.fit(np.ones((1, 50)), np.zeros((1, 1)), epochs=4, verbose=0).history["loss"]

    first = losses()
    assert first == losses() and len(set(first)) > 1


# -- copies ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: si.nn.Embedding(5, 3, embeddings_regularizer="l2", embeddings_constraint="unit_norm"), np.array([[1, 2]])),
        (lambda: si.nn.Dropout(0.5, (None, 1), seed=3), np.ones((4, 3), np.float32)),
        (lambda: si.nn.GaussianNoise(0.2, seed=3), np.ones((4, 3), np.float32)),
        (lambda: si.nn.GaussianDropout(0.2, seed=3), np.ones((4, 3), np.float32)),
        (lambda: si.nn.ActivityRegularization(0.1, 0.2), np.ones((4, 3), np.float32)),
        (lambda: si.nn.Lambda(doubled, doubled_shape), np.ones((4, 3), np.float32)),
        (lambda: si.nn.Activation(si.nn.PReLU("ones")), np.ones((4, 3), np.float32)),
        (lambda: si.nn.ReLU(6, input_shape=(3,)), np.ones((4, 3), np.float32)),
        (
            lambda: si.nn.Dense(
                2, "relu", True, "he_normal", "ones", "l2", regularizers.L1(0.2), "l1", "max_norm", constraints.NonNeg(),
                dtype="float64", trainable=False,
            ),
            np.ones((4, 3), np.float32),
        ),
    ],
)  # fmt: skip
def test_copies_of_a_layer_draw_and_compute_the_same(make, x):
    layer = make()
    layer(x)
    stored = deserialize(json.loads(json.dumps(serialize(layer))))
    stored.set_weights(layer.get_weights())
    copies = [stored, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)]
    want = np.asarray(layer(x, training=True))
    for other in copies:
        assert other.get_config() == layer.get_config() and repr(other) == repr(layer)
        assert np.array_equal(np.asarray(other(x, training=True)), want)
        assert [w.trainable for w in other.trainable_weights] == [w.trainable for w in layer.trainable_weights]
        assert [(repr(w.regularizer), repr(w.constraint)) for w in other.weights] == [
            (repr(w.regularizer), repr(w.constraint)) for w in layer.weights
        ]


@pytest.mark.parametrize("name", sorted(activations.TABLE))
def test_activations_take_numpy_arrays_and_lists(name):
    x = np.array([[-1.0, 0.25, 2.0, 0.5]], np.float32)
    want = np.asarray(activations.TABLE[name](si.asarray(x)))
    for given in (x, x.tolist()):
        got = activations.TABLE[name](given)
        assert isinstance(got, si.Array) and np.array_equal(np.asarray(got), want)


# -- parts of the user's own -----------------------------------------------------------------------------
class Halves(initializers.Initializer):
    def __init__(self, sign=1):
        self.sign = sign

    def __call__(self, shape, dtype="float32"):
        return si.full(shape, 0.5 * self.sign, dtype=dtype)

    def get_config(self):
        return {"sign": self.sign}


class Cubes(regularizers.Regularizer):
    def __call__(self, x):
        return si.sum(si.abs(x) ** 3)


class AtMostOne(constraints.Constraint):
    def __call__(self, w):
        return si.clip(w, -1, 1)


def test_parts_of_the_users_own_are_found_by_name_and_in_files(tmp_path):
    layer = si.nn.Dense(2, kernel_initializer=Halves(-1), bias_initializer="halves", kernel_regularizer=Cubes(), kernel_constraint="at_most_one")
    model = si.nn.Sequential([si.nn.Input((3,)), layer])
    assert [w.tolist()[0] for w in layer.get_weights()] == [[-0.5, -0.5], 0.5]
    model.save(tmp_path / "m")
    again = si.load(tmp_path / "m").layers[0]
    assert again.get_config() == layer.get_config() and again.kernel_initializer.sign == -1
    assert isinstance(again.kernel_regularizer, Cubes) and isinstance(again.kernel_constraint, AtMostOne)


@pytest.mark.parametrize("make", [lambda: si.nn.LeakyReLU(0.1), lambda: si.nn.PReLU("ones"), lambda: si.nn.PReLU])
def test_layers_are_activations(make, tmp_path):
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(4, activation=make()), si.nn.Activation(make())])
    x = RNG.standard_normal((5, 3)).astype(np.float32)
    want = model.predict(x)
    model.save(tmp_path / "m")
    again = si.load(tmp_path / "m")
    assert np.array_equal(again.predict(x), want) and len(again.weights) == len(model.weights)
    model.compile("sgd", "mse")
    model.fit(x, np.ones((5, 4)), verbose=0)


def test_values_as_initializer_survive_a_file():
    layer = si.nn.Dense(2, kernel_initializer=np.arange(6.0).reshape(3, 2))
    layer.build((None, 3))
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    again.build((None, 3))
    assert again.get_weights()[0].tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_initializers_draw_in_the_dtype(dtype):
    for name in ("random_normal", "truncated_normal", "random_uniform", "glorot_uniform", "he_normal", "orthogonal", "ones", "identity"):
        w = np.asarray(initializers.get(name)((40, 50), dtype))
        assert w.dtype == dtype and np.isfinite(w).all()
        if dtype == "float64" and name not in ("ones", "identity"):
            assert not np.array_equal(w, w.astype(np.float32))  # not numbers of a narrower type


def test_every_initializer_copies():
    for name, cls in initializers.Initializer.classes.items():
        made = cls([1.0]) if name == "Given" else cls()
        for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert repr(other) == repr(made)


# -- tables ------------------------------------------------------------------------------------------------
def model_of_words():
    inputs = si.nn.Input((2,), dtype="int32")
    outputs = si.nn.Dense(1)(si.nn.Flatten()(si.nn.Embedding(5, 3)(inputs)))
    return si.nn.Functional(inputs, outputs)


@pytest.mark.parametrize("make", [model_of_words, lambda: si.nn.Sequential([si.nn.Embedding(5, 3), si.nn.Flatten(), si.nn.Dense(1)])])
def test_numbers_beyond_the_table_are_found_before_training(make):
    model = make()
    model.compile("sgd", "mse")
    good, bad = np.array([[0, 4], [1, 2]]), np.array([[0, 5], [1, -1]])
    model.fit(good, np.ones((2, 1)), verbose=0)
    before = model.get_weights()
    for use in (
        lambda: model.fit(bad, np.ones((2, 1)), verbose=0),
        lambda: model.predict(bad),
        lambda: model.evaluate(bad, np.ones((2, 1)), verbose=0),
    ):
        with pytest.raises(UserError) as caught:
            use()
        assert caught.value.slug == "embedding-range" and "from -1 to 5" in caught.value.received
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# -- means and variances ------------------------------------------------------------------------------------
def test_adapt_finds_what_keras_finds():
    x = golden.inputs([[6, 2, 3]])[0]
    for axis, (mean, variance) in zip((-1, (1, 2), None), STORED["adapted"], strict=True):
        layer = si.nn.Normalization(axis=axis)
        layer.adapt(x)
        for got, want in zip(layer.get_weights(), (mean, variance), strict=False):
            np.testing.assert_allclose(got, want, rtol=1e-5)
            assert got.shape == np.shape(want)


@pytest.mark.parametrize(
    "data",
    [
        lambda x: x,
        lambda x: si.asarray(x),
        lambda x: x.tolist(),
        lambda x: [x[:7], x[7:]],
        lambda x: (x[i : i + 4] for i in range(0, 20, 4)),
        lambda x: si.data.Dataset(x).batch(6),
        lambda x: si.data.Dataset((x, np.ones(20))).batch(6),
    ],
)
def test_adapt_takes_arrays_and_batches(data):
    x = (RNG.standard_normal((20, 3)) * [1, 5, 9] + [0, 300, 7]).astype(np.float32)
    layer = si.nn.Normalization()
    layer.adapt(data(x))
    y = np.asarray(layer(x))
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-4)
    assert layer.get_weights()[2] == 20


def test_adapt_goes_over_large_data_in_blocks():
    x = RNG.integers(0, 256, (3000, 28, 28), dtype=np.uint8)
    layer = si.nn.Normalization(axis=None)
    layer.adapt(x)
    np.testing.assert_allclose([float(w) for w in layer.get_weights()], [x.mean(), x.var(), x.size], rtol=1e-6)


def test_adapted_means_are_stored(tmp_path):
    layer = si.nn.Normalization()
    model = si.nn.Sequential([si.nn.Input((3,)), layer])
    x = RNG.standard_normal((20, 3)).astype(np.float32)
    layer.adapt(x)
    assert not layer.trainable_weights
    model.save(tmp_path / "m")
    assert np.array_equal(si.load(tmp_path / "m").predict(x), model.predict(x))


def test_normalization_undoes_itself():
    x = RNG.standard_normal((20, 3)).astype(np.float32)
    there, back = si.nn.Normalization(mean=[1, 2, 3], variance=[1, 4, 9]), si.nn.Normalization(mean=[1, 2, 3], variance=[1, 4, 9], invert=True)
    np.testing.assert_allclose(np.asarray(back(there(x))), x, rtol=1e-5, atol=1e-6)
    assert there.weights == []


# -- functions, shapes ---------------------------------------------------------------------------------------
@si.nn.register("tests.doubled_shape")
def doubled_shape(shape):
    return (*shape[:-1], 2 * shape[-1])


@si.nn.register("tests.doubled")
def doubled(x, training=False):
    return si.concat([x, x * (3 if training else 1)], axis=-1)


def test_lambda_knows_training_and_its_shape():
    layer = si.nn.Lambda(doubled, doubled_shape)
    assert np.asarray(layer(np.ones((1, 1)), training=True)).tolist() == [[1, 3]]
    assert np.asarray(layer(np.ones((1, 1)))).tolist() == [[1, 1]]
    assert layer.compute_output_shape((None, 4)) == (None, 8)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    assert again.function is doubled and again.output_shape is doubled_shape
    assert si.nn.Lambda(lambda x: x[0], output_shape=(4,)).compute_output_shape([(None, 4), (None, 2)]) == (None, 4)


@pytest.mark.parametrize("number", range(len(golden.LAYERS)), ids=[f"{n} {c}" for n, c, _ in golden.LAYERS])
def test_a_batch_of_none_keeps_its_shape(number):
    name, config, shapes = golden.LAYERS[number]
    layer = getattr(layers, name)(**config)
    full = [np.ones(s, np.float32) for s in shapes]
    want = layer(full if len(full) > 1 else full[0]).shape
    empty = [x[:0] for x in full]
    assert layer(empty if len(empty) > 1 else empty[0]).shape == (0, *want[1:])


def test_functional_forms_make_layers():
    a, b = np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])
    want = {
        "add": [[4, 7]], "subtract": [[-2, 3]], "multiply": [[3, 10]], "average": [[2, 3.5]], "maximum": [[3, 5]], "minimum": [[1, 2]],
        "concatenate": [[1, 5, 3, 2]], "dot": [[13]],
    }  # fmt: skip
    for name, values in want.items():
        assert np.asarray(getattr(layers, name)([a, b])).tolist() == values
    x, y = si.nn.Input((3,)), si.nn.Input((2, 3))
    assert layers.add([x, y]).shape == (None, 2, 3) and layers.dot([x, y], axes=(1, 2)).shape == (None, 2)


def test_sparsemax_takes_masked_logits():
    got = np.asarray(activations.sparsemax(si.asarray([0.5, -np.inf, 1.0])))
    assert got.tolist() == [0.25, 0, 0.75]


@pytest.mark.parametrize(
    ("make", "slug", "text"),
    [
        (lambda: si.nn.ReLU(max_value=-1), "argument-range", "max_value"),
        (lambda: si.nn.LeakyReLU(None), "argument-range", "negative_slope"),
        (lambda: si.nn.ELU("big"), "argument-range", "alpha"),
        (lambda: si.nn.GaussianNoise(-1), "argument-range", "stddev"),
        (lambda: si.nn.Dropout(20), "dropout-rate", "Dropout(0.2)"),
        (lambda: si.nn.Dropout(0.5, noise_shape=(None, 2))(np.ones((4, 3))), "broadcast-shapes", "noise_shape"),
        (lambda: si.nn.Dropout(0.5, noise_shape=3), "argument-shape", "noise_shape"),
        (lambda: si.nn.Dropout(0.5, noise_shape=(0, 2)), "argument-shape", "(0, 2)"),
        (lambda: si.nn.Softmax(axis=2)(np.ones((4, 3))), "axis-out-of-range", "axis 2"),
        (lambda: si.nn.Softmax(axis="last"), "argument-integer", "'last'"),
        (lambda: si.nn.UnitNormalization(axis=-3)(np.ones((4, 3))), "axis-out-of-range", "axis -3"),
        (lambda: si.nn.PReLU()(si.nn.Input((None, 3))), "build-open-axis", "axis 1"),
        (lambda: si.nn.Rescaling("1/255"), "argument-range", "scale"),
        (lambda: si.nn.Normalization(axis=2)(np.ones((4, 3))), "axis-out-of-range", "axis 2"),
        (lambda: si.nn.Normalization(axis=0).prepare((None, 3)), "build-open-axis", "axis 0"),
        (lambda: si.nn.Normalization(mean=[1, 2], variance=[1, -2]), "normalization-values", "negative"),
        (lambda: si.nn.Normalization(mean=[1, 2], variance=[1, 2])(np.ones((4, 3))), "normalization-values", "(3,)"),
        (lambda: si.nn.Normalization(mean=1, variance=2).adapt(np.ones((4, 3))), "normalization-values", "adapt"),
        (lambda: si.nn.Normalization().adapt([np.ones((4, 3)), np.ones((4, 2))]), "normalization-values", "(4, 2)"),
        (lambda: si.nn.Normalization().adapt(np.ones((0, 3))), "data-empty", "adapt"),
        (lambda: si.nn.Normalization().adapt(["a", "b"]), "data-dtype", "adapt"),
        (lambda: si.nn.Add()([np.ones((2, 3)), np.ones((4, 3))]), "merge-shapes", "(4, 3)"),
        (lambda: si.nn.Add()(np.ones((2, 3))), "merge-inputs", "Add()([a, b])"),
        (lambda: si.nn.Concatenate(axis=5)([np.ones((2, 3))] * 2), "axis-out-of-range", "axis 5"),
        (lambda: si.nn.Dot(axes=(1, 2, 3)), "merge-inputs", "(1, 2, 3)"),
        (lambda: si.nn.Dot(axes=4)([np.ones((2, 3))] * 2), "axis-out-of-range", "axis 4"),
        (lambda: si.nn.Embedding(3, 2)(np.array([[1.5]])), "embedding-dtype", "1.5"),
        (lambda: si.nn.Embedding(3, 2)(np.array([[True]])), "embedding-dtype", "bool"),
        (lambda: si.nn.Embedding(3, 2)(np.array([[3]])), "embedding-range", "Embedding(4, 2)"),
        (lambda: si.nn.Activation("threshold"), "activation-unknown", "threshold"),
        (lambda: initializers.RandomNormal(stddev=-1), "argument-range", "stddev"),
        (lambda: initializers.RandomUniform(1, 0), "argument-range", "maxval"),
        (lambda: initializers.VarianceScaling(0), "argument-range", "scale"),
        (lambda: initializers.VarianceScaling(mode="fan"), "argument-choice", "fan"),
        (lambda: initializers.Orthogonal()((3,)), "initializer-shape", "(3,)"),
        (lambda: regularizers.L2(-1), "argument-range", "l2"),
        (lambda: regularizers.OrthogonalRegularizer()(si.ones((3,))), "initializer-shape", "(3,)"),
        (lambda: constraints.MinMaxNorm(rate=2), "argument-range", "rate"),
        (lambda: constraints.MaxNorm(axis=0.5), "argument-integer", "0.5"),
    ],
)
def test_mistakes_are_named(make, slug, text):
    with pytest.raises(UserError) as caught:
        make()
    assert caught.value.slug == slug
    assert text in str(caught.value)
