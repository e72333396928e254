"""Neural networks with Keras' names, defaults and shapes."""

from __future__ import annotations

from insitu.nn import activations, initializers, losses, metrics
from insitu.nn.history import History
from insitu.nn.layer import Layer
from insitu.nn.layers import Dense, Flatten
from insitu.nn.model import Model
from insitu.nn.sequential import Sequential

__all__ = ["Dense", "Flatten", "History", "Layer", "Model", "Sequential", "activations", "initializers", "losses", "metrics"]
