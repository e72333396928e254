"""Layers and losses for sequences, images and volumes against Keras' own values; derivatives against differences; copies and files."""

from __future__ import annotations

import copy
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
from insitu.arguments import parameters_of
from insitu.nn import layers, losses
from insitu.nn.layer import deserialize, serialize

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import keras_images as golden
from keras_layers import inputs

STORED = json.loads((GOLDEN / "keras_images.json").read_text())
IDS = [f"{n} {c} {s}" for n, c, s in golden.LAYERS]
each_layer = pytest.mark.parametrize("number", range(len(golden.LAYERS)), ids=IDS)
#: what belongs to Keras' own plumbing, and what it has left for the sake of TensorFlow
PLUMBING = {"trainable", "dtype", "activity_regularizer", "renorm", "renorm_clipping", "renorm_momentum", "synchronized"}
#: arguments that Keras does not have, or that have a default here only
EXTENSIONS = {
    "AveragePooling1D": ["pool_size"], "AveragePooling2D": ["pool_size"], "AveragePooling3D": ["pool_size"], "Cropping1D": ["data_format"],
    "LayerNormalization": ["rms_scaling"], "SpatialDropout1D": ["data_format"], "UpSampling1D": ["data_format", "interpolation"],
    "UpSampling3D": ["interpolation"],
}  # fmt: skip


def made(number: int, **more: object) -> layers.Layer:
    name, config, shape = golden.LAYERS[number]
    layer = getattr(layers, name)(**config, **more)
    layer(inputs([shape])[0])
    layer.set_weights(golden.layer_weights(layer))
    return layer


@each_layer
def test_layer_as_in_keras_and_its_copies(number):
    name, _, shape = golden.LAYERS[number]
    layer, x = made(number), inputs([shape])[0]
    got = np.asarray(layer(x))
    assert list(got.shape) == STORED["shapes"][number]
    np.testing.assert_allclose(got, np.reshape(STORED["layers"][number], got.shape), rtol=3e-5, atol=1e-5)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    again.set_weights(layer.get_weights())
    for other in (again, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert np.array_equal(np.asarray(other(x)), got)
        assert other.get_config() == layer.get_config()
    keys = set(STORED["configurations"][number]) - PLUMBING
    assert set(layer.get_config()) == keys | {*EXTENSIONS.get(name, ())}
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *got.shape[1:])
    assert type(layer).__name__ == name


#: the first of each class, and what has a path of its own
SLOPES = [k for k, (n, c, _) in enumerate(golden.LAYERS) if n not in {m for m, _, _ in golden.LAYERS[:k]} or "groups" in c or "strides" in c]


@pytest.mark.parametrize("number", SLOPES, ids=[IDS[k] for k in SLOPES])
def test_gradients_of_a_layer_against_differences(number):
    shape = golden.LAYERS[number][2]
    layer = made(number, dtype="float64")
    rng = np.random.default_rng(number)
    x = rng.permutation(np.prod(shape)).reshape(shape) / 10.0  # no ties, no steps of max_pool within a difference
    scale = rng.standard_normal(layer(x).shape)

    def total(x, *weights):
        for variable, value in zip(layer.weights, weights, strict=True):
            variable.assign(value)
        return si.sum(layer(x) * scale)

    leaves = [x, *layer.get_weights()]
    both = si.compile(si.value_and_grad(total, argnums=tuple(range(len(leaves)))))
    slopes = both(*leaves)[1]
    step = 1e-5
    for k, (leaf, slope) in enumerate(zip(leaves, slopes, strict=True)):
        towards = rng.standard_normal(leaf.shape)
        up, down = [[*leaves[:k], leaf + sign * step * towards, *leaves[k + 1 :]] for sign in (1, -1)]
        want = (float(both(*up)[0]) - float(both(*down)[0])) / (2 * step)
        np.testing.assert_allclose(np.sum(np.asarray(slope) * towards), want, rtol=1e-5, atol=1e-6)


def test_batch_normalization_in_training_as_in_keras():
    numbers = [k for k, (name, _, _) in enumerate(golden.LAYERS) if name == "BatchNormalization"]
    for number, (want, *moved) in zip(numbers, STORED["trained"], strict=True):
        layer = made(number)
        np.testing.assert_allclose(layer(inputs([golden.LAYERS[number][2]])[0], training=True), want, rtol=3e-5, atol=1e-5)
        for got, expected in zip(layer.get_weights(), moved, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", range(len(golden.RESIZED)))
def test_resize_as_in_keras(number):
    shape, size, method = golden.RESIZED[number]
    x = inputs([shape])[0]
    want = np.asarray(STORED["resized"][number])
    np.testing.assert_allclose(si.resize(x, size, method=method), want, rtol=1e-5, atol=2e-6)
    first = si.resize(np.moveaxis(x, -1, 1), size, method=method, data_format="channels_first")
    np.testing.assert_allclose(np.moveaxis(np.asarray(first), 1, -1), want, rtol=1e-5, atol=2e-6)


# -- losses ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", range(len(golden.LOSSES)), ids=[f"{n} {c}" for n, c in golden.LOSSES])
def test_loss_as_in_keras(number):
    name, config = golden.LOSSES[number]
    y, p = golden.loss_inputs(name, config)
    total, each = STORED["losses"][number]
    loss = getattr(losses, name)(**config)
    np.testing.assert_allclose(loss(y, p), total, rtol=2e-5)
    np.testing.assert_allclose(getattr(losses, name)(**config, reduction=None)(y, p), each, rtol=2e-5, atol=1e-7)
    function = next(f for f, cls in losses.FUNCTIONS.items() if cls is type(loss))
    np.testing.assert_allclose(function(y, p, **config), each, rtol=2e-5, atol=1e-7)
    again = losses.get(json.loads(json.dumps(losses.serialize(loss))))
    assert again.get_config() == loss.get_config() and float(again(y, p)) == float(loss(y, p))


@pytest.mark.parametrize("number", range(len(golden.LOSSES)), ids=[f"{n} {c}" for n, c in golden.LOSSES])
def test_gradient_of_a_loss_against_differences(number):
    name, config = golden.LOSSES[number]
    y, p = [v.astype(np.float64) for v in golden.loss_inputs(name, config)]
    loss, towards = getattr(losses, name)(**config), np.random.default_rng(number).standard_normal(p.shape)
    slope = np.asarray(si.grad(lambda q: loss(y, q))(si.asarray(p)))
    step = 1e-6
    want = (float(loss(y, p + step * towards)) - float(loss(y, p - step * towards))) / (2 * step)
    np.testing.assert_allclose(np.sum(slope * towards), want, rtol=1e-5, atol=1e-8)


#: -(1 - p)**2 * log(p) for the probability p of what is true, and that of p in the cross-entropy
@pytest.mark.parametrize("p", [0.9, 0.99])
def test_focal_loss_of_easy_examples(p):
    cross_entropy = -math.log(p)
    focal = (1 - p) ** 2 * cross_entropy
    assert math.isclose(cross_entropy / focal, {0.9: 100, 0.99: 10000}[p], rel_tol=1e-9)
    y, probability = np.array([[1.0], [0.0]]), np.array([[p], [1 - p]])
    rows, probabilities = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[p, 1 - p], [1 - p, p]])
    binary = losses.BinaryFocalCrossentropy(gamma=2, reduction="none")(y, probability)
    np.testing.assert_allclose(binary, [focal, focal], rtol=1e-9)
    balanced = losses.BinaryFocalCrossentropy(True, alpha=0.25, gamma=2, reduction="none")(y, probability)
    np.testing.assert_allclose(balanced, [0.25 * focal, 0.75 * focal], rtol=1e-9)
    categorical = losses.CategoricalFocalCrossentropy(alpha=[0.25, 0.75], gamma=2, reduction="none")(rows, probabilities)
    np.testing.assert_allclose(categorical, [0.25 * focal, 0.75 * focal], rtol=1e-9)
    np.testing.assert_allclose(losses.BinaryFocalCrossentropy(gamma=0, reduction="none")(y, probability), [cross_entropy] * 2, rtol=1e-9)


def test_focal_losses_compute_from_the_logits_that_training_remembers():
    z = np.array([[30.0, -40.0], [-50.0, 60.0]], np.float32)
    y = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    for activation, loss in (("sigmoid", losses.BinaryFocalCrossentropy()), ("softmax", losses.CategoricalFocalCrossentropy(alpha=1.0))):
        with si.nn.activations.remember_logits():
            got = loss(y, si.nn.activations.get(activation)(si.asarray(z)))
        want = np.mean([[30, 40], [50, 60]] if activation == "sigmoid" else [70, 110])
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_total_variation_is_the_sum_of_distances_of_neighbours():
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3))
    want = [sum(np.abs(np.diff(one, axis=k)).sum() for k in (0, 1)) for one in x]
    np.testing.assert_allclose(losses.total_variation(x), want, rtol=1e-12)
    np.testing.assert_allclose(losses.total_variation(np.moveaxis(x, -1, 1), "channels_first"), want, rtol=1e-12)
    np.testing.assert_allclose(losses.total_variation(x[:, 0]), [np.abs(np.diff(one, axis=0)).sum() for one in x[:, 0]], rtol=1e-12)


def test_a_mask_is_learned_with_dice():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((32, 8, 8, 1)).astype(np.float32)
    model = si.nn.Sequential([si.nn.Conv2D(1, 1, activation="sigmoid", kernel_initializer="ones")])
    model.compile(si.optim.Adam(0.5), losses.Dice(axis=(1, 2, 3)))
    history = model.fit(x, (x > 0).astype(np.float32), epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.1 < history[0]


def test_signatures_are_those_of_keras():
    def plain(default):  # (2, 2) means what 2 means
        while isinstance(default, list | tuple) and default and all(d == default[0] for d in default):
            default = default[0]
        return default

    common = parameters_of(layers.Layer)
    for name, arguments in STORED["signatures"]["layers"].items():
        ours = {n: "required" if p.default is p.empty else plain(p.default) for n, p in parameters_of(getattr(layers, name)).items()}
        want = {n: plain(d) for n, d in arguments if n not in {*common, *PLUMBING}}
        got = {n: d for n, d in ours.items() if n not in {*common, "noise_shape"}}
        more = {n: got.pop(n) for n in EXTENSIONS.get(name, ())}
        assert list(got.items()) == [(n, d) for n, d in want.items() if n not in more], name
        assert "required" not in more.values()
    for name, arguments in STORED["signatures"]["losses"].items():
        assert golden.signature(getattr(losses, name)) == [[n, d] for n, d in arguments if n != "dtype"], name


def test_keras_still_gives_the_stored_values():
    step = 39  # some of them: each takes a while there
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, str(GOLDEN / "keras_images.py"), str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("signatures") == STORED["signatures"]
    del found["trained"]  # all or nothing, by where they stand
    for part in ("configurations", "shapes"):
        assert found.pop(part) == STORED[part][::step]
    for part, values in found.items():
        for got, want in zip(flat(values), flat(STORED[part][::step]), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def flat(values):
    """The numbers of nested lists, which need not be arrays."""
    return [n for v in values for n in flat(v)] if isinstance(values, list) else [values]


@pytest.mark.parametrize(
    ("make", "shape", "options"),
    [
        (lambda: si.nn.BatchNormalization(dtype="float64"), (4, 2, 3), {"training": True}),
        (lambda: si.nn.BatchNormalization(axis=1, dtype="float64"), (2, 3, 4), {"training": True}),
        (lambda: si.nn.LayerNormalization(axis=(1, 2), dtype="float64"), (2, 3, 4), {}),
        (lambda: si.nn.GroupNormalization(2, dtype="float64"), (2, 3, 4), {}),
    ],
)
def test_normalizations_have_second_derivatives(make, shape, options):
    layer, rng = make(), np.random.default_rng(5)
    x, scale, towards = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(shape)
    layer(x)
    slope = si.grad(lambda v: si.sum(layer(v, **options) * scale))
    curve = np.asarray(si.grad(lambda v: si.sum(slope(v) * towards))(si.asarray(x)))
    step = 1e-5
    want = (np.asarray(slope(si.asarray(x + step * towards))) - np.asarray(slope(si.asarray(x - step * towards)))) / (2 * step)
    np.testing.assert_allclose(curve, want, rtol=1e-6, atol=1e-7)


def test_batch_statistics_do_not_cancel():
    x = (np.random.default_rng(0).standard_normal((64, 3)) + [0, 300, -3000]).astype(np.float32)
    layer = si.nn.BatchNormalization(momentum=0.0)
    y = np.asarray(layer(x, training=True), np.float64)
    np.testing.assert_allclose(layer.moving_variance.numpy(), x.astype(np.float64).var(0), rtol=1e-5)
    assert abs(y.mean(0)).max() < 1e-3 and abs(y.std(0) - 1).max() < 1e-3


def test_batch_normalization_keeps_its_statistics_where_it_should():
    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32) * 3 + 1
    layer = si.nn.BatchNormalization()
    layer(x)
    before = layer.get_weights()
    layer(x[:0], training=True)
    layer.trainable = False
    assert np.array_equal(np.asarray(layer(x, training=True)), np.asarray(layer(x)))
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before, strict=True))
    layer.trainable = True
    model = si.nn.Sequential([si.nn.Input((3,)), layer, si.nn.Dense(1)])
    model.compile(si.optim.SGD(0.0), "mse")
    model.fit(x, np.zeros((8, 1)), batch_size=8, epochs=400, verbose=0)
    moved = dict(zip(["gamma", "beta", "mean", "variance"], layer.get_weights(), strict=True))
    assert np.array_equal(moved["gamma"], before[0]) and np.array_equal(moved["beta"], before[1])
    np.testing.assert_allclose(moved["mean"], x.mean(0) * (1 - 0.99**400), rtol=1e-4)
    np.testing.assert_allclose(moved["variance"], x.var(0) * (1 - 0.99**400) + 0.99**400, rtol=1e-4)
