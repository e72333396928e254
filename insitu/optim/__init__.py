"""Optimizers and learning-rate schedules with Keras' names, defaults and formulas."""

from __future__ import annotations

from insitu.optim import schedules
from insitu.optim.adam import Adam, Adamax, AdamW, Nadam
from insitu.optim.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from insitu.optim.base import Optimizer, get, serialize
from insitu.optim.sgd import SGD, Lion

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "Optimizer", "RMSprop", "get", "schedules", "serialize",
]  # fmt: skip
