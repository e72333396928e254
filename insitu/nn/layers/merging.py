"""Layers that make one array of several: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import ARRAYS, AXES, AXIS, FLAG, checked, written
from insitu.errors import ArgumentError, ShapeError
from insitu.nn.functional import Symbol
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape, checked_axes, is_shape
from insitu.nn.vectors import unit


class _Merge(Layer):
    """Takes a list of arrays."""

    #: least and largest number of inputs
    counts: tuple[int, int | None] = (1, None)

    def check_input(self, shape: Any) -> None:
        low, high = self.counts
        number = 1 if is_shape(shape) else len(shape)
        listed = not isinstance(shape, dict) and not is_shape(shape) and all(is_shape(s) for s in shape)
        if not listed or number < low or (high is not None and number > high):
            raise ShapeError(
                f'{type(self).__name__} "{self.name}" takes a list of arrays.',
                expected=f"{low} arrays" if high == low else f"a list of at least {low}",
                received=f"one array of shape {written(shape)}" if is_shape(shape) else f"{number} arrays" if listed else f"a {_form(shape)}",
                fix=f"{type(self).__name__}()([a, b])",
                slug="merge-inputs",
                argument="x",
            )
        shapes = [tuple(s) for s in shape]
        if len({s[0] for s in shapes if s} - {None}) > 1 or () in shapes:
            raise self.differ(shapes, "batches of one length")
        self.check_shapes(shapes)

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        """Raise `ShapeError` if the shapes do not fit each other."""

    def differ(self, shapes: Sequence[Shape], expected: str) -> ShapeError:
        """The error for shapes that do not fit."""
        return ShapeError(
            f'{type(self).__name__} "{self.name}" cannot put these arrays together.',
            expected=expected,
            received=", ".join(written(s) for s in shapes),
            fix="give the layers before it equal numbers of units",
            slug="merge-shapes",
            argument="x",
        )


def _form(tree: Any) -> str:
    return "dict" if isinstance(tree, dict) else "list of lists"


class _ElementWise(_Merge):
    """Combines places of examples with each other; an array with fewer axes gets axes of length 1 behind the batch."""

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        for a, b in itertools.combinations(shapes, 2):
            pairs = zip(reversed(a[1:]), reversed(b[1:]), strict=False)
            if any(None not in (m, n) and m != n and 1 not in (m, n) for m, n in pairs):
                raise self.differ(shapes, "shapes that are equal, or 1, in each axis")

    def call(self, x: Any) -> Any:
        ndim = max(a.ndim for a in x)
        return self.merged([si.reshape(a, (a.shape[0], *[1] * (ndim - a.ndim), *a.shape[1:])) if a.ndim < ndim else a for a in x])

    def merged(self, x: list[si.Array]) -> si.Array:
        """The result for arrays of one rank."""
        raise NotImplementedError(f"{type(self).__name__} has no merged")


class Add(_ElementWise):
    """The sum of all inputs.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Add()([si.ones((1, 2)), si.ones((1, 2))])
    Array([[2., 2.]], dtype=float32)
    """

    def merged(self, x: list[si.Array]) -> si.Array:
        return functools.reduce(si.add, x)


class Subtract(_ElementWise):
    """The first input less the second.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Subtract()([si.asarray([[3.0]]), si.asarray([[1.0]])])
    Array([[2.]], dtype=float32)
    """

    counts = (2, 2)

    def merged(self, x: list[si.Array]) -> si.Array:
        return x[0] - x[1]


class Multiply(_ElementWise):
    """The product of all inputs.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Multiply()([si.asarray([[3.0]]), si.asarray([[2.0]])])
    Array([[6.]], dtype=float32)
    """

    def merged(self, x: list[si.Array]) -> si.Array:
        return functools.reduce(si.multiply, x)


class Average(_ElementWise):
    """The mean of all inputs.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Average()([si.asarray([[3.0]]), si.asarray([[1.0]])])
    Array([[2.]], dtype=float32)
    """

    def merged(self, x: list[si.Array]) -> si.Array:
        return functools.reduce(si.add, x) / len(x)


class Maximum(_ElementWise):
    """The largest of all inputs, place by place.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Maximum()([si.asarray([[3.0, 1.0]]), si.asarray([[1.0, 2.0]])])
    Array([[3., 2.]], dtype=float32)
    """

    def merged(self, x: list[si.Array]) -> si.Array:
        return functools.reduce(si.maximum, x)


class Minimum(_ElementWise):
    """The smallest of all inputs, place by place.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Minimum()([si.asarray([[3.0, 1.0]]), si.asarray([[1.0, 2.0]])])
    Array([[1., 1.]], dtype=float32)
    """

    def merged(self, x: list[si.Array]) -> si.Array:
        return functools.reduce(si.minimum, x)


class Concatenate(_Merge):
    """All inputs, one behind the other along ``axis``.

    Parameters
    ----------
    axis : int
        Not the batch.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the inputs differ in another axis.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Concatenate()([si.ones((1, 2)), si.zeros((1, 3))]).shape
    (1, 5)
    """

    @checked(axis=AXIS)
    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        first = shapes[0]
        (at,) = checked_axes(f'Concatenate "{self.name}"', self.axis, len(first))
        for s in shapes[1:]:
            if len(s) != len(first) or any(i != at and None not in (m, n) and m != n for i, (m, n) in enumerate(zip(first, s, strict=True))):
                raise self.differ(shapes, f"shapes that are equal but for axis {self.axis}")

    def call(self, x: Any) -> Any:
        return si.concat(list(x), axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(_Merge):
    """Sums of products of two inputs over one axis of each, example by example.

    Parameters
    ----------
    axes : int, or (int, int)
        The axes that are summed over, counted with the batch.
    normalize : bool
        Scale the vectors along these axes to length 1 first: the result is their cosine.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other numbers of axes.
    ShapeError
        On use, if the axes do not exist, are the batch, or differ in length.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Dot(axes=1)([si.ones((2, 3)), si.ones((2, 3))])
    Array([[3.],
           [3.]], dtype=float32)
    """

    counts = (2, 2)

    @checked(axes=AXES, normalize=FLAG)
    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axes, self.normalize = axes, normalize
        if not isinstance(self.axes, int) and len(self.axes) != 2:
            raise ArgumentError(
                f'Dot "{self.name}" sums over one axis of each input.',
                expected="axes=1 for both, or axes=(1, 2)",
                received=f"axes={axes!r}",
                fix="reshape the inputs first if you want to sum over several axes",
                slug="merge-inputs",
                argument="axes=",
            )

    def _axes(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        first, second = [checked_axes(f'Dot "{self.name}"', a, len(s))[0] for a, s in zip(pair, shapes, strict=True)]
        return first, second

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        i, j = self._axes(shapes)
        if 0 in (i, j) or (None not in (shapes[0][i], shapes[1][j]) and shapes[0][i] != shapes[1][j]):
            raise self.differ(shapes, f"equal lengths of axis {i} of the first and axis {j} of the second")

    def call(self, x: Any) -> Any:
        a, b = x
        i, j = self._axes([a.shape, b.shape])
        a, b = si.moveaxis(a, i, -1), si.moveaxis(b, j, -1)
        if self.normalize:
            a, b = unit(a), unit(b)
        left, right = a.shape[1:-1], b.shape[1:-1]
        rows = [si.reshape(v, (v.shape[0], math.prod(v.shape[1:-1]), v.shape[-1])) for v in (a, b)]
        return si.reshape(si.matmul(rows[0], rows[1].mT), (a.shape[0], *left, *right) if left or right else (a.shape[0], 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes if isinstance(self.axes, int) else list(self.axes), "normalize": self.normalize}


def _arrays(inputs: Sequence[Any]) -> list[Any]:
    """What is merged: symbols of a functional model as they are, all else as arrays."""
    return [x if isinstance(x, Symbol) else si.asarray(x) for x in inputs]


@checked(inputs=ARRAYS)
def add(inputs: Sequence[Any], **options: Any) -> Any:
    """``Add(**options)(inputs)``."""
    return Add(**options)(_arrays(inputs))


@checked(inputs=ARRAYS)
def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """``Subtract(**options)(inputs)``."""
    return Subtract(**options)(_arrays(inputs))


@checked(inputs=ARRAYS)
def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """``Multiply(**options)(inputs)``."""
    return Multiply(**options)(_arrays(inputs))


@checked(inputs=ARRAYS)
def average(inputs: Sequence[Any], **options: Any) -> Any:
    """``Average(**options)(inputs)``."""
    return Average(**options)(_arrays(inputs))


@checked(inputs=ARRAYS)
def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Maximum(**options)(inputs)``."""
    return Maximum(**options)(_arrays(inputs))


@checked(inputs=ARRAYS)
def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Minimum(**options)(inputs)``."""
    return Minimum(**options)(_arrays(inputs))


@checked(inputs=ARRAYS, axis=AXIS)
def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """``Concatenate(axis, **options)(inputs)``."""
    return Concatenate(axis, **options)(_arrays(inputs))


@checked(inputs=ARRAYS, axes=AXES)
def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """``Dot(axes, **options)(inputs)``."""
    return Dot(axes, **options)(_arrays(inputs))
