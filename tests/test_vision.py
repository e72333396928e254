"""Networks for pictures: their sizes, names and outputs as published, and weights from files of Keras and of insitu."""

from __future__ import annotations

import builtins
import doctest
import importlib
import os

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError
from insitu.nn.keras_files import places
from insitu.vision import models
from insitu.vision.models.resnet import basic, bottleneck

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def unverified(monkeypatch):
    """These graphs are large; the passes are verified on smaller ones."""
    monkeypatch.setattr(si.config, "verify", False)


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("name", ["", ".preprocessing", *(f".models.{m}" for m in ("lenet", "vgg", "resnet", "mobilenet", "squeezenet", "unet"))])
def test_examples_of_the_documentation(name):
    assert doctest.testmod(importlib.import_module(f"insitu.vision{name}")).failed == 0


# -- sizes -----------------------------------------------------------------------------------------------
#: Parameters as published; torchvision counts those that are trained.
COUNTS = {
    "LeNet": 61_706, "MNISTNet": 3_274_634, "SqueezeNet": 1_235_496, "MobileNetV2": 3_538_984, "ResNet50": 25_636_712, "VGG16": 138_357_544,
    "VGG19": 143_667_240, "ResNet101": 44_707_176, "UNet": 31_031_745,
}  # fmt: skip
TRAINED = {"ResNet18": 11_689_512, "ResNet34": 21_797_672}


@pytest.mark.parametrize("name", [*COUNTS, *TRAINED])
def test_networks_have_as_many_parameters_as_published(name):
    with si.nn.context.blank_weights():
        model = getattr(models, name)()
    weights = model.weights if name in COUNTS else model.trainable_weights
    assert sum(w.size for w in weights) == {**COUNTS, **TRAINED}[name]
    side = 256 if name == "UNet" else 28 if name in ("LeNet", "MNISTNet") else 224
    assert model.inputs[0].shape[1:3] == (side, side)
    assert model.output_shape == {"UNet": (None, 256, 256, 1), "LeNet": (None, 10), "MNISTNet": (None, 10)}.get(name, (None, 1000))


def test_tops_and_poolings():
    for pooling, shape in ((None, (None, 2, 2, 512)), ("avg", (None, 512)), ("max", (None, 512))):
        with si.nn.context.blank_weights():
            assert models.VGG16(include_top=False, input_shape=(64, 64, 3), pooling=pooling).output_shape == shape
            assert models.ResNet18(include_top=False, input_shape=(64, 64, 3), pooling=pooling).output_shape == shape
    logits = models.LeNet(classifier_activation=None).predict(np.ones((1, 28, 28, 1), np.float32))
    assert abs(logits.sum() - 1) > 1e-3


def test_networks_take_pictures_of_any_size():
    with si.nn.context.blank_weights():
        assert models.VGG19(include_top=False, input_shape=(None, None, 3)).output_shape == (None, None, None, 512)
        assert models.ResNet50(input_shape=(None, 64, 3)).output_shape == (None, 1000)
        assert models.UNet(input_shape=(None, None, 1), filters=4, depth=2).output_shape == (None, None, None, 1)
    model = models.MobileNetV2(include_top=False, input_shape=(None, None, 3), alpha=0.35)
    fixed = models.MobileNetV2(include_top=False, input_shape=(64, 32, 3), alpha=0.35)
    fixed.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 64, 32, 3)).astype(np.float32)
    assert np.array_equal(model.predict(x, verbose=0), fixed.predict(x, verbose=0))


def test_pictures_that_are_too_small_name_the_network():
    for call, name in (
        (lambda: models.VGG19(input_shape=(31, 32, 3), name="eyes"), "VGG19"),
        (lambda: models.ResNet101(input_shape=(8, None, 3)), "ResNet101"),
    ):
        with pytest.raises(UserError, match=f"^{name}: the pictures are too small") as caught:
            call()
        assert caught.value.slug == "vision-size"


def test_small_pictures_begin_without_strides():
    with si.nn.context.blank_weights():
        model = models.ResNet18(input_shape=(32, 32, 3), classes=10, small_images=True)
    shapes = {call.layer.name: call.result.shape for call in model._calls}
    assert shapes["conv1_conv"] == shapes["conv2_block2_out"] == (None, 32, 32, 64) and shapes["conv5_block2_out"] == (None, 4, 4, 512)
    changed = 3 * 3 * 3 * 64 - 7 * 7 * 3 * 64 + 513 * 10 - 513 * 1000
    assert sum(w.size for w in model.trainable_weights) == TRAINED["ResNet18"] + changed


@pytest.mark.parametrize("block", [basic, bottleneck])
def test_residual_blocks_train(block):
    si.random.seed(0)
    x = inputs = si.nn.Input((8, 8, 8))
    for k, strides in enumerate((1, 2)):
        x = block(x, 8, strides, f"block{k}")
    model = si.nn.Model(inputs, si.nn.Dense(3, activation="softmax")(si.nn.GlobalAveragePooling2D()(x)))
    model.compile("adam", "sparse_categorical_crossentropy")
    pictures, labels = RNG.random((6, 8, 8, 8)).astype(np.float32), np.arange(6) % 3
    losses = model.fit(pictures, labels, epochs=30, batch_size=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


def test_unet_sees_each_pixel_in_its_place():
    si.random.seed(0)
    model = models.UNet(input_shape=(8, 12, 1), filters=4, depth=1)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x = (RNG.random((16, 8, 12, 1)) < 0.5).astype(np.float32)
    model.fit(x, 1 - x, epochs=80, batch_size=8, verbose=0)
    assert model.evaluate(x, 1 - x, verbose=0)[1] > 0.95


# -- input -----------------------------------------------------------------------------------------------
def test_pictures_are_prepared_by_the_published_formulas():
    x = RNG.integers(0, 256, (2, 3, 4, 3)).astype(np.float64)
    wanted = {
        "caffe": x[..., ::-1] - [103.939, 116.779, 123.68],
        "tf": x / 127.5 - 1,
        "torch": (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }
    for mode, want in wanted.items():
        np.testing.assert_allclose(si.vision.preprocess_input(x.astype(np.uint8), mode), want, atol=2e-5)
    names = {"vgg": "caffe", "resnet": "caffe", "mobilenet": "tf", "squeezenet": "torch"}
    for name, mode in names.items():
        prepare = importlib.import_module(f"insitu.vision.models.{name}").preprocess_input
        np.testing.assert_allclose(prepare(x), wanted[mode], atol=2e-5)


# -- Keras' files, written by hand --------------------------------------------------------------------------
def branches() -> si.nn.Model:
    """Two branches, of which the shorter one is called first, with equal shapes; a model inside; and normalisation."""
    x = si.nn.Input((6, 6, 3))
    short = si.nn.Conv2D(4, 1, name="short")(x)
    long = si.nn.Conv2D(4, 1, name="long_1")(x)
    long = si.nn.BatchNormalization(name="norm")(long)
    long = si.nn.Conv2D(4, 1, name="long_2")(long)
    y = si.nn.Flatten()(si.nn.Add()([short, long]))
    inner = si.nn.Sequential([si.nn.Dense(5, name="first"), si.nn.BatchNormalization(name="second"), si.nn.Dense(2, name="third")], name="inner")
    return si.nn.Model(x, inner(y))


def values(model) -> dict[str, list[np.ndarray]]:
    """New values for each layer with weights, by its name."""
    return {layer.name: [RNG.random(w.shape).astype(np.float32) for w in layer.weights] for _, layer in places(model) if layer.weights}


def write_new(path, model, given, names=True):
    with h5py.File(path, "w") as file:
        for place, layer in places(model):
            group = file.create_group(f"{place}/vars")
            if names:
                group.attrs["name"] = layer.name
            for k, value in enumerate(given.get(layer.name, [])):
                group[str(k)] = value
        file.create_group("optimizer/vars")["0"] = 3


def write_old(path, groups, top=None, parts=0):
    """Groups of weights by name, in the way of Keras 1 and 2; ``parts`` cuts the list of names."""
    with h5py.File(path, "w") as file:
        root = file.create_group(top) if top else file
        names = [name.encode() for name in groups]
        if parts:
            for k in range(0, len(names), parts):
                root.attrs[f"layer_names{k // parts}"] = names[k : k + parts]
        else:
            root.attrs["layer_names"] = names
        for name, weights in groups.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/w{k}:0".encode() for k in range(len(weights))]
            for k, weight in enumerate(weights):
                group[f"{name}/w{k}:0"] = weight


def holds(model, given) -> bool:
    layers = {layer.name: layer for _, layer in places(model)}
    return all(np.array_equal(a, b) for name, want in given.items() for a, b in zip(layers[name].get_weights(), want, strict=True))


@pytest.mark.parametrize("names", [True, False])
def test_files_of_keras_3_are_read_by_names_or_by_places(tmp_path, names):
    model = branches()
    given = values(model)
    write_new(tmp_path / "a.weights.h5", model, given, names)
    model.load_weights(tmp_path / "a.weights.h5")
    assert holds(model, given)


def test_places_are_those_of_keras():
    found = {layer.name: place for place, layer in places(branches())}
    wanted = {
        "long_1": "layers/conv2d", "norm": "layers/batch_normalization", "short": "layers/conv2d_1", "long_2": "layers/conv2d_2",
        "first": "layers/sequential/layers/dense", "second": "layers/sequential/layers/batch_normalization",
        "third": "layers/sequential/layers/dense_1",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize(("top", "parts"), [(None, 0), ("model_weights", 0), (None, 2)])
def test_older_files_are_read_by_the_names_of_the_layers(tmp_path, top, parts):
    model = branches()
    given = values(model)
    moving = given["second"][2:]
    groups = {"input_1": [], **{n: given[n] for n in ("short", "norm", "long_2", "long_1")}}
    groups["inner"] = [*given["first"], *given["second"][:2], *given["third"], *moving]  # what is not trained comes last
    write_old(tmp_path / "a.h5", groups, top, parts)
    model.load_weights(str(tmp_path / "a.h5"))
    assert holds(model, given)


def test_older_files_with_other_names_are_read_in_order(tmp_path):
    model = models.LeNet()
    given = values(model)
    write_old(tmp_path / "a.h5", {f"layer_{k}": weights for k, weights in enumerate(given.values())})
    model.load_weights(tmp_path / "a.h5")
    assert holds(model, given)


def test_published_names_of_vgg19_and_resnet50():
    with si.nn.context.blank_weights():
        vgg, resnet = models.VGG19(), models.ResNet50()
    depths = (2, 2, 4, 4, 4)
    wanted = [f"block{b}_conv{k}" for b, depth in enumerate(depths, 1) for k in range(1, depth + 1)]
    assert [layer.name for layer in vgg.layers if layer.weights] == [*wanted, "fc1", "fc2", "predictions"]
    wanted = {"conv1_conv", "conv1_bn", "predictions"}
    for stage, depth in zip((2, 3, 4, 5), (3, 4, 6, 3), strict=True):
        for block in range(1, depth + 1):
            wanted |= {f"conv{stage}_block{block}_{k}_{kind}" for k in range(block > 1, 4) for kind in ("conv", "bn")}
    assert {layer.name for layer in resnet.layers if layer.weights} == wanted


def test_weights_come_back_from_safetensors(tmp_path):
    model = models.LeNet()
    model.save_weights(tmp_path / "w.safetensors")
    again = models.LeNet(weights=tmp_path / "w.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_files_that_do_not_fit_are_refused_and_change_nothing(tmp_path):
    model = models.LeNet()
    before = model.get_weights()
    given = values(model)
    write_new(tmp_path / "other.h5", branches(), {})
    write_new(tmp_path / "classes.h5", model, {**given, "predictions": [np.zeros((84, 3)), np.zeros(3)]})
    write_old(tmp_path / "few.h5", {name: given[name] for name in ("conv1", "conv2")})
    write_new(tmp_path / "names.h5", models.LeNet(), {name: weights for name, weights in given.items() if name != "fc1"})
    (tmp_path / "text.h5").write_text("no such file")
    wrong = {
        "other.h5": "file-foreign", "classes.h5": "weights-file", "few.h5": "weights-file", "names.h5": "weights-file", "text.h5": "file-foreign",
        "none.h5": "file-not-found",
    }  # fmt: skip
    for name, slug in wrong.items():
        with pytest.raises(UserError) as caught:
            model.load_weights(tmp_path / name)
        assert caught.value.slug == slug
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_h5py_is_asked_for_by_name(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("h5py"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    model = models.LeNet()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError) as caught:
        model.load_weights(tmp_path / "a.h5")
    assert (caught.value.slug, caught.value.fix) == ("weights-h5py", "pip install 'insitu[keras]'")


def test_other_mistakes_have_their_pages():
    wrong = [
        (lambda: models.VGG19(weights="imagenet"), "vision-weights"),
        (lambda: models.LeNet(weights=np.zeros(3)), "vision-weights"),
        (lambda: models.VGG19(input_shape=(224, 224)), "input-shape"),
        (lambda: models.ResNet50(input_shape=(16, 16, 3)), "vision-size"),
        (lambda: models.UNet(input_shape=(100, 64, 1)), "vision-size"),
        (lambda: models.ResNet50(pooling="mean"), "argument-choice"),
        (lambda: models.ResNet50(classes=0), "argument-integer"),
        (lambda: models.MNISTNet(dropout=1.0), "dropout-rate"),
        (lambda: models.LeNet(include_top=False), "argument-unknown"),
        (lambda: si.vision.preprocess_input(np.ones((4, 4, 1))), "vision-channels"),
        (lambda: si.vision.preprocess_input(np.ones((4, 4, 3)), "keras"), "argument-choice"),
    ]
    for call, slug in wrong:
        with pytest.raises(UserError) as caught:
            call()
        assert caught.value.slug == slug


# -- Keras itself --------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "VGG19", "ResNet50", "ResNet101", "MobileNetV2"])
def test_predictions_are_those_of_keras_with_its_weights(tmp_path, keras, name):
    shape = (64, 64, 3)
    theirs = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10)
    for w in theirs.weights:
        if "variance" in w.path:
            w.assign(RNG.uniform(0.5, 1.5, w.shape))
        elif any(part in w.path for part in ("moving_mean", "beta", "bias")):
            w.assign(RNG.normal(0, 0.1, w.shape))
    theirs.save_weights(tmp_path / "new.weights.h5")
    theirs.save(tmp_path / "old.h5")
    ours = getattr(models, name)(weights=tmp_path / "new.weights.h5", input_shape=shape, classes=10)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers[1:]]
    x = RNG.uniform(-1, 1, (2, *shape)).astype(np.float32)
    want = np.asarray(theirs(x))
    np.testing.assert_allclose(ours.predict(x), want, atol=1e-5, rtol=1e-4)
    again = getattr(models, name)(weights=tmp_path / "old.h5", input_shape=shape, classes=10)
    assert np.array_equal(again.predict(x), ours.predict(x))


def test_a_file_that_keras_writes_fits_and_gives_its_predictions(tmp_path, keras):
    x = keras.Input((6, 6, 3))
    short = keras.layers.Conv2D(4, 1, name="short")(x)
    long = keras.layers.Conv2D(4, 1, name="long_1")(x)
    long = keras.layers.Conv2D(4, 1, name="long_2")(keras.layers.BatchNormalization(name="norm")(long))
    y = keras.layers.Flatten()(keras.layers.Add()([short, long]))
    parts = [keras.layers.Dense(5, name="first"), keras.layers.BatchNormalization(name="second"), keras.layers.Dense(2, name="third")]
    theirs = keras.Model(x, keras.Sequential(parts, name="inner")(y))
    for w in theirs.weights:
        w.assign(RNG.uniform(0.5, 1, w.shape))
    theirs.save_weights(tmp_path / "new.weights.h5")
    theirs.save(tmp_path / "old.h5")
    batch = RNG.random((3, 6, 6, 3)).astype(np.float32)
    for name in ("new.weights.h5", "old.h5"):
        ours = branches()
        ours.load_weights(tmp_path / name)
        np.testing.assert_allclose(ours.predict(batch), np.asarray(theirs(batch)), rtol=2e-5)
