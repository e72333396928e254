"""What Keras' optimizers and schedules give, as JSON on standard output: ``KERAS_BACKEND=jax python keras_optimizers.py > keras_optimizers.json``."""

from __future__ import annotations

import json

import numpy as np

STEPS = 9
#: class name, arguments
CASES = [
    ["SGD", {"learning_rate": 0.1}],
    ["SGD", {"learning_rate": 0.1, "momentum": 0.9}],
    ["SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}],
    ["SGD", {"learning_rate": 0.1, "weight_decay": 0.05}],
    ["SGD", {"learning_rate": 0.1, "clipnorm": 0.5}],
    ["SGD", {"learning_rate": 0.1, "clipvalue": 0.3}],
    ["SGD", {"learning_rate": 0.1, "global_clipnorm": 0.7}],
    ["SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}],
    ["SGD", {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": 2}],
    ["Adam", {"learning_rate": 0.01, "gradient_accumulation_steps": 3}],
    ["Adam", {"learning_rate": 0.01}],
    ["Adam", {"learning_rate": 0.01, "amsgrad": True, "beta_1": 0.8}],
    ["AdamW", {"learning_rate": 0.01}],
    ["Adamax", {"learning_rate": 0.01}],
    ["Nadam", {"learning_rate": 0.01}],
    ["RMSprop", {"learning_rate": 0.01}],
    ["RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}],
    ["Adagrad", {"learning_rate": 0.1}],
    ["Adadelta", {"learning_rate": 1.0}],
    ["Ftrl", {"learning_rate": 0.1}],
    ["Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02,
              "l2_shrinkage_regularization_strength": 0.03, "beta": 0.1, "learning_rate_power": -0.4}],
    ["Lion", {"learning_rate": 0.01}],
]  # fmt: skip
SCHEDULES = [
    ["ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.7}],
    ["ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.7, "staircase": True}],
    ["InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}],
    ["PiecewiseConstantDecay", {"boundaries": [5, 20], "values": [0.3, 0.2, 0.1]}],
    ["PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 2.0}],
    ["PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 0.5, "cycle": True}],
    ["CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "alpha": 0.1}],
    ["CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 20, "warmup_target": 0.1, "warmup_steps": 5}],
    ["CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7, "m_mul": 0.8}],
    ["CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7, "t_mul": 1.0, "alpha": 0.2}],
]
AT = [0, 1, 4, 5, 6, 10, 13, 20, 21, 33, 50]


def parameters() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def gradients(step: int) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def main() -> None:
    import keras

    found = []
    for name, config in CASES:
        optimizer = getattr(keras.optimizers, name)(**config)
        variables = [keras.Variable(p) for p in parameters()]
        optimizer.build(variables)
        for step in range(STEPS):
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], variables)
        found.append([np.asarray(v.value).tolist() for v in variables])
    rates = [[float(getattr(keras.optimizers.schedules, n)(**c)(keras.ops.convert_to_tensor(at))) for at in AT] for n, c in SCHEDULES]
    print(json.dumps({"optimizers": found, "schedules": rates}))


if __name__ == "__main__":
    main()
