"""Embedding: rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

import insitu as si
from insitu.arguments import Whole, checked
from insitu.errors import ArgumentError, DTypeError
from insitu.nn import constraints, initializers, regularizers
from insitu.nn.declared import CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layer import OneInput
from insitu.nn.layers.core import built
from insitu.nn.shapes import Shape

DIMENSION = Whole(1, slug="embedding-dimensions", fix="pass the number of words and the length of their vectors: Embedding(1000, 16)")


class Embedding(OneInput):
    """A row of a table for each whole number: (batch, ...) becomes (batch, ..., output_dim).

    Parameters
    ----------
    input_dim : int
        Rows: the numbers are from 0 to ``input_dim - 1``.
    output_dim : int
        Length of a row.
    embeddings_initializer : str, initializer or callable
    embeddings_regularizer, embeddings_constraint : str or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If a dimension is no positive whole number; on use, for numbers out of range.
    DTypeError
        On use, for numbers that are not whole.

    Notes
    -----
    ``embeddings``: (input_dim, output_dim). Numbers out of range raise an error where the layer sees the data: when it is called
    on an array, and before `Model.fit`, `evaluate` and `predict` begin. Inside a compiled step they are moved to the nearest row.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Embedding(10, 4)(si.asarray([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    @checked(
        input_dim=DIMENSION, output_dim=DIMENSION, embeddings_initializer=INITIALIZER, embeddings_regularizer=REGULARIZER,
        embeddings_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform", embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer, self.embeddings_constraint = embeddings_regularizer, embeddings_constraint
        self.embeddings: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, "embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip

    def check_values(self, x: Any) -> None:
        if not isinstance(x, np.ndarray) or not x.size:
            return
        low, high = x.min(), x.max()
        broken = x[~np.isfinite(x) | (x != np.rint(x))] if x.dtype.kind == "f" else x.reshape(-1)[:0]
        if x.dtype.kind == "b" or broken.size:
            raise self._not_whole(f"{x.dtype} values such as {broken.flat[0]}" if broken.size else f"{x.dtype}")
        if low < 0 or high >= self.input_dim:
            raise ArgumentError(
                f'Embedding "{self.name}" has {self.input_dim} rows, but the data ask for others.',
                expected=f"whole numbers from 0 to {self.input_dim - 1}",
                received=f"values from {int(low)} to {int(high)}",
                fix=f"Embedding({int(high) + 1}, {self.output_dim})" if low >= 0 else "number the words from 0",
                slug="embedding-range",
                argument="x",
            )

    def _not_whole(self, received: str) -> DTypeError:
        return DTypeError(
            f'Embedding "{self.name}" needs whole numbers.',
            expected=f"numbers from 0 to {self.input_dim - 1}",
            received=received,
            fix='convert them: x.astype("int32")',
            slug="embedding-dtype",
            argument="x",
        )

    def _as_input(self, x: Any) -> Any:
        array = x if isinstance(x, si.Array) else si.asarray(x)
        if array._node.memory is not None:  # values, not the symbol of a compiled step
            self.check_values(np.asarray(array))
        return array

    def call(self, x: si.Array) -> si.Array:
        if x.dtype is si.bool:
            raise self._not_whole(f"{tuple(x.shape)} {x.dtype.name}")
        return si.take(built(self.embeddings), x if x.dtype.is_integer else x.astype(si.int32), axis=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
        }
