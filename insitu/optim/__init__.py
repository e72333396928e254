"""Optimizers with Keras' names, defaults and formulas."""

from __future__ import annotations

from insitu.optim.adam import Adam
from insitu.optim.base import Optimizer, get
from insitu.optim.sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "get"]
