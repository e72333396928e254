"""Layers, activations, regularizers and constraints against Keras' own values; gradients; configurations and copies of every class."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import math
import os
import pickle
import subprocess
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
import keras_images as golden_images
import keras_layers as golden

STORED = json.loads((GOLDEN / "keras_layers.json").read_text())


@pytest.mark.parametrize("name", golden.ACTIVATIONS)
def test_activation_as_in_keras(name):
    x = golden.inputs([[5, 8]])[0]
    want = STORED["activations"][golden.ACTIVATIONS.index(name)]
    np.testing.assert_allclose(activations.get(name)(si.asarray(x)), want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("number", range(len(golden.WITH_ARGUMENTS)), ids=[n for n, _ in golden.WITH_ARGUMENTS])
def test_activation_with_arguments_as_in_keras(number):
    name, config = golden.WITH_ARGUMENTS[number]
    got = getattr(activations, name)(si.asarray(golden.inputs([[5, 8]])[0]), **config)
    np.testing.assert_allclose(got, STORED["with arguments"][number], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", golden.ACTIVATIONS)
def test_activation_at_extremes_as_in_keras(name):
    want = np.array(STORED["extremes"][golden.ACTIVATIONS.index(name)], np.float32)
    got = np.asarray(getattr(activations, name)(si.asarray(np.array(golden.EXTREMES, np.float32))))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", sorted(activations.TABLE))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_activation_keeps_the_dtype(name, dtype):
    x = np.linspace(-3, 3, 12).astype(dtype).reshape(2, 6)
    got = activations.TABLE[name](si.asarray(x))
    assert got.dtype.name == dtype
    exact = np.asarray(activations.TABLE[name](si.asarray(x.astype(np.float64))))
    tolerance = {"float16": 4e-3, "float32": 2e-6, "float64": 0}[dtype]
    np.testing.assert_allclose(np.asarray(got).astype(np.float64), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("softplus", 0.5),
        ("log_sigmoid", 0.5),
        ("mish", 0.6),
        ("silu", 0.5),
        ("gelu", 0.5),
        ("elu", 1),
        ("softsign", 1),
        ("sigmoid", 0.25),
        ("relu", 0),
    ],
)
def test_slope_at_zero(name, slope):
    got = si.grad(lambda x: si.sum(activations.TABLE[name](x)))(si.zeros((3,)))
    np.testing.assert_allclose(got, [slope] * 3, rtol=1e-6)


def test_softplus_has_a_second_derivative():
    slope = si.grad(lambda x: si.sum(activations.softplus(x)))
    x = np.array([-30.0, -1.0, 0.0, 1.0, 30.0])
    got = si.grad(lambda v: si.sum(slope(v)))(si.asarray(x))
    p = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(got, p * (1 - p), rtol=1e-9, atol=1e-12)


def test_signatures_are_those_of_keras():
    # what belongs to masks, quantization and Keras' own plumbing is left out
    missing = {
        "mask", "lora_rank", "lora_alpha", "quantization_config", "mask_zero", "weights", "input_axes", "output_axes",
    }  # fmt: skip
    for part, names in STORED["signatures"].items():
        for name, arguments in names.items():
            ours = golden.signature(getattr(getattr(si.nn, part), name))
            want = [[n, d.lower() if d == "Zeros" else d] for n, d in arguments if n not in missing]
            assert ours == want, (part, name)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    # Keras 3 sums cumulative sums here, so its rows need not add up to 1; the projection is found by bisection instead
    x = golden.inputs([[20, 8]])[0].astype(np.float64)
    for row, got in zip(x, np.asarray(activations.sparsemax(si.asarray(x))), strict=True):
        low, high = row.min() - 1, row.max()
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(row - middle, 0).sum() > 1 else (low, middle)
        np.testing.assert_allclose(got, np.maximum(row - low, 0), atol=1e-9)


@pytest.mark.parametrize("name", sorted(activations.TABLE))
def test_gradient_of_activation_against_differences(name):
    f = activations.TABLE[name]
    x = np.random.default_rng(1).standard_normal((3, 6)) * 1.7
    scale = np.random.default_rng(2).standard_normal(np.asarray(f(si.asarray(x))).shape)

    def total(v):
        return si.sum(f(v) * scale)

    got = np.asarray(si.grad(total)(si.asarray(x)))
    step = 1e-6
    for i, j in np.ndindex(*x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][i, j] += step
        moved[1][i, j] -= step
        want = (float(total(si.asarray(moved[0]))) - float(total(si.asarray(moved[1])))) / (2 * step)
        assert math.isclose(got[i, j], want, rel_tol=2e-5, abs_tol=2e-7), (name, x[i, j])


@pytest.mark.parametrize("number", range(len(golden.LAYERS)), ids=[f"{n} {c}" for n, c, _ in golden.LAYERS])
def test_layer_as_in_keras_and_its_copies(number):
    name, config, shapes = golden.LAYERS[number]
    layer = getattr(layers, name)(**config)
    given = golden.inputs(shapes)
    x = given[0] if len(given) == 1 else given
    layer(x)
    if layer.trainable_weights:
        layer.set_weights(golden.weights([tuple(w.shape) for w in layer.weights]))
    got = np.asarray(layer(x))
    np.testing.assert_allclose(got, STORED["layers"][number], rtol=3e-5, atol=3e-6)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    again.set_weights(layer.get_weights())
    for other in (again, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert np.array_equal(np.asarray(other(x)), got)
        assert other.get_config() == layer.get_config()
    # the keys of Keras but for those of its own plumbing
    keys = set(STORED["configurations"][number]) - {"trainable", "dtype", "quantization_config", "activity_regularizer"}
    assert set(layer.get_config()) == keys
    shape = [(None, *s[1:]) for s in shapes]
    assert layer.compute_output_shape(shape[0] if len(shape) == 1 else shape)[1:] == got.shape[1:]


def test_every_layer_class_is_compared_or_named_here():
    apart = {"Input", "Layer", "Embedding", "Lambda", "GaussianDropout", "GaussianNoise", "ActivityRegularization"}
    augmenting = {*layers.augmenting.__all__, *layers.sizing.__all__}  # see test_nn_augmenting.py
    classes = {getattr(layers, n).__name__ for n in layers.__all__ if inspect.isclass(getattr(layers, n))} | {"Input"}
    assert classes == {name for name, _, _ in [*golden.LAYERS, *golden_images.LAYERS]} | apart | augmenting


@pytest.mark.parametrize("number", range(len(golden.REGULARIZERS)))
def test_regularizer_as_in_keras(number):
    name, config = golden.REGULARIZERS[number]
    made = getattr(regularizers, name)(**config)
    matrix = si.asarray(golden.inputs([[4, 3]])[0])
    np.testing.assert_allclose(float(made(matrix)), STORED["regularizers"][number], rtol=1e-5)
    assert repr(regularizers.get(json.loads(json.dumps(regularizers.serialize(made))))) == repr(made)


@pytest.mark.parametrize("number", range(len(golden.CONSTRAINTS)))
def test_constraint_as_in_keras(number):
    name, config = golden.CONSTRAINTS[number]
    made = getattr(constraints, name)(**config)
    matrix = si.asarray(golden.inputs([[4, 3]])[0])
    np.testing.assert_allclose(made(matrix), STORED["constraints"][number], rtol=1e-5, atol=1e-7)
    assert repr(constraints.get(json.loads(json.dumps(constraints.serialize(made))))) == repr(made)


@pytest.mark.skipif(not importlib.util.find_spec("keras") or not importlib.util.find_spec("jax"), reason="Keras with JAX is not installed")
def test_keras_still_gives_the_stored_values():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, str(GOLDEN / "keras_layers.py")], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("signatures") == STORED["signatures"] and found.pop("configurations") == STORED["configurations"]
    for part, values in found.items():
        for got, want in zip(flat(values), flat(STORED[part]), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def flat(values):
    """The numbers of nested lists, which need not be arrays."""
    return [n for v in values for n in flat(v)] if isinstance(values, list) else [values]


# -- layers with random numbers, tables, functions ------------------------------------------------------
def test_dropout_drops_its_share_in_training_only():
    layer = si.nn.Dropout(0.25, seed=1)
    x = np.ones((200, 100), np.float32)
    assert np.array_equal(np.asarray(layer(x)), x)
    y = np.asarray(layer(x, training=True))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert not np.array_equal(np.asarray(layer(x, training=True)), y)
    shared = np.asarray(si.nn.Dropout(0.5, noise_shape=(None, 1), seed=2)(x, training=True))
    assert np.array_equal(shared, np.broadcast_to(shared[:, :1], shared.shape)) and 0 < (shared == 0).mean() < 1


def test_noise_has_the_moments_of_its_formula():
    x = np.full((300, 300), 2.0, np.float32)
    added = np.asarray(si.nn.GaussianNoise(0.5, seed=3)(x, training=True)) - x
    assert abs(added.mean()) < 0.01 and abs(added.std() - 0.5) < 0.01
    times = np.asarray(si.nn.GaussianDropout(0.2, seed=3)(x, training=True)) / x
    assert abs(times.mean() - 1) < 0.01 and abs(times.std() - 0.5) < 0.01
    assert np.array_equal(np.asarray(si.nn.GaussianNoise(0.5)(x)), x)


def test_random_layers_follow_the_seed_and_keep_their_state():
    def drawn():
        si.random.seed(7)
        return np.asarray(si.nn.Dropout(0.5)(np.ones((4, 8), np.float32), training=True))

    assert np.array_equal(drawn(), drawn())
    layer = si.nn.Dropout(0.5, seed=0)
    layer(np.ones((2, 8)), training=True)
    copied = pickle.loads(pickle.dumps(layer))
    assert np.array_equal(np.asarray(layer(np.ones((2, 8)), training=True)), np.asarray(copied(np.ones((2, 8)), training=True)))


def test_embedding_takes_rows_and_its_gradient_adds_up():
    layer = si.nn.Embedding(5, 3)
    words = np.array([[0, 4, 4], [1, 4, 0]])
    table = layer(words) is not None and layer.get_weights()[0]
    assert np.array_equal(np.asarray(layer(words)), table[words])
    assert np.array_equal(np.asarray(layer(words.astype(np.float32))), table[words])
    kernel = layer.weights[0]
    grad = np.asarray(si.grad(lambda t: si.sum(si.take(t, si.asarray(words), axis=0)))(kernel.value))
    np.testing.assert_array_equal(grad[:, 0], np.bincount(words.ravel(), minlength=5))
    model = si.nn.Sequential([si.nn.Embedding(5, 3), si.nn.Flatten(), si.nn.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(words, np.ones((2, 1)), epochs=3, verbose=0).history["loss"][2] < 2


def test_normalization_adapts():
    x = np.random.default_rng(0).standard_normal((50, 3)) * [1, 5, 9] + [0, 3, 7]
    layer = si.nn.Normalization()
    layer.adapt(x)
    y = np.asarray(layer(x))
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-5)


def test_activity_regularization_adds_per_example():
    model = si.nn.Sequential([si.nn.Input((2,)), si.nn.ActivityRegularization(l2=0.5)])
    model.compile("sgd", "mse")
    x = np.array([[1.0, 2.0], [3.0, 0.0]], np.float32)
    np.testing.assert_allclose(model.evaluate(x, x, verbose=0), 0.5 * (x**2).sum() / 2, rtol=1e-6)


@si.nn.register("tests.twice")
def twice(x, by=2):
    return x * by


def test_lambda_is_stored_by_the_name_of_its_function(tmp_path):
    model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Lambda(twice, arguments={"by": 3})])
    model.save(tmp_path / "m")
    assert np.array_equal(si.load(tmp_path / "m").predict(np.ones((1, 3))), np.full((1, 3), 3))
    plain = si.nn.Sequential([si.nn.Input((3,)), si.nn.Lambda(lambda x: x)])
    with pytest.raises(UserError) as caught:
        plain.save(tmp_path / "n")
    assert caught.value.slug == "save-function" and not (tmp_path / "n").exists()


# -- initializers ------------------------------------------------------------------------------------------
def test_initializers_have_the_variance_of_their_formulas():
    shape = (300, 200)
    for name, variance, bound in [
        ("glorot_uniform", 2 / 500, math.sqrt(6 / 500)), ("glorot_normal", 2 / 500, None), ("he_uniform", 2 / 300, math.sqrt(6 / 300)),
        ("he_normal", 2 / 300, None), ("lecun_uniform", 1 / 300, math.sqrt(3 / 300)), ("lecun_normal", 1 / 300, None),
        ("random_normal", 0.05**2, None), ("random_uniform", 0.1**2 / 12, 0.05),
    ]:  # fmt: skip
        w = np.asarray(initializers.get(name)(shape))
        assert abs(w.mean()) < 0.03 * math.sqrt(variance) and abs(w.var() / variance - 1) < 0.03, name
        if bound is not None:
            assert np.abs(w).max() <= bound
    cut = np.asarray(initializers.TruncatedNormal(1.0, 0.5)(shape))
    assert np.abs(cut - 1).max() <= 1.0 and abs(cut.std() - 0.5 * 0.8796) < 0.01
    for shape in ((6, 4), (4, 6), (2, 3, 4)):
        q = np.asarray(initializers.Orthogonal(gain=2.0)(shape)).reshape(-1, shape[-1])
        product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)
    np.testing.assert_array_equal(initializers.get("identity")((2, 3)), np.eye(2, 3))
    np.testing.assert_array_equal(initializers.get(np.ones((2, 2)))((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("name", sorted(set(initializers.__all__) - {"Given", "Initializer", "get", "serialize"}))
def test_initializers_round_trip_with_their_seed(name):
    cls = getattr(initializers, name)
    made = cls(seed=5) if "seed" in inspect.signature(cls.__init__).parameters else cls()
    again = initializers.get(json.loads(json.dumps(initializers.serialize(made))))
    assert type(again) is cls and np.array_equal(np.asarray(made((3, 3))), np.asarray(again((3, 3))))


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda: si.nn.Dense(3, activaton="relu"), "argument-unknown"),
        (lambda: si.nn.Dropout(1.0), "dropout-rate"),
        (lambda: si.nn.Embedding(0, 3), "embedding-dimensions"),
        (lambda: si.nn.Reshape((3, 3))(np.ones((2, 8))), "reshape-example"),
        (lambda: si.nn.Permute((1, 3)), "permute-dims"),
        (lambda: si.nn.RepeatVector(2)(np.ones((2, 3, 4))), "repeat-input"),
        (lambda: si.nn.Add()([np.ones((2, 3)), np.ones((2, 4))]), "merge-shapes"),
        (lambda: si.nn.Subtract()([np.ones((2, 3))] * 3), "merge-inputs"),
        (lambda: si.nn.Dot(axes=1)([np.ones((2, 3)), np.ones((2, 4))]), "merge-shapes"),
        (lambda: si.nn.Lambda("relu"), "lambda-function"),
        (lambda: initializers.get("glorot"), "initializer-unknown"),
        (lambda: regularizers.get("l3"), "regularizer-unknown"),
        (lambda: constraints.get("maxnrm"), "constraint-unknown"),
        (lambda: si.nn.Activation("rellu"), "activation-unknown"),
    ],
)
def test_mistakes_are_named(make, slug):
    with pytest.raises(UserError) as caught:
        make()
    assert caught.value.slug == slug
