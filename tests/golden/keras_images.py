"""What Keras' layers for sequences, images and volumes give, as JSON: ``KERAS_BACKEND=jax python keras_images.py > keras_images.json``.

With a number k it computes every k-th entry only, as each takes JAX a while.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from keras_layers import inputs, signature

FIRST = {"data_format": "channels_first"}
#: class, arguments, shape of the input: odd sizes, strides past the kernel, dilation with padding, groups, nothing at all
LAYERS = [
    ["Conv1D", {"filters": 4, "kernel_size": 3}, [2, 7, 3]],
    ["Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "activation": "tanh"}, [2, 7, 3]],
    ["Conv1D", {"filters": 4, "kernel_size": 2, "padding": "causal", "strides": 3, **FIRST}, [2, 3, 8]],
    ["Conv1D", {"filters": 6, "kernel_size": 4, "padding": "same", "strides": 2, "groups": 3, "use_bias": False}, [2, 7, 3]],
    ["Conv2D", {"filters": 4, "kernel_size": 3}, [2, 7, 6, 3]],
    ["Conv2D", {"filters": 4, "kernel_size": [3, 2], "strides": [1, 2], "padding": "same", "activation": "relu"}, [2, 7, 6, 3]],
    ["Conv2D", {"filters": 5, "kernel_size": 3, "padding": "same", "dilation_rate": [2, 3]}, [1, 9, 8, 2]],
    ["Conv2D", {"filters": 4, "kernel_size": 2, "strides": 3}, [2, 8, 7, 3]],
    ["Conv2D", {"filters": 4, "kernel_size": 1, "strides": 2, "padding": "same"}, [2, 5, 5, 3]],
    ["Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same", "groups": 2}, [2, 5, 4, 4]],
    ["Conv2D", {"filters": 4, "kernel_size": 3, "groups": 4, "strides": 2, "padding": "same"}, [2, 5, 6, 4]],
    ["Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu", **FIRST}, [2, 3, 7, 6]],
    ["Conv2D", {"filters": 6, "kernel_size": [2, 3], "groups": 2, "dilation_rate": 2, **FIRST}, [2, 4, 6, 7]],
    ["Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}, [0, 7, 6, 3]],
    ["Conv3D", {"filters": 3, "kernel_size": 2}, [1, 4, 5, 3, 2]],
    ["Conv3D", {"filters": 4, "kernel_size": [1, 3, 2], "strides": 2, "padding": "same", "groups": 2, **FIRST}, [1, 2, 4, 5, 3]],
    ["DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, [2, 7, 3]],
    ["DepthwiseConv1D", {"kernel_size": 3, "padding": "same", "strides": 2, **FIRST}, [2, 3, 8]],
    ["DepthwiseConv2D", {"kernel_size": 3, "activation": "relu"}, [2, 7, 6, 3]],
    ["DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}, [2, 7, 6, 3]],
    ["DepthwiseConv2D", {"kernel_size": [2, 3], "padding": "same", "dilation_rate": 2, **FIRST}, [2, 3, 7, 6]],
    ["SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "depth_multiplier": 2}, [2, 7, 3]],
    ["SeparableConv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, [2, 7, 6, 3]],
    ["SeparableConv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2, **FIRST}, [2, 3, 7, 6]],
    ["SeparableConv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, [2, 5, 6, 3]],
    ["Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, [2, 5, 3]],
    ["Conv1DTranspose", {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 2, **FIRST}, [2, 3, 5]],
    ["Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, [2, 4, 5, 3]],
    ["Conv2DTranspose", {"filters": 4, "kernel_size": 2, "strides": 3, "activation": "relu"}, [2, 4, 5, 3]],
    ["Conv2DTranspose", {"filters": 4, "kernel_size": [5, 4], "strides": 2, "padding": "same", "output_padding": 1}, [2, 4, 3, 3]],
    ["Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": [1, 0], **FIRST}, [2, 3, 4, 5]],
    ["Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}, [1, 4, 5, 3]],
    ["Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2}, [1, 2, 3, 2, 3]],
    ["Conv3DTranspose", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": [1, 2, 1], **FIRST}, [1, 3, 2, 3, 2]],
    ["MaxPooling1D", {}, [2, 7, 3]],
    ["MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same", **FIRST}, [2, 3, 8]],
    ["MaxPooling2D", {}, [2, 7, 6, 3]],
    ["MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, [2, 8, 7, 3]],
    ["MaxPooling2D", {"pool_size": [2, 1], "strides": [3, 2], **FIRST}, [2, 3, 8, 7]],
    ["MaxPooling2D", {}, [0, 7, 6, 3]],
    ["MaxPooling3D", {"strides": 1}, [1, 3, 4, 3, 2]],
    ["AveragePooling1D", {"pool_size": 3, "padding": "same", "strides": 1}, [2, 7, 3]],
    ["AveragePooling2D", {"pool_size": 2}, [2, 7, 6, 3]],
    ["AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, [2, 8, 7, 3]],
    ["AveragePooling2D", {"pool_size": [3, 2], "padding": "same", **FIRST}, [2, 3, 7, 5]],
    ["AveragePooling3D", {"pool_size": 2, "padding": "same"}, [1, 3, 4, 3, 2]],
    ["GlobalMaxPooling1D", {}, [2, 7, 3]],
    ["GlobalMaxPooling2D", {"keepdims": True}, [2, 5, 4, 3]],
    ["GlobalMaxPooling3D", {**FIRST}, [2, 3, 2, 4, 3]],
    ["GlobalAveragePooling1D", {"keepdims": True, **FIRST}, [2, 3, 7]],
    ["GlobalAveragePooling2D", {}, [2, 5, 4, 3]],
    ["GlobalAveragePooling2D", {**FIRST, "keepdims": True}, [2, 3, 5, 4]],
    ["GlobalAveragePooling3D", {}, [2, 2, 4, 3, 3]],
    ["AdaptiveAveragePooling1D", {"output_size": 3}, [2, 7, 3]],
    ["AdaptiveAveragePooling2D", {"output_size": [3, 2]}, [2, 7, 5, 3]],
    ["AdaptiveAveragePooling2D", {"output_size": 4, **FIRST}, [2, 3, 6, 9]],
    ["AdaptiveAveragePooling3D", {"output_size": 2}, [1, 3, 4, 5, 2]],
    ["BatchNormalization", {}, [4, 3]],
    ["BatchNormalization", {"momentum": 0.9, "epsilon": 0.1}, [2, 4, 5, 3]],
    ["BatchNormalization", {"axis": 1, "scale": False}, [2, 3, 4, 5]],
    ["BatchNormalization", {"center": False}, [2, 4, 3]],
    ["BatchNormalization", {"axis": 2}, [2, 4, 3, 2]],
    ["LayerNormalization", {}, [2, 4, 5]],
    ["LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, [2, 4, 5, 3]],
    ["LayerNormalization", {"axis": 1, "center": False}, [2, 4, 5]],
    ["LayerNormalization", {"axis": [1, 3], "scale": False}, [2, 4, 2, 3]],
    ["LayerNormalization", {"rms_scaling": True}, [2, 4, 5]],
    ["GroupNormalization", {"groups": 2}, [2, 4, 3, 6]],
    ["GroupNormalization", {"groups": -1, "epsilon": 0.1}, [2, 4, 3, 3]],
    ["GroupNormalization", {"groups": 3, "axis": 1, "center": False}, [2, 6, 4, 3]],
    ["GroupNormalization", {"groups": 1, "scale": False}, [3, 5]],
    ["SpatialDropout1D", {"rate": 0.5}, [2, 4, 3]],
    ["SpatialDropout2D", {"rate": 0.5, **FIRST}, [2, 3, 4, 5]],
    ["SpatialDropout3D", {"rate": 0.25}, [2, 2, 2, 3, 4]],
    ["ZeroPadding1D", {}, [2, 4, 3]],
    ["ZeroPadding1D", {"padding": [2, 0], **FIRST}, [2, 3, 4]],
    ["ZeroPadding2D", {"padding": [1, 2]}, [2, 4, 5, 3]],
    ["ZeroPadding2D", {"padding": [[1, 0], [0, 3]], **FIRST}, [2, 3, 4, 5]],
    ["ZeroPadding3D", {"padding": [[1, 0], [0, 2], [1, 1]]}, [1, 2, 3, 2, 2]],
    ["Cropping1D", {}, [2, 4, 3]],
    ["Cropping1D", {"cropping": [0, 2]}, [2, 4, 3]],
    ["Cropping2D", {}, [2, 4, 5, 3]],
    ["Cropping2D", {"cropping": 1}, [2, 4, 5, 3]],
    ["Cropping2D", {"cropping": [[1, 0], [0, 3]], **FIRST}, [2, 3, 4, 5]],
    ["Cropping3D", {"cropping": [1, 0, 1]}, [1, 3, 3, 4, 2]],
    ["UpSampling1D", {"size": 3}, [2, 4, 3]],
    ["UpSampling2D", {}, [2, 4, 3, 3]],
    ["UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, [2, 4, 3, 3]],
    ["UpSampling2D", {"size": [1, 2], "interpolation": "bilinear", **FIRST}, [2, 3, 4, 3]],
    ["UpSampling3D", {"size": [1, 2, 3]}, [1, 2, 3, 2, 2]],
    ["Flatten", {**FIRST}, [2, 3, 4, 5]],
]  # fmt: skip
#: image, size, method
RESIZED = [
    [[2, 5, 7, 3], [10, 14], "bilinear"], [[2, 5, 7, 3], [10, 14], "nearest"], [[2, 5, 7, 3], [3, 9], "bilinear"],
    [[2, 5, 7, 3], [3, 9], "nearest"], [[1, 8, 6, 1], [4, 2], "bilinear"], [[1, 8, 6, 1], [4, 2], "nearest"], [[1, 4, 4, 2], [1, 1], "bilinear"],
    [[1, 1, 1, 2], [3, 4], "bilinear"], [[1, 9, 5, 2], [7, 23], "nearest"],
]  # fmt: skip
LOSSES = [
    ["BinaryFocalCrossentropy", {}], ["BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0}],
    ["BinaryFocalCrossentropy", {"from_logits": True}], ["BinaryFocalCrossentropy", {"label_smoothing": 0.2, "axis": 0}],
    ["BinaryFocalCrossentropy", {"from_logits": True, "apply_class_balancing": True, "label_smoothing": 0.1}],
    ["CategoricalFocalCrossentropy", {}], ["CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.7], "gamma": 1.0}],
    ["CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 1.0}], ["CategoricalFocalCrossentropy", {"label_smoothing": 0.1}],
    ["CategoricalFocalCrossentropy", {"axis": 1}], ["Dice", {}], ["Dice", {"axis": [1, 2]}], ["Tversky", {}],
    ["Tversky", {"alpha": 0.3, "beta": 0.7}], ["Tversky", {"axis": [1, 2], "alpha": 0.8}],
]  # fmt: skip


def layer_weights(layer: object) -> list[np.ndarray]:
    """Drawn values for all weights; variances are not negative."""
    drawn = inputs([list(w.shape) for w in layer.weights], seed=11)
    return [abs(v) if "variance" in w.name else v for v, w in zip(drawn, layer.weights, strict=True)]


def loss_inputs(name: str, config: dict) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions of shape (2, 3, 2, 3)."""
    x = inputs([[2, 3, 2, 3]])[0]
    one_hot = np.eye(3, dtype=np.float32)[np.arange(12).reshape(2, 3, 2) * 7 % 5 % 3]
    if config.get("from_logits"):
        return one_hot, x
    p = 1 / (1 + np.exp(-x))
    return one_hot, p / p.sum(-1, keepdims=True) if name.startswith("Categorical") else p


def listed(x: object) -> object:
    """Nested lists with what float32 tells, so that the file is small."""
    return np.char.mod("%.7g", np.asarray(x, np.float64)).astype(np.float64).tolist()


def main(step: int) -> None:
    import keras

    found: dict[str, list] = {"layers": [], "shapes": [], "configurations": [], "trained": []}
    for name, config, shape in LAYERS[::step]:
        layer = getattr(keras.layers, name)(**config)
        x = inputs([shape])[0]
        layer(x)
        layer.set_weights(layer_weights(layer))
        y = np.asarray(layer(x))
        found["layers"].append(listed(y))
        found["shapes"].append(list(y.shape))
        found["configurations"].append(sorted(layer.get_config()))
        if name == "BatchNormalization":
            found["trained"].append([listed(layer(x, training=True)), *[listed(w) for w in layer.get_weights()]])
    found["resized"] = [
        listed(keras.ops.image.resize(inputs([shape])[0], size, interpolation=method, antialias=False)) for shape, size, method in RESIZED[::step]
    ]
    found["losses"] = []
    for name, config in LOSSES[::step]:
        y, p = loss_inputs(name, config)
        loss = getattr(keras.losses, name)(**config)
        found["losses"].append([float(loss(y, p)), listed(getattr(keras.losses, name)(**config, reduction=None)(y, p))])
    names = {"layers": sorted({n for n, _, _ in LAYERS}), "losses": sorted({n for n, _ in LOSSES} | {
        "binary_focal_crossentropy", "categorical_focal_crossentropy", "dice", "tversky"})}  # fmt: skip
    found["signatures"] = {part: {n: signature(getattr(getattr(keras, part), n)) for n in some} for part, some in names.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
