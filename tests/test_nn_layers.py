"""Layers, activations and initializers against formulas written out in NumPy and the standard library."""

from __future__ import annotations

import math

import numpy as np
import pytest

import insitu as si
from insitu import registry
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import activations, initializers

X = np.linspace(-6, 6, 49).astype(np.float32)


def scalar(f):
    return np.array([f(float(v)) for v in X])


SIGMOID = scalar(lambda v: 1 / (1 + math.exp(-v)))
SOFTPLUS = scalar(lambda v: math.log1p(math.exp(v)))
EXPECTED = {
    "linear": X,
    "relu": np.maximum(X, 0),
    "relu6": np.clip(X, 0, 6),
    "leaky_relu": np.where(X > 0, X, 0.2 * X),
    "elu": scalar(lambda v: v if v > 0 else math.expm1(v)),
    "selu": scalar(lambda v: 1.05070098 * (v if v > 0 else 1.67326324 * math.expm1(v))),
    "sigmoid": SIGMOID,
    "log_sigmoid": np.log(SIGMOID),
    "tanh": np.tanh(X),
    "softplus": SOFTPLUS,
    "softsign": X / (1 + np.abs(X)),
    "silu": X * SIGMOID,
    "swish": X * SIGMOID,
    "gelu": scalar(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2)))),
    "mish": X * np.tanh(SOFTPLUS),
    "exponential": np.exp(X),
    "hard_sigmoid": np.clip(X / 6 + 0.5, 0, 1),
    "hard_silu": X * np.clip(X / 6 + 0.5, 0, 1),
    "hard_swish": X * np.clip(X / 6 + 0.5, 0, 1),
    "softmax": np.exp(X) / np.exp(X).sum(),
    "log_softmax": np.log(np.exp(X) / np.exp(X).sum()),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_activation_values(name):
    got = np.asarray(activations.get(name)(si.asarray(X)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, EXPECTED[name], rtol=3e-6, atol=3e-6)


def test_gelu_in_its_tanh_form():
    expected = scalar(lambda v: 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))))
    np.testing.assert_allclose(np.asarray(activations.gelu(si.asarray(X), approximate=True)), expected, rtol=1e-5, atol=2e-6)


def test_softmax_survives_large_values():
    got = np.asarray(activations.softmax(si.asarray([[1000.0, 1000.0], [-1000.0, 0.0]])))
    assert got.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_unknown_activation_proposes_a_near_name():
    with pytest.raises(ArgumentError) as caught:
        si.nn.Dense(3, activation="rleu")
    assert caught.value.slug == "activation-unknown" and '"relu"' in caught.value.fix


def test_dense_is_a_matrix_product_with_bias():
    layer = si.nn.Dense(3, activation="tanh", bias_initializer="ones")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    y = np.asarray(layer(x))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (4, 3) and bias.shape == (3,) and bias.tolist() == [1, 1, 1]
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64) @ kernel + 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 4), (2, 1, 3, 4)])
def test_dense_works_on_the_last_axis(shape):
    layer = si.nn.Dense(6, use_bias=False)
    x = np.random.default_rng(0).standard_normal(shape)  # float64 input is taken as the layer's float32
    y = layer(x)
    assert y.shape == (*shape[:-1], 6) == tuple(layer.compute_output_shape(shape)) and y.dtype == si.float32
    np.testing.assert_allclose(np.asarray(y), x @ layer.get_weights()[0], rtol=1e-4, atol=1e-5)
    assert len(layer.weights) == 1


def test_dense_takes_whole_numbers():
    layer = si.nn.Dense(2)
    x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_allclose(np.asarray(layer(x)), x @ layer.get_weights()[0], rtol=1e-5)


def test_flatten_keeps_the_order():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert np.asarray(si.nn.Flatten()(x)).tolist() == x.reshape(2, 12).tolist()
    assert si.nn.Flatten().compute_output_shape((None, 3, 4)) == (None, 12)


def test_glorot_uniform_fills_its_range():
    value = np.asarray(initializers.GlorotUniform(seed=1)((300, 200)))
    limit = math.sqrt(6 / 500)
    assert value.dtype == np.float32 and np.abs(value).max() <= limit and np.abs(value).max() > 0.99 * limit
    assert abs(value.mean()) < 0.01 * limit * 3 and abs(value.std() - limit / math.sqrt(3)) < 0.01 * limit


def test_initial_weights_follow_the_seed():
    def weights(seed):
        si.random.seed(seed)
        layer = si.nn.Dense(5)
        layer.build((None, 4))
        return layer.get_weights()[0]

    assert weights(3).tobytes() == weights(3).tobytes() != weights(4).tobytes()


@pytest.mark.parametrize("name", sorted({registry.words(n) for n in initializers.Initializer.classes} - {"given", "sevens"}))
def test_initializers_come_back_from_their_configuration(name):
    made = initializers.get(name)
    again = initializers.get(initializers.serialize(made))
    assert type(again) is type(made) and again.get_config() == made.get_config()
    assert made((3, 2)).shape == (3, 2)


def test_layers_come_back_from_their_configuration():
    layer = si.nn.Dense(3, "relu", use_bias=False, kernel_initializer=initializers.RandomNormal(stddev=0.1), name="d")
    again = si.nn.Dense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.name == "d"


def test_weights_can_be_read_and_set():
    layer = si.nn.Dense(2)
    layer.build((None, 3))
    layer.set_weights([np.arange(6).reshape(3, 2), [7.0, 8.0]])
    assert layer.get_weights()[0].tolist() == [[0, 1], [2, 3], [4, 5]] and layer.get_weights()[1].tolist() == [7, 8]
    assert layer.count_params() == 8
    with pytest.raises(ShapeError) as caught:
        layer.set_weights([np.zeros((3, 2))])
    assert caught.value.slug == "weights-shapes"


@pytest.mark.parametrize(
    ("build", "slug"),
    [
        (lambda: si.nn.Dense(0), "dense-units"),
        (lambda: si.nn.Dense(2.5), "dense-units"),
        (lambda: si.nn.Dense(True), "dense-units"),
        (lambda: si.nn.Dense(3)(np.ones(4)), "dense-input-rank"),
        (lambda: si.nn.Dense(3).prepare((None, None)), "dense-input-features"),
        (lambda: si.nn.Dense(3, kernel_initializer="gloro"), "initializer-unknown"),
        (lambda: si.nn.Sequential([si.nn.Dense]), "sequential-layer"),
        (lambda: si.nn.Sequential([si.nn.Flatten(name="a"), si.nn.Dense(2, name="a")]), "sequential-names"),
        (lambda: si.nn.Sequential().build((None, 3)), "sequential-empty"),
        (lambda: si.nn.Sequential([si.nn.Dense(2)]).build(()), "build-shape"),
    ],
)
def test_mistakes_are_named(build, slug):
    with pytest.raises((ShapeError, ArgumentError)) as caught:
        build()
    assert caught.value.slug == slug and caught.value.expected and caught.value.received and caught.value.fix


def test_another_number_of_features_is_refused_by_name():
    layer = si.nn.Dense(3, name="first")
    layer(np.ones((2, 12)))
    with pytest.raises(ShapeError) as caught:
        layer(np.ones((2, 3, 4)))
    text = str(caught.value)
    assert '"first"' in text and "12" in text and "(2, 3, 4)" in text and "Flatten" in text


def test_summary_and_counts():
    model = si.nn.Sequential([si.nn.Flatten(name="f"), si.nn.Dense(10, name="d")], name="m")
    lines = []
    model.summary(lines.append)
    assert "not built" in lines[0]
    model.build((None, 8, 8))
    model.summary(lines.append)
    assert "(batch, 10)" in lines[1] and "650" in lines[1] and model.count_params() == 650
    assert [w.name for w in model.weights] == ["d/kernel", "d/bias"] == [w.name for w in model.trainable_weights]


def test_a_frozen_layer_has_nothing_to_train():
    model = si.nn.Sequential([si.nn.Dense(4), si.nn.Dense(2)])
    model.build((None, 3))
    model.layers[0].trainable = False
    assert model.trainable_weights == model.layers[1].weights and model.layers[0].non_trainable_weights == model.layers[0].weights


def test_a_layer_that_was_built_is_not_built_again_on_use():
    class Twice(si.nn.Dense):
        def build(self, input_shape):
            super().build(input_shape)
            self.factor = self.add_weight((self.units,), "ones", "factor")

    for layer in (si.nn.Dense(3), si.nn.Conv1D(3, 2), si.nn.BatchNormalization(), Twice(3)):
        layer.build((None, 5, 4))
        assert layer.built and layer.input_shape == (None, 5, 4)
        kept = layer.weights
        layer(np.ones((2, 5, 4)))
        assert layer.weights == kept
