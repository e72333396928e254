"""Python numbers beside arrays: which dtype they take, and their constant nodes."""

from __future__ import annotations

import math
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import told
from insitu.dtypes import DType
from insitu.errors import ArgumentError
from insitu.graph.node import Node

Scalar = bool | int | float

_LIMIT = 4096
_constants: dict[tuple[Any, DType], Node] = {}


def is_scalar(value: object) -> bool:
    """Whether the value is a Python number that adapts to the array beside it (NumPy's float64 is one)."""
    return isinstance(value, (bool, int, float))


def default_dtype(value: Scalar) -> DType:
    """The dtype of a number with no array beside it: bool, int64 or float32."""
    if isinstance(value, bool):
        return dt.bool_
    return dt.int64 if isinstance(value, int) else dt.float32


def weak_dtype(value: Scalar, beside: DType) -> DType:
    """The dtype a number takes beside an array: the array's, unless its kind cannot hold such a number."""
    if isinstance(value, bool):
        return beside
    if isinstance(value, int):
        return dt.int64 if beside.kind == "b" else beside
    return beside if beside.kind == "f" else dt.float32


def constant(value: Scalar, dtype: DType) -> Node:
    """The node of a number; the same node for the same number while it is remembered.

    Raises
    ------
    ArgumentError
        If an integer does not fit the dtype.
    """
    kind = dtype.kind
    if kind == "f":
        number: Any = as_float(value, dtype)
        if number == 0.0:
            # 0.0 == -0.0, but they are two constants: keep them apart by type
            return _remembered((str(number), dtype), number)
        if number != number:
            return ops.constant(math.nan, dtype)
    elif kind == "b":
        number = bool(value)
    else:
        number = int(value)
        check_range(number, dtype)
    return _remembered((number, dtype), number)


def as_float(value: Scalar, dtype: DType) -> float:
    """A number as a float.

    Raises
    ------
    ArgumentError
        If it is a whole number that no float comes near.
    """
    try:
        return float(value)
    except OverflowError:
        raise _too_large(value, dtype, "a number up to 1e308", "divide it before, while it is a whole number") from None


def check_range(number: int, dtype: DType, fix: str = "") -> None:
    """Refuse a number that an integer dtype cannot hold; ``fix`` is for one that is not beside an array.

    Raises
    ------
    ArgumentError
        If it does not fit.
    """
    if not dtype.min <= number <= dtype.max:
        fix = fix or f"convert the array to a wider type first: x.astype(si.{wider(number).name})"
        raise _too_large(number, dtype, f"a number from {dtype.min} to {dtype.max}", fix)


def as_whole(value: Scalar, dtype: DType) -> int:
    """A number of which an array of an integer dtype is made.

    Raises
    ------
    ArgumentError
        If it is not finite, or does not fit.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ArgumentError(
            f"{value} cannot become {dtype.name}.", expected="a finite number", received=str(value), fix="use a floating dtype", slug="scalar-range"
        )
    number = int(value)
    check_range(number, dtype, f"use a wider dtype: si.{wider(number).name}")
    return number


def wider(number: float) -> DType:
    """A dtype for a number that does not fit into an integer dtype."""
    return next((d for d in (dt.int64, dt.uint64) if d.min <= number <= d.max), dt.float32)


def _too_large(number: Scalar, dtype: DType, expected: str, fix: str) -> ArgumentError:
    shown = told(number)
    return ArgumentError(
        f"The number {shown} does not fit into {dtype.name}.",
        expected=expected,
        received=shown,
        fix=fix,
        slug="scalar-range",
    )


def _remembered(key: tuple[Any, DType], number: Scalar) -> Node:
    found = _constants.get(key)
    if found is not None and found.memory is not None:
        found = None  # somebody looked at its value: it is a leaf now, and programs would take it as an input
    if found is None:
        if len(_constants) >= _LIMIT:
            _constants.clear()
        found = _constants[key] = ops.constant(number, key[1])
    return found
