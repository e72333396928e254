"""What the shape and dtype rules of the primitives share: broadcasting, checks, and the wording of their errors."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu.dtypes import DType
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError, many_axes
from insitu.graph.node import Aval, Shape

_KINDS = {"b": "bool", "i": "signed integers", "u": "unsigned integers", "f": "floating types"}
_GROUPS = {"f": "a floating dtype", "iuf": "a numeric dtype", "biu": "an integer or boolean dtype", "iu": "an integer dtype"}


def describe(*avals: Aval) -> str:
    """Shapes and dtypes as errors show them: ``(3, 4) float32 and (3,) float32``."""
    return " and ".join(f"{a.shape} {a.dtype.name}" for a in avals)


def elements(n: int) -> str:
    """``1 element``, ``2 elements``."""
    return f"{n} element" + ("s" if n != 1 else "")


# -- axes and extents ----------------------------------------------------------------------------
def normal_axis(title: str, axis: int, av: Aval) -> int:
    """The axis counted from the left.

    Raises
    ------
    ShapeError
        If the array has no such axis.
    """
    if -av.ndim <= axis < av.ndim:
        return axis + av.ndim if axis < 0 else axis
    raise ShapeError(
        f"{title}: axis {axis} does not exist in an array of {many_axes(av.ndim)}.",
        expected=f"an axis from {-av.ndim} to {av.ndim - 1}" if av.ndim else "an array with at least one axis",
        received=f"axis={axis} for {describe(av)}",
        fix="use axis=-1 for the last axis" if av.ndim else "give the array an axis: x[None]",
        slug="axis-out-of-range",
        argument=f"axis={axis}",
    )


def normal_axes(title: str, axes: int | Sequence[int] | None, av: Aval) -> tuple[int, ...]:
    """Sorted, non-negative, distinct axes; None means all.

    Raises
    ------
    ShapeError
        If an axis does not exist or is named twice.
    """
    if axes is None:
        return tuple(range(av.ndim))
    if isinstance(axes, int):
        return (normal_axis(title, axes, av),)
    if len(axes) == 1:
        return (normal_axis(title, axes[0], av),)
    out = tuple(sorted([normal_axis(title, a, av) for a in axes]))
    if len(set(out)) != len(out):
        twice = next(a for a in out if out.count(a) > 1)
        raise ShapeError(
            f"{title}: axis {twice} is named twice.",
            expected="each axis at most once",
            received=f"axis={tuple(axes)} for {describe(av)}",
            fix=f"name it once: axis={tuple(dict.fromkeys(out))}",
            slug="axis-repeated",
            argument="axis",
        )
    return out


def broadcast_shapes(title: str, names: Sequence[str], avals: Sequence[Aval]) -> Shape:
    """The common shape of operands, aligned at the right, where extents of 1 stretch.

    Raises
    ------
    ShapeError
        If two extents differ and neither is 1.
    """
    shape, owner = avals[0].shape, 0
    for k, av in enumerate(avals[1:], 1):
        if av.shape == shape:
            continue
        joined = _joined(shape, av.shape)
        if joined is None:
            first = next((j for j in range(k) if _joined(avals[j].shape, av.shape) is None), owner)
            raise broadcast_error(title, (names[first], names[k]), avals[first], av)
        shape, owner = joined, k
    return shape


def _joined(a: Shape, b: Shape) -> Shape | None:
    if len(a) < len(b):
        a, b = b, a
    out = list(a)
    for k in range(1, len(b) + 1):
        x, y = a[-k], b[-k]
        if x != y:
            if x != 1 and y != 1:
                return None
            out[-k] = y if x == 1 else x
    return tuple(out)


def broadcast_error(title: str, names: tuple[str, str], a: Aval, b: Aval) -> ShapeError:
    """The error for two operands whose shapes do not broadcast."""
    k = next(k for k in range(1, min(a.ndim, b.ndim) + 1) if a.shape[-k] != b.shape[-k] and 1 not in (a.shape[-k], b.shape[-k]))
    return ShapeError(
        f"{title}: shapes {a.shape} and {b.shape} do not broadcast, because axis -{k} has "
        f"{elements(a.shape[-k])} in {names[0]} and {b.shape[-k]} in {names[1]}.",
        expected="counted from the right, extents that are equal, or one of them 1",
        received=f"{names[0]}: {describe(a)}, {names[1]}: {describe(b)}",
        fix=_broadcast_fix(names, a.shape, b.shape),
        slug="broadcast-shapes",
    )


def _broadcast_fix(names: tuple[str, str], a: Shape, b: Shape) -> str:
    name, small, big = (names[1], b, a) if len(b) <= len(a) else (names[0], a, b)
    for extra in range(1, len(big) - len(small) + 1):
        shape = small + (1,) * extra
        joined = _joined(shape, big)
        if joined is not None:
            where = ":" if len(small) == 1 else "..."
            return f"add an axis: {name}[{where}{', None' * extra}]  →  {shape}, and the result is {joined}"
    if len(a) == len(b) == 2 and _joined(a, b[::-1]) is not None:
        return f"transpose one of them: {names[1]}.T  →  {b[::-1]}"
    return "make the two extents equal, or make one of them 1"


def size_of(shape: Sequence[int]) -> int:
    """Number of elements."""
    return math.prod(shape)


def checked_shape(title: str, shape: Sequence[int]) -> Shape:
    """The shape as a tuple of non-negative ints.

    Raises
    ------
    ShapeError
        If an extent is negative.
    """
    out = tuple(map(int, shape))
    if out and min(out) < 0:
        k, n = next((k, n) for k, n in enumerate(out) if n < 0)
        raise ShapeError(
            f"{title}: axis {k} of the shape is {n}, but an array has no negative extents.",
            expected="extents of 0 or more",
            received=f"shape {out}",
            fix="compute the extent before, or pass 0 for an empty axis",
            slug="shape-negative",
            argument="shape",
        )
    return out


# -- dtypes --------------------------------------------------------------------------------------
def check_kind(title: str, name: str, av: Aval, accepts: str) -> None:
    """Refuse an operand whose kind of dtype the operation does not have.

    Raises
    ------
    DTypeError
        If the dtype's kind is not one of ``accepts``.
    """
    if av.dtype.kind in accepts:
        return
    wanted = _GROUPS.get(accepts) or " or ".join(_KINDS[k] for k in accepts)
    if av.dtype.kind == "b":
        fix = f"convert it first: {name}.astype(si.{'float32' if accepts == 'f' else 'int64'})"
    elif "f" in accepts:
        fix = f"convert it first: {name}.astype(si.float32)"
    else:
        fix = f"convert it first: {name}.astype(si.int64)"
    raise DTypeError(
        f"{title} needs {wanted}, but {name} is {av.dtype.name}.",
        expected=", ".join(d.name for d in dt.ALL if d.kind in accepts),
        received=f"{name}: {describe(av)}",
        fix=fix,
        slug="dtype-unsupported",
    )


def argument_error(what: str, expected: str, received: str, fix: str, slug: str) -> UserError:
    """An `ArgumentError` from its parts."""
    return ArgumentError(what, expected=expected, received=received, fix=fix, slug=slug)


# -- numbers as attributes -----------------------------------------------------------------------
def literal(value: Any, dtype: DType) -> int | bool | float | str:
    """A number as an attribute, rounded to the dtype: equal attributes are equal numbers, and only those.

    So NaN and -0.0 are text, because ``nan != nan`` and ``0.0 == -0.0``. A float is the shortest decimal that
    the dtype rounds to the number.

    Raises
    ------
    ArgumentError
        If an integer dtype cannot hold the value.
    """
    if dtype.kind == "f":
        number = _as_float(value)
        if number != number:
            return "nan"
        return _short_float(number, dtype) if number else str(number) if math.copysign(1, number) < 0 else 0.0
    if dtype.kind == "b":
        return bool(value)
    if isinstance(value, int) and dtype.min <= value <= dtype.max:
        return int(value)
    if value == value and value not in (math.inf, -math.inf) and int(value) == value and dtype.min <= value <= dtype.max:
        return int(value)
    raise argument_error(
        f"{value!r} is not a value of {dtype.name}.",
        f"a whole number from {dtype.min} to {dtype.max}",
        repr(value),
        "use a value in this range, or a wider dtype",
        "value-out-of-range",
    )


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@functools.lru_cache(maxsize=4096)
def _short_float(number: float, dtype: DType) -> float | str:
    if dtype.bits == 64:
        return number
    with np.errstate(all="ignore"):
        rounded = np.asarray(number, dtype.numpy)
        if not rounded:
            return "-0.0" if number < 0 else 0.0
        short = float(str(rounded[()]))
        return short if np.asarray(short, dtype.numpy) == rounded else float(rounded)


@functools.lru_cache(maxsize=4096)
def literal_value(attr: int | bool | float | str, dtype: DType) -> float | int | bool:
    """The number that `literal` made into an attribute."""
    if dtype.kind != "f":
        return int(attr) if dtype.kind != "b" else bool(attr)
    number = float(attr)
    return number if dtype.bits == 64 or number != number else float(np.asarray(number, dtype.numpy))
