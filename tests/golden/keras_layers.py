"""What Keras' layers, activations, regularizers and constraints give, as JSON: ``KERAS_BACKEND=jax python keras_layers.py > keras_layers.json``."""

from __future__ import annotations

import json

import numpy as np

ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
]  # fmt: skip
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
    ["UnitNormalization", {}, [[4, 3]]],
    ["Add", {}, [[4, 3], [4, 3], [4, 3]]],
    ["Subtract", {}, [[4, 3], [4, 3]]],
    ["Multiply", {}, [[4, 3], [4, 3]]],
    ["Average", {}, [[4, 3], [4, 3], [4, 3]]],
    ["Maximum", {}, [[4, 3], [4, 3]]],
    ["Minimum", {}, [[4, 3], [4, 3]]],
    ["Concatenate", {"axis": 1}, [[4, 3, 2], [4, 1, 2]]],
    ["Dot", {"axes": 1}, [[4, 3], [4, 3]]],
    ["Dot", {"axes": [2, 1], "normalize": True}, [[4, 2, 3], [4, 3, 5]]],
    ["ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, [[4, 5]]],
    ["LeakyReLU", {}, [[4, 5]]],
    ["PReLU", {"alpha_initializer": "ones", "shared_axes": [1]}, [[4, 2, 3]]],
    ["ELU", {"alpha": 0.7}, [[4, 5]]],
    ["Softmax", {"axis": 1}, [[4, 2, 3]]],
]  # fmt: skip
REGULARIZERS = [["L1", {}], ["L2", {"l2": 0.3}], ["L1L2", {"l1": 0.1, "l2": 0.2}], ["OrthogonalRegularizer", {"factor": 0.5}],
                ]  # fmt: skip
CONSTRAINTS = [["MaxNorm", {"max_value": 1.0}], ["MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.7, "axis": 1}], ["NonNeg", {}],
               ["UnitNorm", {"axis": 1}]]  # fmt: skip


def inputs(shapes: list[list[int]], seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) * 2 for shape in shapes]


def weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    return inputs([list(s) for s in shapes], seed=11)


def main() -> None:
    import keras

    x = inputs([[5, 8]])[0]
    matrix = inputs([[4, 3]])[0]
    found: dict[str, list] = {"layers": []}
    found["activations"] = [np.asarray(getattr(keras.activations, name)(x)).tolist() for name in ACTIVATIONS]
    for name, config, shapes in LAYERS:
        layer = getattr(keras.layers, name)(**config)
        given = inputs(shapes)
        layer(given[0] if len(given) == 1 else given)
        if layer.trainable_weights:
            layer.set_weights(weights([tuple(w.shape) for w in layer.weights]))
        found["layers"].append(np.asarray(layer(given[0] if len(given) == 1 else given)).tolist())
    found["regularizers"] = [float(getattr(keras.regularizers, n)(**c)(matrix)) for n, c in REGULARIZERS]
    found["constraints"] = [np.asarray(getattr(keras.constraints, n)(**c)(matrix)).tolist() for n, c in CONSTRAINTS]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
