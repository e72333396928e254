"""Checks that the public functions share: axes, shapes, whole numbers, floating arguments."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import Whole
from insitu.arguments.kinds import LARGEST
from insitu.errors import ArgumentError
from insitu.graph.node import Aval, Node
from insitu.ops.rules import checked_shape, normal_axes, normal_axis


def whole(value: Any) -> int | None:
    """The value as an int if it is a whole number (of Python, NumPy or an array), else None."""
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        return None


def integer_argument(function: str, name: str, value: Any, low: int | None = None) -> int:
    """A whole-number argument.

    Raises
    ------
    ArgumentError
        If it is no whole number, or smaller than ``low``.
    """
    return value if type(value) is int and low is None else int(Whole(-LARGEST if low is None else low).check(function, name, value))


def axis_index(function: str, axis: Any, av: Aval) -> int:
    """One axis, counted from the left.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """
    return normal_axis(function, integer_argument(function, "axis", axis), av)


def axis_tuple(function: str, axis: Any, av: Aval) -> tuple[int, ...]:
    """Distinct axes in increasing order; None means all."""
    if axis is None:
        return tuple(range(av.ndim))
    if isinstance(axis, (tuple, list)):
        return normal_axes(function, [integer_argument(function, "axis", a) for a in axis], av)
    return (axis_index(function, axis, av),)


def axes_in_order(function: str, axes: Any, av: Aval) -> tuple[int, ...]:
    """Distinct axes in the order given."""
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    numbers = [integer_argument(function, "axis", a) for a in given]
    normal_axes(function, numbers, av)
    return tuple([a % av.ndim for a in numbers])


def shape_argument(function: str, shape: Any) -> tuple[int, ...]:
    """A shape from an int or a sequence of ints; extents of 0 or more.

    Raises
    ------
    ArgumentError, ShapeError
        If an extent is no whole number, or negative.
    """
    if isinstance(shape, (tuple, list)):
        return checked_shape(function, [integer_argument(function, "shape", n) for n in shape])
    number = whole(shape)
    if number is not None:
        return checked_shape(function, (number,))
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        return shape_argument(function, tuple(shape))
    raise ArgumentError(
        f'{function} "shape" must be a whole number or a tuple of them.', expected="for example (2, 3)", received=f"shape={shape!r}",
        fix="pass a tuple: (2, 3)", slug="argument-shape", argument="shape",
    )  # fmt: skip


def floating(node: Node) -> Node:
    """The node itself if it is floating, else converted to float32."""
    return node if node.aval.dtype.is_float else ops.cast(node, dt.float32)


def wide(node: Node) -> Node:
    """Halves as float32: what a formula makes on its way may be larger than any half."""
    return ops.cast(node, node.aval.dtype.compute)
