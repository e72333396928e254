"""Layers that move numbers without changing them: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.errors import ArgumentError, ShapeError
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape


class Flatten(Layer):
    """All axes of an example as one: (batch, 8, 8) becomes (batch, 64).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Flatten()(si.ones((2, 3, 4))).shape
    (2, 12)
    """

    def call(self, x: si.Array) -> si.Array:
        return si.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = [n for n in input_shape[1:] if n is not None]
        return (input_shape[0], math.prod(inner) if len(inner) == len(input_shape) - 1 else None)


class Reshape(Layer):
    """Examples in another shape.

    Parameters
    ----------
    target_shape : tuple of int
        Of an example; one -1 stands for what is left.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the numbers of an example do not fill the shape.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Reshape((2, -1))(si.ones((3, 8))).shape
    (3, 2, 4)
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        shape = tuple(target_shape) if isinstance(target_shape, Sequence) else ()
        if not shape or not all(hasattr(n, "__index__") and (n > 0 or n == -1) for n in shape) or shape.count(-1) > 1:
            raise ArgumentError(
                f'Reshape "{self.name}": target_shape is the shape of an example.',
                expected="a tuple of positive whole numbers, of which one may be -1",
                received=repr(target_shape),
                fix="Reshape((28, 28))",
                slug="reshape-target",
                argument="target_shape=",
            )
        self.target_shape = tuple([int(n) for n in shape])

    def check_input(self, shape: Shape) -> None:
        if None in shape[1:]:
            return
        size, known = math.prod(n or 1 for n in shape[1:]), math.prod(n for n in self.target_shape if n != -1)
        if (size % known if -1 in self.target_shape else size != known) or not known:
            raise ShapeError(
                f'Reshape "{self.name}": an example of {size} numbers does not fill the shape {self.target_shape}.',
                expected=f"a multiple of {known} numbers" if -1 in self.target_shape else f"{known} numbers in an example",
                received=f"{shape}".replace("None", "batch", 1),
                fix="put -1 for one of the lengths, which is then found from the others",
                slug="reshape-example",
                argument="x",
            )

    def call(self, x: si.Array) -> si.Array:
        # the open length follows from an example, so that a batch of none works as well
        open_length = math.prod(x.shape[1:]) // max(math.prod(n for n in self.target_shape if n != -1), 1)
        return si.reshape(x, (x.shape[0], *[open_length if n == -1 else n for n in self.target_shape]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """The axes of an example in another order.

    Parameters
    ----------
    dims : tuple of int
        Numbers of the axes, counted from 1; the batch stays first.
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Permute((2, 1))(si.ones((5, 2, 3))).shape
    (5, 3, 2)
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        found = tuple(dims) if isinstance(dims, Sequence) else ()
        if sorted(found) != list(range(1, len(found) + 1)) or not found:
            raise ArgumentError(
                f'Permute "{self.name}": dims are the axes of an example in their new order.',
                expected="each number from 1 to the number of axes once, such as (2, 1)",
                received=repr(dims),
                fix="Permute((2, 1)) exchanges two axes",
                slug="permute-dims",
                argument="dims=",
            )
        self.dims = found

    def check_input(self, shape: Shape) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ShapeError(
                f'Permute "{self.name}" orders {len(self.dims)} axes, but an example has {len(shape) - 1}.',
                expected=f"{len(self.dims) + 1} axes with the batch",
                received=f"{shape}".replace("None", "batch", 1),
                fix="name all axes of an example in dims",
                slug="permute-dims",
                argument="x",
            )

    def call(self, x: si.Array) -> si.Array:
        return si.permute_dims(x, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": list(self.dims)}


class RepeatVector(Layer):
    """Each example ``n`` times in a new axis: (batch, features) becomes (batch, n, features).

    Parameters
    ----------
    n : int
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.RepeatVector(3)(si.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(n, bool) or not hasattr(n, "__index__") or int(n) < 1:
            raise ArgumentError(
                f'RepeatVector "{self.name}": n must be a positive whole number.',
                expected="an int of at least 1",
                received=repr(n),
                fix="RepeatVector(3)",
                slug="repeat-count",
                argument="n=",
            )
        self.n = int(n)

    def check_input(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise ShapeError(
                f'RepeatVector "{self.name}" repeats vectors.',
                expected="(batch, features), 2 axes",
                received=f"{shape}".replace("None", "batch", 1),
                fix="flatten the examples first: add Flatten() before this layer",
                slug="repeat-input",
                argument="x",
            )

    def call(self, x: si.Array) -> si.Array:
        return si.broadcast_to(si.expand_dims(x, axis=1), (x.shape[0], self.n, x.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
