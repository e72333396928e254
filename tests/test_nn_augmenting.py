"""Layers that change pictures: values against NumPy in float64 and against Keras, random numbers, configurations, mistakes."""

from __future__ import annotations

import copy
import doctest
import importlib
import itertools
import json
import math
import os

import numpy as np
import pytest

import insitu as si
from insitu.array.sampling import FILL_MODES, sampled
from insitu.errors import UserError
from insitu.nn.layer import deserialize, serialize

RNG = np.random.default_rng(3)
X = RNG.random((3, 9, 7, 2)).astype(np.float32)

#: One of each kind, made so that it does the same to each picture.
FIXED = {
    "RandomFlip": {},
    "RandomRotation": {"factor": (0.1, 0.1)},
    "RandomTranslation": {"height_factor": (0.3, 0.3), "width_factor": (-0.2, -0.2)},
    "RandomZoom": {"height_factor": (0.3, 0.3), "width_factor": (-0.4, -0.4)},
    "RandomContrast": {"factor": 0.0, "value_range": (0, 1)},
    "RandomBrightness": {"factor": (0.3, 0.3), "value_range": (0, 1)},
    "RandomCrop": {"height": 9, "width": 7},
}


def made(name: str, **more):
    return getattr(si.nn, name)(**{**FIXED[name], **more})


@pytest.mark.parametrize("name", ["nn.layers.augmenting", "nn.layers.sizing", "array.sampling"])
def test_examples_of_the_documentation(name):
    assert doctest.testmod(importlib.import_module(f"insitu.{name}")).failed == 0


# -- reading at other places -------------------------------------------------------------------------------
def mapped(i: int, n: int, mode: str) -> int | None:
    """The pixel for position i, by walking."""
    if mode == "constant":
        return i if 0 <= i < n else None
    if mode == "nearest":
        return min(max(i, 0), n - 1)
    row = list(range(n)) if mode == "wrap" else [*range(n), *reversed(range(n))]
    return row[i % len(row)]


def by_hand(images, rows, columns, interpolation, mode, value):
    def pixel(b, i, j):
        at = mapped(i, images.shape[1], mode), mapped(j, images.shape[2], mode)
        return np.full(images.shape[-1], value) if None in at else images[b, at[0], at[1]].astype(np.float64)

    out = np.zeros((*rows.shape, images.shape[-1]))
    for b, i, j in np.ndindex(rows.shape):
        y, x = float(rows[b, i, j]), float(columns[b, i, j])
        if interpolation == "nearest":
            out[b, i, j] = pixel(b, math.floor(y + 0.5), math.floor(x + 0.5))
            continue
        top, left = math.floor(y), math.floor(x)
        for down, right in itertools.product((0, 1), (0, 1)):
            weight = (1 - abs(y - top - down)) * (1 - abs(x - left - right))
            out[b, i, j] += weight * pixel(b, top + down, left + right)
    return out


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("mode", FILL_MODES)
def test_pictures_are_read_at_any_place(interpolation, mode):
    rows, columns = (RNG.uniform(-30, 40, (3, 5, 6)).astype(np.float32) for _ in range(2))
    whole = RNG.integers(-30, 40, (3, 5, 6)).astype(np.float32)
    for r, c in ((rows, columns), (whole, columns), (rows, whole), (whole, whole)):
        got = sampled(si.asarray(X), si.asarray(r), si.asarray(c), interpolation, mode, 0.25)
        np.testing.assert_allclose(got, by_hand(X, r, c, interpolation, mode, 0.25), atol=2e-6)


def test_reading_has_gradients():
    x = si.asarray(X[:1].astype(np.float64))
    rows, columns = (si.asarray(RNG.uniform(0, 6, (1, 4, 5))) for _ in range(2))
    gradient = np.asarray(si.grad(lambda x: si.sum(sampled(x, rows, columns) ** 2))(x))
    step = 1e-6
    for place in [(0, 2, 3, 0), (0, 4, 4, 1), (0, 0, 0, 1)]:
        moved = np.zeros(x.shape)
        moved[place] = step
        ends = [float(si.sum(sampled(x + sign * si.asarray(moved), rows, columns) ** 2)) for sign in (1, -1)]
        assert abs((ends[0] - ends[1]) / (2 * step) - gradient[place]) < 1e-6


# -- each layer ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FIXED)
def test_pictures_stay_as_they_are_outside_of_training(name):
    layer = made(name)
    assert np.array_equal(layer(X), X) and np.array_equal(layer(X, training=False), X)
    assert layer((X * 255).astype(np.uint8)).dtype == si.float32


def test_flips_are_drawn_for_each_picture_and_axis():
    x = RNG.random((200, 2, 3, 1)).astype(np.float32)
    forms = {"plain": x, "across": x[:, :, ::-1], "down": x[:, ::-1], "both": x[:, ::-1, ::-1]}
    expected = {"horizontal": {"plain", "across"}, "vertical": {"plain", "down"}, "horizontal_and_vertical": set(forms)}
    for mode, kinds in expected.items():
        y = np.asarray(si.nn.RandomFlip(mode, seed=1)(x, training=True))
        counts = {kind: int((y == form).all((1, 2, 3)).sum()) for kind, form in forms.items()}
        assert {kind for kind, n in counts.items() if n} == kinds and sum(counts.values()) == 200
        assert all(abs(n - 200 / len(kinds)) < 35 for n in counts.values() if n)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_rotations_by_quarters_are_exact_turns(quarters):
    x = RNG.random((2, 6, 6, 3)).astype(np.float32)
    y = si.nn.RandomRotation((quarters / 4, quarters / 4))(x, training=True)
    np.testing.assert_allclose(y, np.rot90(x, quarters, (1, 2)), atol=1e-5)


def test_translations_by_whole_pixels_are_shifts():
    x = RNG.random((2, 10, 10, 1)).astype(np.float32)
    y = np.asarray(si.nn.RandomTranslation((0.2, 0.2), (-0.3, -0.3), fill_mode="wrap")(x, training=True))
    np.testing.assert_allclose(y, np.roll(x, (2, -3), (1, 2)), atol=1e-5)


def test_contrast_and_brightness_are_their_formulas():
    x = X.astype(np.float64)
    mean = x.mean((1, 2), keepdims=True)
    got = si.nn.RandomContrast((0.0, 1.0), (0, 1), seed=5)(X, training=True)
    low, high = mean + (x - mean), mean + 2 * (x - mean)
    assert (np.minimum(low, high).clip(0, 1) - 1e-6 <= got).all() and (got <= np.maximum(low, high).clip(0, 1) + 1e-6).all()
    np.testing.assert_allclose(made("RandomBrightness")(X, training=True), (x + 0.3).clip(0, 1), atol=1e-6)
    np.testing.assert_allclose(si.nn.RandomBrightness((0.5, 0.5))(X, training=True), x + 127.5, atol=1e-4)


def test_crops_are_parts_at_places_of_their_own():
    x = np.arange(60 * 8 * 9, dtype=np.float32).reshape(60, 8, 9, 1)
    y = np.asarray(si.nn.RandomCrop(5, 4, seed=2)(x, training=True))
    places = set()
    for before, after in zip(x, y, strict=True):
        top, left = divmod(int(after[0, 0, 0] - before[0, 0, 0]), 9)
        assert np.array_equal(after, before[top : top + 5, left : left + 4])
        places.add((top, left))
    assert {p[0] for p in places} == {0, 1, 2, 3} and {p[1] for p in places} == set(range(6))


def test_crops_of_small_pictures_and_outside_of_training_fill_the_size():
    x = RNG.random((2, 6, 8, 3)).astype(np.float32)
    filled = np.asarray(si.resize(si.asarray(x[:, :, 1:7]), (10, 10)))
    assert np.array_equal(si.nn.RandomCrop(10, 10)(x, training=True), filled)
    assert np.array_equal(si.nn.RandomCrop(10, 10)(x), filled)
    assert np.array_equal(si.nn.CenterCrop(10, 10)(x), filled)
    assert np.array_equal(si.nn.RandomCrop(3, 3)(x), si.resize(si.asarray(x[:, :, 1:7]), (3, 3)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", ["RandomContrast", "RandomBrightness", "RandomRotation"])
def test_pictures_come_in_the_dtype_of_the_layer(name, dtype):
    layer = getattr(si.nn, name)(0.2, dtype=dtype)
    assert layer(X, training=True).dtype.name == layer(X).dtype.name == dtype


def test_centres_and_sizes():
    assert np.array_equal(si.nn.CenterCrop(4, 3)(X), X[:, 2:6, 2:5])
    assert np.array_equal(si.nn.Resizing(5, 4)(X), si.resize(si.asarray(X), (5, 4)))
    assert np.array_equal(si.nn.Resizing(18, 14, "nearest")(X), X.repeat(2, 1).repeat(2, 2))
    assert np.array_equal(si.nn.Resizing(7, 7, crop_to_aspect_ratio=True)(X), X[:, 1:8])
    framed = np.asarray(si.nn.Resizing(9, 9, pad_to_aspect_ratio=True, fill_value=0.5)(X))
    assert np.array_equal(framed[:, :, 1:8], X) and (framed[:, :, [0, 8]] == 0.5).all()


@pytest.mark.parametrize("name", [*FIXED, "CenterCrop", "Resizing"])
def test_channels_may_come_first(name):
    options = {"height": 4, "width": 5, "seed": 1} if name == "RandomCrop" else {"height": 4, "width": 5} if name not in FIXED else {"seed": 1}
    last, first = (getattr(si.nn, name)(**{**FIXED.get(name, {}), **options}, data_format=f"channels_{w}") for w in ("last", "first"))
    want = np.asarray(last(X, training=True))
    got = first(X.transpose(0, 3, 1, 2), training=True)
    assert np.array_equal(np.asarray(got).transpose(0, 2, 3, 1), want)
    assert first.compute_output_shape((None, 2, 9, 7)) == (None, *got.shape[1:])


# -- random numbers and files ------------------------------------------------------------------------------------
VARYING = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": (0.0, 0.2), "fill_mode": "constant", "fill_value": 0.5},
    "RandomZoom": {"height_factor": (-0.5, 0.3), "interpolation": "nearest"},
    "RandomContrast": {"factor": (0.2, 0.9), "value_range": (0, 1)},
    "RandomBrightness": {"factor": 0.3, "value_range": (0, 1)},
    "RandomCrop": {"height": 5, "width": 4},
}


@pytest.mark.parametrize("name", VARYING)
def test_equal_seeds_give_equal_pictures_and_each_call_others(name):
    first, second = (getattr(si.nn, name)(**VARYING[name], seed=7) for _ in range(2))
    x = np.repeat(X[:1], 16, 0)
    a, b = np.asarray(first(x, training=True)), np.asarray(second(x, training=True))
    assert np.array_equal(a, b)
    assert len({picture.tobytes() for picture in a}) > 2  # each example has numbers of its own
    assert not np.array_equal(first(x, training=True), a)


@pytest.mark.parametrize("name", VARYING)
def test_layers_come_back_from_their_configuration_and_as_copies(name):
    layer = getattr(si.nn, name)(**VARYING[name], seed=4)
    stored = json.loads(json.dumps(serialize(layer)))
    again = deserialize(stored)
    assert again.get_config() == layer.get_config() and set(VARYING[name]) < set(layer.get_config())
    copied = copy.deepcopy(layer)
    assert np.array_equal(again(X, training=True), layer(X, training=True))
    assert np.array_equal(copied(X, training=True), again.__class__(**VARYING[name], seed=4)(X, training=True))


def test_a_model_with_augmentation_is_one_program_with_the_same_bits_for_any_number_of_threads():
    def losses(threads):
        si.config.threads = threads
        si.random.seed(1)
        model = si.nn.Sequential(
            [si.nn.Input((9, 7, 2)), si.nn.RandomFlip(), si.nn.RandomRotation(0.1), si.nn.RandomZoom(0.1), si.nn.Flatten(), si.nn.Dense(3)]
        )
        model.compile("sgd", "mse")
        x = np.tile(X, (20, 1, 1, 1))
        history = model.fit(x, np.ones((60, 3), np.float32), epochs=2, batch_size=30, verbose=0)
        return history.history["loss"], model.predict(x).tobytes()

    try:
        assert losses(1) == losses(2) == losses(3)
    finally:
        si.config.threads = None


def test_empty_batches_stay_empty():
    for name in VARYING:
        layer = getattr(si.nn, name)(**VARYING[name])
        assert layer(np.zeros((0, 9, 7, 2), np.float32), training=True).shape[0] == 0


# -- Keras ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("name", ["RandomRotation", "RandomTranslation", "RandomZoom"])
def test_places_are_those_of_keras(name, mode):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("jax")
    keras = pytest.importorskip("keras")
    theirs = getattr(keras.layers, name)(**FIXED[name], fill_mode=mode, fill_value=0.5)
    np.testing.assert_allclose(made(name, fill_mode=mode, fill_value=0.5)(X, training=True), theirs(X, training=True), atol=2e-5)


def test_other_layers_are_those_of_keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("jax")
    keras = pytest.importorskip("keras")
    calls = [("CenterCrop", (4, 3)), ("CenterCrop", (12, 6)), ("Resizing", (5, 11)), ("RandomBrightness", ((0.2, 0.2), (0, 1)))]
    for name, arguments in calls:
        ours, theirs = getattr(si.nn, name)(*arguments), getattr(keras.layers, name)(*arguments)
        np.testing.assert_allclose(ours(X, training=True), theirs(X, training=True), atol=2e-5, err_msg=name)
    for options in ({"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5}):
        np.testing.assert_allclose(si.nn.Resizing(6, 6, **options)(X), keras.layers.Resizing(6, 6, **options)(X), atol=2e-5)


# -- mistakes --------------------------------------------------------------------------------------------------
def test_mistakes_have_their_pages():
    wrong = [
        (lambda: si.nn.RandomRotation(15), "augment-range"),
        (lambda: si.nn.RandomRotation((0.1,)), "augment-range"),
        (lambda: si.nn.RandomZoom(-1.0), "augment-range"),
        (lambda: si.nn.RandomTranslation(0.1, "0.1"), "augment-range"),
        (lambda: si.nn.RandomContrast(-0.5), "augment-range"),
        (lambda: si.nn.RandomBrightness(0.1, (1, 0)), "augment-range"),
        (lambda: si.nn.RandomRotation(0.1, fill_mode="mirror"), "argument-choice"),
        (lambda: si.nn.RandomFlip("sideways"), "argument-choice"),
        (lambda: si.nn.RandomCrop(0, 3), "argument-integer"),
        (lambda: si.nn.RandomTranslation(0.1), "argument-missing"),
        (lambda: si.nn.Resizing(3, 3)(X[0]), "conv-input-rank"),
        (lambda: si.nn.RandomFlip()(X[..., 0], training=True), "conv-input-rank"),
        (lambda: si.nn.Resizing(3, 3)(X[:, :0]), "image-size"),
        (lambda: si.nn.CenterCrop(3, 3)(si.nn.Input((None, 4, 1))), "image-size"),
        (lambda: si.nn.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "image-proportions"),
    ]
    for call, slug in wrong:
        with pytest.raises(UserError) as caught:
            call()
        assert caught.value.slug == slug
