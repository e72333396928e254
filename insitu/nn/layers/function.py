"""Lambda: any function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from insitu import registry
from insitu.arguments import Function, Instance, Lengths, checked
from insitu.nn.layer import Layer
from insitu.nn.shapes import is_shape


class Stored(Function):
    """A function, or what a file knows it by."""

    def take(self, value: Any) -> Any:
        return super().take(registry.find_function(value["function"]) if isinstance(value, Mapping) and "function" in value else value)

    def __str__(self) -> str:
        return "a function of arrays"


class Lambda(Layer):
    """A function of arrays as a layer.

    Parameters
    ----------
    function : callable
        Takes the input, and ``training`` if it has an argument of that name; array operations only.
    output_shape : tuple or callable, optional
        Shape of an example of the output, or a function from shape to shape, both with the batch; found by tracing if not given.
    arguments : dict, optional
        Keyword arguments of the function.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If ``function`` is none.

    Notes
    -----
    A model with a Lambda can be stored if the function is registered: `insitu.nn.register`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Lambda(lambda x: x * 2)(si.ones((1, 2)))
    Array([[2., 2.]], dtype=float32)
    """

    @checked(
        function=Stored(slug="lambda-function", fix="pass the function itself, without calling it: lambda x: x * 2"),
        output_shape=Lengths(unknown=True, single=False) | Stored() | None,
        arguments=Instance(Mapping, "a dict of keyword arguments", fits=({},)) | None,
    )
    def __init__(self, function: Any, output_shape: Any = None, *, arguments: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.function, self.output_shape, self.arguments = function, output_shape, dict(arguments or {})
        self._tells = "training" in _parameters(self.function)

    def call(self, x: Any, training: bool = False) -> Any:
        given = {**self.arguments, "training": training} if self._tells else self.arguments
        return self.function(x, **given)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self.output_shape):
            return self.output_shape(input_shape)
        return (input_shape[0] if is_shape(input_shape) else None, *self.output_shape)

    def get_config(self) -> dict[str, Any]:
        shape = list(self.output_shape) if isinstance(self.output_shape, tuple) else self.output_shape
        return {
            **super().get_config(),
            "function": registry.config_of("Lambda", self.function),
            "output_shape": registry.config_of("output_shape", shape) if callable(shape) else shape,
            "arguments": self.arguments,
        }


def _parameters(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # functions written in C have no signature
        return {}
