"""Neural networks with Keras' names, defaults and shapes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from insitu import registry as registry  # si.nn.registry finds the functions of the user by name
from insitu.nn import activations, constraints, initializers, layers, losses, metrics, regularizers
from insitu.nn.functional import Symbol
from insitu.nn.layer import deserialize, serialize
from insitu.nn.layers import *  # noqa: F403
from insitu.nn.model import Functional, Model
from insitu.nn.operation import Operation as Operation  # files may name it
from insitu.nn.sequential import Sequential
from insitu.registry import register

if TYPE_CHECKING:
    from insitu.nn import callbacks, pictures
    from insitu.nn.callbacks import History

__all__ = [
    "Functional", "History", "Model", "Sequential", "Symbol", "activations", "callbacks", "constraints", "deserialize", "initializers",
    "layers", "losses", "metrics", "pictures", "register", "regularizers", "serialize",
]  # fmt: skip
__all__ += layers.__all__


def __getattr__(name: str) -> Any:
    """Modules that are imported when they are first used: programs that only predict need neither."""
    if name in ("callbacks", "pictures"):
        return importlib.import_module(f"insitu.nn.{name}")
    if name == "History":
        return importlib.import_module("insitu.nn.callbacks").History
    raise AttributeError(f"module 'insitu.nn' has no attribute {name!r}")
