"""Layers with Keras' names, defaults and weight layouts."""

from __future__ import annotations

from insitu.nn.functional import Input
from insitu.nn.layer import Layer
from insitu.nn.layers.activating import ELU, LeakyReLU, PReLU, ReLU, Softmax
from insitu.nn.layers.core import Activation, Dense
from insitu.nn.layers.embedding import Embedding
from insitu.nn.layers.function import Lambda
from insitu.nn.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)  # fmt: skip
from insitu.nn.layers.noise import ActivityRegularization, Dropout, GaussianDropout, GaussianNoise
from insitu.nn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from insitu.nn.layers.scaling import Normalization, Rescaling, UnitNormalization

__all__ = [
    "ELU", "Activation", "ActivityRegularization", "Add", "Average", "Concatenate", "Dense", "Dot", "Dropout", "Embedding", "Flatten",
    "GaussianDropout", "GaussianNoise", "Input", "Lambda", "Layer", "LeakyReLU", "Maximum", "Minimum", "Multiply", "Normalization", "PReLU",
    "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Softmax", "Subtract", "UnitNormalization", "add", "average", "concatenate",
    "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip
