"""Neural networks with Keras' names, defaults and shapes."""

from __future__ import annotations

from insitu.nn import activations, callbacks, initializers, losses, metrics
from insitu.nn.callbacks import History
from insitu.nn.functional import Input, Symbol
from insitu.nn.layer import Layer
from insitu.nn.layers import Dense, Flatten
from insitu.nn.model import Functional, Model
from insitu.nn.registry import register
from insitu.nn.sequential import Sequential

__all__ = ["Dense", "Flatten", "Functional", "History", "Input", "Layer", "Model", "Sequential", "Symbol", "activations", "callbacks", "initializers",
           "losses", "metrics", "register"]  # fmt: skip
