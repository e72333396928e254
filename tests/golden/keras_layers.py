"""What Keras' layers, activations, regularizers and constraints give, as JSON: ``KERAS_BACKEND=jax python keras_layers.py > keras_layers.json``."""

from __future__ import annotations

import inspect
import json

import numpy as np

ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
]  # fmt: skip
#: activation, arguments
WITH_ARGUMENTS = [
    ["relu", {"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.3}], ["relu", {"max_value": 1.5}], ["leaky_relu", {"negative_slope": 0.3}],
    ["elu", {"alpha": 0.5}], ["celu", {"alpha": 0.5}], ["gelu", {"approximate": True}], ["glu", {"axis": 1}], ["hard_shrink", {"threshold": 0.2}],
    ["soft_shrink", {"threshold": 0.2}], ["threshold", {"threshold": 0.5, "default_value": 7.0}], ["squareplus", {"b": 1}],
    ["softmax", {"axis": 0}], ["log_softmax", {"axis": 0}],
]  # fmt: skip
#: where formulas overflow, cancel or divide by 0
EXTREMES = [
    float("-inf"),
    -1e30,
    -1e4,
    -100.0,
    -20.0,
    -1.0,
    -0.5,
    -1e-6,
    -0.0,
    0.0,
    1e-6,
    0.5,
    1.0,
    3.0,
    6.0,
    20.0,
    100.0,
    1e4,
    float("inf"),
    float("nan"),
]
#: class, arguments, shapes of the inputs
LAYERS = [
    ["Dense", {"units": 3, "activation": "tanh"}, [[4, 5]]],
    ["Dense", {"units": 3, "use_bias": False}, [[4, 2, 5]]],
    ["Activation", {"activation": "selu"}, [[4, 5]]],
    ["Flatten", {}, [[4, 2, 3]]],
    ["Reshape", {"target_shape": [3, -1]}, [[4, 2, 6]]],
    ["Permute", {"dims": [2, 1]}, [[4, 2, 6]]],
    ["RepeatVector", {"n": 3}, [[4, 2]]],
    ["Rescaling", {"scale": 0.5, "offset": -1.0}, [[4, 2]]],
    ["Normalization", {"mean": [1.0, 2.0], "variance": [4.0, 9.0]}, [[4, 2]]],
    ["Normalization", {"mean": [1.0, 2.0], "variance": [4.0, 9.0], "invert": True}, [[4, 2]]],
    ["Normalization", {"axis": None, "mean": 1.0, "variance": 4.0}, [[4, 2, 3]]],
    ["Normalization", {"axis": [1, 2], "mean": [1.0, 2.0, 3.0], "variance": [4.0, 9.0, 0.0]}, [[4, 2, 3]]],
    ["UnitNormalization", {}, [[4, 3]]],
    ["UnitNormalization", {"axis": [1, 2]}, [[4, 3, 2]]],
    ["Rescaling", {"scale": [0.5, 2.0, 1.0], "offset": [0.0, 1.0, -1.0]}, [[4, 2, 3]]],
    ["Flatten", {}, [[4]]],
    ["Dropout", {"rate": 0.5}, [[4, 3]]],
    ["Add", {}, [[4, 3], [4, 3], [4, 3]]],
    ["Add", {}, [[2, 3], [2, 2, 3]]],
    ["Multiply", {}, [[4, 2, 3], [4, 1], [4, 1, 3]]],
    ["Subtract", {}, [[4, 3], [4, 3]]],
    ["Multiply", {}, [[4, 3], [4, 3]]],
    ["Average", {}, [[4, 3], [4, 3], [4, 3]]],
    ["Maximum", {}, [[4, 3], [4, 3]]],
    ["Minimum", {}, [[4, 3], [4, 3]]],
    ["Concatenate", {"axis": 1}, [[4, 3, 2], [4, 1, 2]]],
    ["Concatenate", {}, [[4, 3], [4, 1], [4, 2]]],
    ["Dot", {"axes": 1}, [[4, 3], [4, 3]]],
    ["Dot", {"axes": -1}, [[4, 2, 3], [4, 3]]],
    ["Dot", {"axes": [2, 1], "normalize": True}, [[4, 2, 3], [4, 3, 5]]],
    ["ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, [[4, 5]]],
    ["LeakyReLU", {}, [[4, 5]]],
    ["PReLU", {"alpha_initializer": "ones", "shared_axes": [1]}, [[4, 2, 3]]],
    ["PReLU", {}, [[4, 2, 3]]],
    ["ReLU", {}, [[4, 5]]],
    ["ELU", {"alpha": 0.7}, [[4, 5]]],
    ["Softmax", {"axis": [1, 2]}, [[4, 2, 3]]],
    ["Softmax", {"axis": 1}, [[4, 2, 3]]],
]  # fmt: skip
REGULARIZERS = [
    ["L1", {}], ["L2", {"l2": 0.3}], ["L1L2", {"l1": 0.1, "l2": 0.2}], ["L1L2", {}], ["OrthogonalRegularizer", {"factor": 0.5}],
    ["OrthogonalRegularizer", {"mode": "columns"}],
]  # fmt: skip
CONSTRAINTS = [["MaxNorm", {"max_value": 1.0}], ["MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.7, "axis": 1}], ["NonNeg", {}],
               ["UnitNorm", {"axis": 1}], ["MaxNorm", {}], ["MinMaxNorm", {"axis": [0, 1]}]]  # fmt: skip
#: what has a signature in both: names of the arguments and their defaults
SIGNATURES = {
    "activations": [*ACTIVATIONS, "sparsemax", "threshold"],
    "layers": [
        "Activation", "ActivityRegularization", "Concatenate", "Dense", "Dot", "Dropout", "ELU", "Embedding", "GaussianDropout", "GaussianNoise",
        "Lambda", "LeakyReLU", "Normalization", "PReLU", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Softmax", "UnitNormalization",
        "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
    ],
    "initializers": [
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform", "Ones", "Orthogonal",
        "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "glorot_uniform", "zeros",
    ],
    "regularizers": ["L1", "L1L2", "L2", "OrthogonalRegularizer", "l1", "l1_l2", "l2", "orthogonal_regularizer"],
    "constraints": ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "max_norm", "min_max_norm", "non_neg", "unit_norm"],
}  # fmt: skip


def inputs(shapes: list[list[int]], seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) * 2 for shape in shapes]


def weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    return inputs([list(s) for s in shapes], seed=11)


def signature(thing: object) -> list[list]:
    """Names and defaults of the arguments; those without a default have the text "required"."""
    found = inspect.signature(thing).parameters.values()
    return [[p.name, "required" if p.default is p.empty else p.default] for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def adapted(module: object) -> list[list]:
    """What `adapt` finds."""
    x = inputs([[6, 2, 3]])[0]
    found = []
    for axis in (-1, (1, 2), None):
        layer = module.Normalization(axis=axis)
        layer.adapt(x)
        found.append([np.asarray(w).tolist() for w in layer.get_weights()[:2]])
    return found


def main() -> None:
    import keras

    x = inputs([[5, 8]])[0]
    matrix = keras.ops.convert_to_tensor(inputs([[4, 3]])[0])
    found: dict[str, object] = {"layers": (outputs := []), "configurations": (configurations := [])}
    extreme = np.array(EXTREMES, np.float32)
    found["activations"] = [np.asarray(getattr(keras.activations, name)(x)).tolist() for name in ACTIVATIONS]
    found["with arguments"] = [np.asarray(getattr(keras.activations, name)(x, **config)).tolist() for name, config in WITH_ARGUMENTS]
    found["extremes"] = [np.asarray(getattr(keras.activations, name)(extreme)).tolist() for name in ACTIVATIONS]
    for name, config, shapes in LAYERS:
        layer = getattr(keras.layers, name)(**config)
        given = inputs(shapes)
        layer(given[0] if len(given) == 1 else given)
        if layer.trainable_weights:
            layer.set_weights(weights([tuple(w.shape) for w in layer.weights]))
        outputs.append(np.asarray(layer(given[0] if len(given) == 1 else given)).tolist())
        configurations.append(sorted(layer.get_config()))
    found["adapted"] = adapted(keras.layers)
    found["regularizers"] = [float(getattr(keras.regularizers, n)(**c)(matrix)) for n, c in REGULARIZERS]
    found["constraints"] = [np.asarray(getattr(keras.constraints, n)(**c)(matrix)).tolist() for n, c in CONSTRAINTS]
    found["signatures"] = {part: {n: signature(getattr(getattr(keras, part), n)) for n in names} for part, names in SIGNATURES.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
