"""Layers and losses for sequences, images and volumes against Keras' own values; derivatives against differences; copies and files."""

from __future__ import annotations

import copy
import importlib.util
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
from insitu.errors import UserError
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


#: the first of each class: derivatives of windows are in test_array_convolution.py
SLOPES = [k for k, (n, _, _) in enumerate(golden.LAYERS) if n not in {m for m, _, _ in golden.LAYERS[:k]}]


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


@pytest.mark.skipif(not importlib.util.find_spec("keras") or not importlib.util.find_spec("jax"), reason="Keras with JAX is not installed")
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


@pytest.mark.parametrize("make", [si.nn.BatchNormalization, si.nn.LayerNormalization, lambda: si.nn.GroupNormalization(2)])
def test_normalizations_count_their_axis_in_each_input(make):
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 4)).astype(np.float32)
    layer, alone = make(), make()
    layer(x[:, 0, 0] * 0)
    assert np.array_equal(layer(x, training=True), alone(x, training=True))
    layer(x[:, 0] * 0)
    assert np.array_equal(layer(x[0]), alone(x[0]))


def test_a_normalization_of_more_axes_than_before_is_refused():
    layer = si.nn.LayerNormalization(axis=(1, -1))
    layer(si.ones((2, 4)))
    with pytest.raises(UserError) as caught:
        layer(si.ones((2, 4, 4)))
    assert caught.value.slug == "normalization-input"


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


def test_a_model_of_image_layers_is_trained_saved_and_loaded(tmp_path):
    def branch(x, data_format):
        axis = 1 if data_format == "channels_first" else -1
        y = si.nn.Conv2D(8, 3, padding="same", data_format=data_format, use_bias=False, name=f"first {axis}")(x)
        y = si.nn.ReLU()(si.nn.BatchNormalization(axis=axis)(y))
        y = si.nn.SpatialDropout2D(0.2, data_format=data_format)(si.nn.MaxPooling2D(data_format=data_format)(y))
        y = si.nn.UpSampling2D(interpolation="bilinear", data_format=data_format)(si.nn.SeparableConv2D(8, 3, data_format=data_format)(y))
        return si.nn.GlobalAveragePooling2D(data_format=data_format)(si.nn.GroupNormalization(4, axis=axis)(y))

    pictures = si.nn.Input((8, 8, 1))
    last = branch(pictures, "channels_last")
    first = branch(si.nn.Permute((3, 1, 2))(pictures), "channels_first")
    model = si.nn.Model(pictures, si.nn.Dense(10, activation="softmax")(si.nn.Concatenate()([last, first])))
    (x, y), _ = si.data.digits()
    x, y = x[:320].reshape(320, 8, 8, 1), y[:320]
    model.compile(si.optim.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    values = model.fit(x, y, epochs=6, verbose=0).history["loss"]
    assert values[-1] < 0.7 * values[0]
    model.save(tmp_path / "m.insitu")
    again = si.load(tmp_path / "m.insitu")
    assert np.array_equal(again.predict(x[:7], verbose=0), model.predict(x[:7], verbose=0))
    assert [w.name for w in again.weights] == [w.name for w in model.weights]


@pytest.mark.parametrize(
    ("make", "shape", "slug", "text", "fix"),
    [
        (
            lambda: si.nn.Conv2D(4, 3, name="c"), (2, 28, 28), "conv-input-rank",
            'Conv2D "c" needs images of shape (height, width, channels), but each example has shape (28, 28).',
            "add a channel axis: x[..., None]  →  (batch, 28, 28, 1)",
        ),
        (
            lambda: si.nn.MaxPooling2D(data_format="channels_first", name="p"), (2, 28, 28), "conv-input-rank",
            'MaxPooling2D "p" needs images of shape (channels, height, width), but each example has shape (28, 28).',
            "add a channel axis: x[:, None]  →  (batch, 1, 28, 28)",
        ),
        (
            lambda: si.nn.Conv1D(4, 3, name="c"), (2, 5), "conv-input-rank",
            'Conv1D "c" needs sequences of shape (steps, channels), but each example has shape (5,).',
            "add a channel axis: x[..., None]  →  (batch, 5, 1)",
        ),
        (
            lambda: si.nn.GlobalAveragePooling3D(name="g"), (2, 7), "conv-input-rank",
            'GlobalAveragePooling3D "g" needs volumes of shape (depth, height, width, channels), but each example has shape (7,).',
            "give each example the shape (depth, height, width, channels), by si.reshape or a Reshape layer",
        ),
        (
            lambda: si.nn.SpatialDropout1D(0.5, name="s"), (2, 3, 4, 5), "conv-input-rank",
            'SpatialDropout1D "s" needs sequences of shape (steps, channels), but each example has shape (3, 4, 5).',
            "use the layer for images, or give each example the shape (steps, channels), by si.reshape or a Reshape layer",
        ),
        (
            lambda: si.nn.Conv2D(4, 5, dilation_rate=2, name="c"), (2, 8, 9, 1), "conv-window",
            'Conv2D "c": the window covers 9 positions, but axis 1 of the input has 8.',
            'use a smaller window, larger pictures, or padding="same"',
        ),
        (
            lambda: si.nn.AveragePooling2D(3, data_format="channels_first", name="a"), (2, 8, 4, 2), "conv-window",
            'AveragePooling2D "a": the window covers 3 positions, but axis 3 of the input has 2.',
            'use a smaller window, larger pictures, or padding="same"',
        ),
        (
            lambda: si.nn.Conv2D(4, 3, groups=2, name="c"), (2, 8, 8, 3), "conv-groups",
            'Conv2D "c": 3 channels cannot be cut into 2 equal groups.', "choose groups that divide the channels and the filters",
        ),
        (
            lambda: si.nn.Cropping1D((2, 3), name="c"), (2, 5, 1), "cropping-extent",
            'Cropping1D "c" takes 5 positions off axis 1, which has 5.', "crop less, or pass larger grids",
        ),
        (
            lambda: si.nn.GroupNormalization(4, name="g"), (2, 6), "normalization-groups",
            'GroupNormalization "g": axis 1 of 6 places cannot be cut into 4 equal groups.',
            "choose groups that divide the channels, such as groups=1, or groups=-1 for one for each channel",
        ),
        (
            lambda: si.nn.BatchNormalization(axis=3, name="b"), (2, 6), "axis-out-of-range",
            'BatchNormalization "b": axis 3 does not exist in an array of 2 axes.', "use -1 for the last axis",
        ),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_named_word_for_word(make, shape, slug, text, fix):
    with pytest.raises(UserError) as caught:
        make()(np.ones(shape, np.float32))
    assert (caught.value.slug, str(caught.value).splitlines()[0], caught.value.fix) == (slug, text, fix)


@pytest.mark.parametrize(
    ("layer", "first", "second", "text", "fix"),
    [
        (
            lambda: si.nn.Conv2D(4, 3, name="c"), (2, 8, 8, 3), (2, 8, 8, 1),
            'Conv2D "c" was built for 3 channels, but this input has 1.', "pass images with 3 channels, or build a new model",
        ),
        (
            lambda: si.nn.DepthwiseConv2D(3, name="d"), (2, 8, 8, 3), (2, 3, 8, 8),
            'DepthwiseConv2D "d" was built for 3 channels, but this input has 8.',
            'the channels seem to stand elsewhere: DepthwiseConv2D(..., data_format="channels_first")',
        ),
        (
            lambda: si.nn.Conv1DTranspose(4, 3, data_format="channels_first", name="t"), (2, 1, 8), (2, 2, 8),
            'Conv1DTranspose "t" was built for 1 channel, but this input has 2.', "pass sequences with 1 channel, or build a new model",
        ),
    ],
)  # fmt: skip
def test_other_channels_than_before_are_named_word_for_word(layer, first, second, text, fix):
    made = layer()
    made(np.ones(first, np.float32))
    with pytest.raises(UserError) as caught:
        made(np.ones(second, np.float32))
    assert (caught.value.slug, str(caught.value).splitlines()[0], caught.value.fix) == ("conv-input-channels", text, fix)


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda: si.nn.Conv2D(0, 3), "argument-integer"),
        (lambda: si.nn.Conv2D(4, (3, 3, 3)), "conv-per-axis"),
        (lambda: si.nn.Conv2D(4, 3, strides=0), "conv-per-axis"),
        (lambda: si.nn.Conv2D(4, 3, padding="causal"), "conv-padding"),
        (lambda: si.nn.Conv1D(4, 3, padding="full"), "conv-padding"),
        (lambda: si.nn.Conv2D(4, 3, data_format="NHWC"), "argument-choice"),
        (lambda: si.nn.Conv2D(5, 3, groups=2), "conv-groups"),
        (lambda: si.nn.Conv2DTranspose(4, 3, strides=2, output_padding=2), "conv-output-padding"),
        (lambda: si.nn.ZeroPadding2D((1, 2, 3)), "grid-frame"),
        (lambda: si.nn.ZeroPadding1D(-1), "grid-frame"),
        (lambda: si.nn.Cropping2D((1.5, 2)), "grid-frame"),
        (lambda: si.nn.UpSampling2D(interpolation="cubic"), "argument-choice"),
        (lambda: si.nn.BatchNormalization(momentum=1.5), "argument-range"),
        (lambda: si.nn.SpatialDropout2D(1.0), "dropout-rate"),
        (lambda: si.nn.Conv2D(4, 3)(si.nn.Input((8, 8, None))), "build-open-axis"),
        (lambda: si.nn.losses.BinaryFocalCrossentropy(alpha=2.0), "argument-range"),
        (lambda: si.nn.losses.total_variation(np.ones((3, 3))), "conv-input-rank"),
    ],
)
def test_wrong_arguments_are_refused(make, slug):
    with pytest.raises(UserError) as caught:
        make()
    assert caught.value.slug == slug


def test_names_of_padding_may_be_written_in_capitals():
    for layer in (si.nn.Conv2D(2, 3, padding="SAME"), si.nn.MaxPooling2D(2, padding="SAME"), si.nn.Conv2DTranspose(2, 3, padding="Same")):
        assert layer.get_config()["padding"] == "same" and layer(si.ones((1, 5, 5, 1))).shape[1:3] in ((5, 5), (3, 3))
    assert si.conv(si.ones((1, 5, 1)), si.ones((2, 1, 1)), padding="CAUSAL").shape == (1, 5, 1)


def test_causal_padding_is_offered_for_sequences():
    with pytest.raises(UserError, match='padding must be "valid", "same" or for sequences "causal"'):
        si.nn.Conv2D(2, 3, padding="full")


def test_focal_loss_is_named_where_targets_do_not_fit():
    with pytest.raises(UserError, match="binary_focal_crossentropy"):
        si.nn.losses.BinaryFocalCrossentropy()(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.parametrize(
    "make", [lambda: si.nn.GaussianNoise(0.5, seed=0), lambda: si.nn.GaussianDropout(0.5, seed=0), lambda: si.nn.Dropout(0.5, seed=0)]
)
def test_noise_makes_whole_numbers_floating_in_training_or_not(make):
    x = np.full((4, 100), 7, np.uint8)
    shown = make()(x, training=True)
    assert shown.dtype.name == make()(x).dtype.name == make()(si.nn.Input((3,), dtype="uint8")).dtype.name == "float32"
    assert np.array_equal(shown, make()(x.astype(np.float32), training=True))


def test_unit_vectors_of_whole_numbers_and_of_half_precision():
    assert np.allclose(np.asarray(si.nn.UnitNormalization()(np.asarray([[3, 4]]))), [[0.6, 0.8]])
    half = si.nn.UnitNormalization(dtype="float16")(np.asarray([[300, 400]], np.float16))
    assert half.dtype.name == "float16" and np.allclose(np.asarray(half, np.float32), [[0.6, 0.8]], atol=1e-3)


def test_open_extents_stay_open():
    x = si.nn.Input((None, None, 3))
    y = si.nn.MaxPooling2D(3, strides=2, padding="same")(si.nn.Conv2D(4, 7)(x))
    assert y.shape == (None, None, None, 4)
    assert si.nn.UpSampling2D((2, 3), interpolation="bilinear")(y).shape == (None, None, None, 4)
    assert si.nn.AdaptiveAveragePooling2D(2)(y).shape == (None, 2, 2, 4)
    model = si.nn.Model(x, si.nn.GlobalMaxPooling2D()(si.nn.Conv2DTranspose(2, 3, strides=2)(y)))
    for extents in ((9, 12), (20, 7)):
        assert model(np.ones((1, *extents, 3), np.float32)).shape == (1, 2)


def test_dropout_of_channels_draws_one_number_for_each():
    x = np.ones((40, 6, 5, 30), np.float32)
    for layer, array in ((si.nn.SpatialDropout2D(0.25, seed=1), x), (si.nn.SpatialDropout2D(0.25, "channels_first", 1), np.moveaxis(x, -1, 1))):
        y = np.asarray(layer(array, training=True))
        y = np.moveaxis(y, 1, -1) if array is not x else y
        assert np.array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)} and abs((y[:, 0, 0] == 0).mean() - 0.25) < 0.05
