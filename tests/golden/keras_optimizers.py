"""What Keras' optimizers and schedules give, as JSON on standard output: ``KERAS_BACKEND=jax python keras_optimizers.py > keras_optimizers.json``."""

from __future__ import annotations

import json

import numpy as np

STEPS = 10
SCHEDULE = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}}
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
    ["SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 3}],
    ["SGD", {"learning_rate": SCHEDULE, "weight_decay": 0.1, "gradient_accumulation_steps": 2}],
    ["Adam", {"learning_rate": SCHEDULE, "clipvalue": 0.4}],
]  # fmt: skip
#: all ways of changing a step at once, for every rule
CASES += [
    [name, {"learning_rate": 0.05, "weight_decay": 0.1, clip: 0.6, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 4,
            "gradient_accumulation_steps": 2}]
    for name, clip in [("SGD", "clipnorm"), ("Adam", "global_clipnorm"), ("AdamW", "clipvalue"), ("Adamax", "clipnorm"),
                       ("Nadam", "global_clipnorm"), ("RMSprop", "clipvalue"), ("Adagrad", "clipnorm"), ("Adadelta", "global_clipnorm"),
                       ("Ftrl", "clipvalue"), ("Lion", "clipnorm")]
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
    ["CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7.5, "t_mul": 1.5, "alpha": 0.2}],
]
AT = [*range(64), 100, 1000]


def parameters() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def gradients(step: int) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def main() -> None:
    import jax
    import keras

    found = []
    for name, config in CASES:
        rate = config["learning_rate"]
        if isinstance(rate, dict):
            rate = getattr(keras.optimizers.schedules, rate["class_name"])(**rate["config"])
        optimizer = getattr(keras.optimizers, name)(**{**config, "learning_rate": rate})
        variables = [keras.Variable(p) for p in parameters()]
        optimizer.build(variables)
        state, values = [v.value for v in optimizer.variables], [v.value for v in variables]
        apply = jax.jit(optimizer.stateless_apply)
        for step in range(STEPS):
            values, state = apply(state, gradients(step), values)
        found.append([np.asarray(v).tolist() for v in values])
    steps = np.asarray(AT, np.int32)
    rates = [np.asarray(jax.vmap(getattr(keras.optimizers.schedules, n)(**c))(steps)).tolist() for n, c in SCHEDULES]
    print(json.dumps({"optimizers": found, "schedules": [[float(f"{r:.9g}") for r in rate] for rate in rates]}))


if __name__ == "__main__":
    main()
