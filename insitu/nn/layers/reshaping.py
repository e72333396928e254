"""Layers that move numbers without changing them: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import Lengths, Whole, checked
from insitu.arguments.grids import FORMAT
from insitu.errors import ShapeError
from insitu.nn.layer import OneInput
from insitu.nn.shapes import Shape

TARGET = Lengths(
    -1, single=False, rule=lambda shape: bool(shape) and 0 not in shape and shape.count(-1) <= 1, slug="reshape-target", fix="Reshape((28, 28))",
    words="the shape of an example: a tuple of positive whole numbers, of which one may be -1",
)  # fmt: skip
ORDER = Lengths(
    1, single=False, rule=lambda dims: bool(dims) and sorted(dims) == list(range(1, len(dims) + 1)), slug="permute-dims",
    words="each number from 1 to the number of axes once, such as (2, 1)", fix="Permute((2, 1)) exchanges two axes",
)  # fmt: skip


class Flatten(OneInput):
    """All axes of an example as one: (batch, 8, 8) becomes (batch, 64).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        With "channels_first", the axis behind the batch is moved to the end first, so that weights behind this layer fit both.
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Flatten()(si.ones((2, 3, 4))).shape
    (2, 12)
    """

    @checked(data_format=FORMAT)
    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format or "channels_last"

    def check_input(self, shape: Shape) -> None:
        if not shape:
            raise ShapeError(
                f'Flatten "{self.name}" needs a batch of examples.', expected="(batch, ...), 1 axis or more", received="a single number, shape ()",
                fix="add the axis of the batch: x[None]", slug="no-axes", argument="x|input_shape",
            )  # fmt: skip

    def call(self, x: si.Array) -> si.Array:
        x = si.moveaxis(x, 1, -1) if self.data_format == "channels_first" and x.ndim > 2 else x
        return si.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = [n for n in input_shape[1:] if n is not None]
        return (input_shape[0], math.prod(inner) if len(inner) == len(input_shape) - 1 else None)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(OneInput):
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

    @checked(target_shape=TARGET)
    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

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


class Permute(OneInput):
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

    @checked(dims=ORDER)
    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)

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


class RepeatVector(OneInput):
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

    @checked(n=Whole(1, slug="repeat-count", fix="RepeatVector(3)"))
    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = n

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
