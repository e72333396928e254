"""Layers that make one array of several: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.errors import ShapeError
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape, is_shape


class _Merge(Layer):
    """Takes a list of arrays."""

    #: least and largest number of inputs
    counts: tuple[int, int | None] = (1, None)

    def check_input(self, shape: Any) -> None:
        low, high = self.counts
        number = 1 if is_shape(shape) else len(shape)
        if is_shape(shape) or number < low or (high is not None and number > high):
            raise ShapeError(
                f'{type(self).__name__} "{self.name}" takes a list of arrays.',
                expected=f"{low} arrays" if high == low else f"a list of at least {low}",
                received=f"one array of shape {shape}" if is_shape(shape) else f"{number} arrays",
                fix=f"{type(self).__name__}()([a, b])",
                slug="merge-inputs",
            )
        self.check_shapes([tuple(s) for s in shape])

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        """Raise `ShapeError` if the shapes do not fit each other."""
        first = shapes[0]
        for s in shapes[1:]:
            pairs = zip(reversed(first), reversed(s), strict=False)
            if any(None not in (m, n) and m != n and 1 not in (m, n) for m, n in pairs):
                raise self.differ(shapes, "shapes that are equal, or 1, in each axis")

    def differ(self, shapes: Sequence[Shape], expected: str) -> ShapeError:
        """The error for shapes that do not fit."""
        return ShapeError(
            f'{type(self).__name__} "{self.name}" cannot put these arrays together.',
            expected=expected,
            received=", ".join(str(s).replace("None", "batch", 1) for s in shapes),
            fix="give the layers before it equal numbers of units",
            slug="merge-shapes",
        )


class Add(_Merge):
    """The sum of all inputs.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Add()([si.ones((1, 2)), si.ones((1, 2))])
    Array([[2., 2.]], dtype=float32)
    """

    def call(self, x: Any) -> Any:
        return functools.reduce(si.add, x)


class Subtract(_Merge):
    """The first input less the second."""

    counts = (2, 2)

    def call(self, x: Any) -> Any:
        return x[0] - x[1]


class Multiply(_Merge):
    """The product of all inputs."""

    def call(self, x: Any) -> Any:
        return functools.reduce(si.multiply, x)


class Average(_Merge):
    """The mean of all inputs."""

    def call(self, x: Any) -> Any:
        return functools.reduce(si.add, x) / len(x)


class Maximum(_Merge):
    """The largest of all inputs."""

    def call(self, x: Any) -> Any:
        return functools.reduce(si.maximum, x)


class Minimum(_Merge):
    """The smallest of all inputs."""

    def call(self, x: Any) -> Any:
        return functools.reduce(si.minimum, x)


class Concatenate(_Merge):
    """All inputs, one behind the other along ``axis``.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Concatenate()([si.ones((1, 2)), si.zeros((1, 3))]).shape
    (1, 5)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        first = shapes[0]
        at = self.axis % len(first)
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

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Dot(axes=1)([si.ones((2, 3)), si.ones((2, 3))])
    Array([[3.],
           [3.]], dtype=float32)
    """

    counts = (2, 2)

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axes, self.normalize = axes if isinstance(axes, int) else tuple(axes), bool(normalize)

    def _axes(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return first % len(shapes[0]), second % len(shapes[1])

    def check_shapes(self, shapes: Sequence[Shape]) -> None:
        i, j = self._axes(shapes)
        if 0 in (i, j) or (None not in (shapes[0][i], shapes[1][j]) and shapes[0][i] != shapes[1][j]):
            raise self.differ(shapes, f"equal lengths of axis {i} of the first and axis {j} of the second")

    def call(self, x: Any) -> Any:
        a, b = x
        i, j = self._axes([a.shape, b.shape])
        a, b = si.moveaxis(a, i, -1), si.moveaxis(b, j, -1)
        if self.normalize:
            a, b = (v / si.sqrt(si.maximum(si.sum(v * v, axis=-1, keepdims=True), 1e-12)) for v in (a, b))
        left, right = a.shape[1:-1], b.shape[1:-1]
        n, k = a.shape[0], a.shape[-1]
        product = si.matmul(si.reshape(a, (n, -1, k)), si.reshape(b, (n, -1, k)).mT)
        return si.reshape(product, (n, *left, *right) if left or right else (n, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes if isinstance(self.axes, int) else list(self.axes), "normalize": self.normalize}


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """``Add(**options)(inputs)``."""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """``Subtract(**options)(inputs)``."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """``Multiply(**options)(inputs)``."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """``Average(**options)(inputs)``."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Maximum(**options)(inputs)``."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Minimum(**options)(inputs)``."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """``Concatenate(axis, **options)(inputs)``."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """``Dot(axes, **options)(inputs)``."""
    return Dot(axes, **options)(inputs)
