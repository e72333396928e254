"""Models made for inference: what is folded, what is not, and that the outputs stay."""

from __future__ import annotations

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError

FIRST = {"data_format": "channels_first"}


def learned(model: si.nn.Model) -> si.nn.Model:
    """The model with weights as after training: no factor is 1, no shift 0, and variances are positive."""
    rng = np.random.default_rng(len(model.weights))
    for weight in model.weights:
        value = rng.standard_normal(weight.shape)
        weight.assign(si.asarray((abs(value) + 0.1 if "variance" in weight.name else value).astype(weight.dtype.numpy)))
    return model


def normalizations(model: si.nn.Model) -> int:
    return sum(isinstance(layer, si.nn.BatchNormalization) for layer in model.flattened())


def same(model: si.nn.Model, made: si.nn.Model, x: object) -> None:
    want, got = np.asarray(model(x)), np.asarray(made(x))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize(
    ("layer", "axis", "shape"),
    [
        (lambda: si.nn.Dense(5), -1, (3, 7)),
        (lambda: si.nn.Dense(5, use_bias=False), 2, (3, 2, 7)),
        (lambda: si.nn.Conv1D(5, 3, padding="causal"), -1, (3, 6, 2)),
        (lambda: si.nn.Conv2D(5, 3, use_bias=False, strides=2), 3, (3, 6, 7, 2)),
        (lambda: si.nn.Conv2D(6, 3, groups=2, padding="same"), -1, (3, 5, 4, 4)),
        (lambda: si.nn.Conv2D(5, 3, **FIRST), 1, (3, 2, 6, 7)),
        (lambda: si.nn.Conv3D(3, 2), -1, (2, 3, 3, 4, 2)),
        (lambda: si.nn.DepthwiseConv2D(3, depth_multiplier=2), -1, (3, 6, 7, 2)),
        (lambda: si.nn.DepthwiseConv1D(3, depth_multiplier=3, use_bias=False, **FIRST), 1, (3, 2, 7)),
        (lambda: si.nn.SeparableConv2D(5, 3), -1, (3, 6, 7, 2)),
        (lambda: si.nn.Conv2DTranspose(5, 3, strides=2), -1, (3, 4, 3, 2)),
        (lambda: si.nn.Conv1DTranspose(5, 3, use_bias=False, **FIRST), 1, (3, 2, 4)),
    ],
)
def test_a_normalization_becomes_part_of_the_layer_before_it(layer, axis, shape):
    model = si.nn.Sequential([layer(), si.nn.BatchNormalization(axis=axis), si.nn.ReLU()])
    model.build((None, *shape[1:]))
    learned(model)
    kept = model.get_weights()
    made = model.optimize_for_inference()
    assert [type(inner) for inner in made.layers] == [type(model.layers[0]), si.nn.ReLU]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    same(model, made, x)
    np.testing.assert_array_equal(made.predict(x, verbose=0), np.asarray(made(x)))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), kept, strict=True))
    assert not {id(w) for w in made.weights} & {id(w) for w in model.weights}


@pytest.mark.parametrize("arguments", [{"scale": False}, {"center": False}, {"scale": False, "center": False}, {"epsilon": 0.5}])
def test_a_normalization_need_not_have_all_weights(arguments):
    model = si.nn.Sequential([si.nn.Conv2D(4, 3), si.nn.BatchNormalization(**arguments), si.nn.BatchNormalization()])
    model.build((None, 6, 6, 2))
    made = learned(model).optimize_for_inference()
    assert len(made.layers) == 1
    same(model, made, np.random.default_rng(1).standard_normal((2, 6, 6, 2)).astype(np.float32))


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [si.nn.BatchNormalization(), si.nn.Conv2D(4, 3)],
        lambda: [si.nn.Conv2D(4, 3, activation="relu"), si.nn.BatchNormalization()],
        lambda: [si.nn.Conv2D(4, 3, activation=si.nn.PReLU()), si.nn.BatchNormalization()],
        lambda: [si.nn.Conv2D(4, 3), si.nn.ReLU(), si.nn.BatchNormalization()],
        lambda: [si.nn.Conv2D(6, 3), si.nn.BatchNormalization(axis=1)],
        lambda: [si.nn.Conv2D(4, 3), si.nn.LayerNormalization()],
    ],
)
def test_what_is_no_factor_of_outputs_stays(layers):
    model = si.nn.Sequential(layers())
    model.build((None, 8, 8, 2))
    made = learned(model).optimize_for_inference()
    assert [type(layer) for layer in made.layers] == [type(layer) for layer in model.layers]
    x = np.random.default_rng(1).standard_normal((2, 8, 8, 2)).astype(np.float32)
    assert np.array_equal(np.asarray(model(x)), np.asarray(made(x)))


def residual() -> si.nn.Model:
    """Two branches, a model inside, a normalization that is read twice, one whose layer is, and one that is an output."""
    x = si.nn.Input((8, 8, 3), name="pictures")
    first = si.nn.BatchNormalization()(si.nn.Conv2D(4, 3, padding="same", use_bias=False)(x))
    y = si.nn.BatchNormalization()(si.nn.DepthwiseConv2D(3, padding="same")(si.nn.ReLU()(first)))
    inner = si.nn.Sequential([si.nn.Conv2D(4, 1), si.nn.BatchNormalization(), si.nn.ReLU()])
    y = si.nn.ReLU()(si.nn.Add()([inner(y), first]))
    plain = si.nn.Conv2D(4, 1)(y)
    y = si.nn.Concatenate()([plain, si.nn.BatchNormalization(name="of a layer read twice")(plain)])
    top = si.nn.BatchNormalization()(si.nn.Dense(2)(si.nn.GlobalAveragePooling2D()(y)))
    return si.nn.Model(x, {"top": top, "map": y})


def test_a_graph_is_folded_where_nobody_else_reads():
    model = learned(residual())
    made = model.optimize_for_inference()
    assert normalizations(model) == 5 and normalizations(made) == 1
    assert any(layer.name == "of a layer read twice" for layer in made.layers)
    x = np.random.default_rng(1).standard_normal((3, 8, 8, 3)).astype(np.float32)
    want, got = model(x), made(x)
    for name in ("top", "map"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-4)
    assert made.output_names == model.output_names and [s.name for s in made.inputs] == ["pictures"]


def test_shared_layers_and_normalizations_that_train_stay():
    conv, normal = si.nn.Conv2D(3, 1), si.nn.BatchNormalization(name="shared")
    a, b = si.nn.Input((4, 4, 3)), si.nn.Input((4, 4, 3))
    y = si.nn.Add()([normal(conv(a)), normal(conv(b))])
    y = si.nn.BatchNormalization(name="training")(si.nn.Conv2D(2, 1)(y), training=True)
    model = learned(si.nn.Model([a, b], y))
    made = model.optimize_for_inference()
    assert {layer.name for layer in made.layers} == {layer.name for layer in model.layers}
    x = [np.random.default_rng(k).standard_normal((2, 4, 4, 3)).astype(np.float32) for k in range(2)]
    same(model, made, x)


def test_open_extents_and_whole_numbers_get_a_batch_of_their_own():
    pictures = si.nn.Sequential([si.nn.Input((None, None, 2)), si.nn.Conv2D(3, 5), si.nn.BatchNormalization()])
    assert len(learned(pictures).optimize_for_inference().layers) == 1
    words = si.nn.Sequential([si.nn.Input((6,), dtype="int32"), si.nn.Embedding(9, 4), si.nn.Conv1D(3, 2), si.nn.BatchNormalization()])
    made = learned(words).optimize_for_inference(np.arange(12, dtype=np.int32).reshape(2, 6) % 9)
    same(words, made, np.arange(6, dtype=np.int32)[None])
    assert len(learned(words).optimize_for_inference().layers) == 2


def test_the_copy_is_saved_and_trained_again(tmp_path):
    model = learned(si.nn.Sequential([si.nn.Input((6, 6, 1)), si.nn.Conv2D(4, 3), si.nn.BatchNormalization(), si.nn.Flatten(), si.nn.Dense(2)]))
    made = model.optimize_for_inference()
    made.save(tmp_path / "fast")
    x = np.random.default_rng(1).standard_normal((8, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(si.load(tmp_path / "fast").predict(x, verbose=0), made.predict(x, verbose=0))
    made.compile("sgd", "mse")
    made.fit(x, np.zeros((8, 2)), verbose=0)


def test_outputs_that_differ_are_refused():
    model = si.nn.Sequential([si.nn.Dense(64), si.nn.BatchNormalization()])
    model.build((None, 64))
    learned(model)
    with pytest.raises(ArgumentError) as caught:
        model.optimize_for_inference(np.random.default_rng(1).standard_normal((4, 64)), tolerance=0)
    assert caught.value.slug == "inference-differs" and "e-0" in caught.value.received

    class Own(si.nn.Model):
        def call(self, x):
            return x

    own = Own()
    own(np.ones((2, 3)))
    with pytest.raises(ArgumentError) as caught:
        own.optimize_for_inference()
    assert caught.value.slug == "inference-model" and "symbols" in caught.value.fix


def test_predictions_of_the_copy_prepare_its_weights_once_and_again_when_they_change():
    model = si.nn.Sequential([si.nn.Dense(70, activation="relu"), si.nn.BatchNormalization(), si.nn.Dense(40)])
    model.build((None, 300))
    made = learned(model).optimize_for_inference()
    x = np.random.default_rng(0).standard_normal((33, 300)).astype(np.float32)

    def check():
        expected = np.asarray(si.compile(lambda x: made(x, training=False))(x))
        assert made.predict(x, batch_size=33, verbose=0).tobytes() == expected.tobytes()
        return made._forward

    first = check()
    (traced,) = first._traced.values()
    assert traced.program.recipe.preparation is not None and not traced.variables
    assert check() is first
    made.layers[0].kernel.assign(made.layers[0].kernel.value * 2)
    second = check()
    assert second is not first
    made.compile("sgd", "mse")
    for _ in range(3):  # training updates in place
        made.fit(x, np.zeros((33, 40), np.float32), batch_size=33, verbose=0)
        before, second = second, check()
        assert second is not before
    made.fit(x, np.zeros((33, 40), np.float32), epochs=3, batch_size=11, verbose=0)
    assert check() is not second
    assert model.predict(x, verbose=0).shape == (33, 40) and model._forward._traced and not model._forward.constants
