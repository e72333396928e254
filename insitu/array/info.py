"""Data types: what they hold, how they promote, and converting between them; facts about the namespace."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, DEVICE, DTYPE, FLAG, Checked, checked
from insitu.array import scalars
from insitu.array.array import Array
from insitu.array.convert import check_device, node_of
from insitu.dtypes import DType, as_dtype
from insitu.errors import ArgumentError, DTypeError

_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f", "complex floating": "",
    "numeric": "iuf",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FInfo:
    """Limits of a floating type: number of bits, spacing at 1, largest, smallest, smallest normal number."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    @property
    def tiny(self) -> float:
        """NumPy's name of ``smallest_normal``."""
        return self.smallest_normal


@dataclasses.dataclass(frozen=True)
class IInfo:
    """Limits of an integer type: number of bits, largest, smallest."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(x: Any) -> DType:
    return as_dtype(x.dtype if isinstance(x, Array | np.ndarray) else x)


TYPE = Checked("a dtype, or an array of it", ("float32",))


@checked(type=TYPE)
def finfo(type: Any, /) -> FInfo:
    """Limits of a floating type.

    Parameters
    ----------
    type : DType or Array

    Raises
    ------
    DTypeError
        If it is no floating type.

    Examples
    --------
    >>> import insitu as si
    >>> si.finfo(si.float32).eps
    1.1920928955078125e-07
    """
    kind = _dtype_of(type)
    if not kind.is_float:
        raise DTypeError(
            f"finfo is for floating types, and {kind.name} is none.", expected=", ".join(d.name for d in dt.FLOATS), received=kind.name,
            fix="use si.iinfo for integers", slug="dtype-unsupported", argument="type",
        )  # fmt: skip
    if kind is dt.bfloat16:
        largest = (2.0 - 2.0**-7) * 2.0**127
        return FInfo(16, 2.0**-7, largest, -largest, 2.0**-126, kind)
    limits = np.finfo(kind.numpy)
    return FInfo(limits.bits, float(limits.eps), float(limits.max), float(limits.min), float(limits.smallest_normal), kind)


@checked(type=TYPE)
def iinfo(type: Any, /) -> IInfo:
    """Limits of an integer type.

    Raises
    ------
    DTypeError
        If it is no integer type.

    Examples
    --------
    >>> import insitu as si
    >>> si.iinfo("int8").max
    127
    """
    kind = _dtype_of(type)
    if not kind.is_integer:
        raise DTypeError(
            f"iinfo is for integer types, and {kind.name} is none.", expected=", ".join(d.name for d in dt.INTEGERS), received=kind.name,
            fix="use si.finfo for floating types", slug="dtype-unsupported", argument="type",
        )  # fmt: skip
    return IInfo(kind.bits, kind.max, kind.min, kind)


@checked(dtype=DTYPE, kind=ARRAY)
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind.

    Parameters
    ----------
    dtype : DType
    kind : DType, str, or tuple of them
        A type, or one of ``bool``, ``signed integer``, ``unsigned integer``, ``integral``,
        ``real floating``, ``complex floating``, ``numeric``.

    Examples
    --------
    >>> import insitu as si
    >>> si.isdtype(si.int8, "integral")
    True
    """
    found = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return found.kind in _KINDS[kind]
    if isinstance(kind, str) and kind not in dt.BY_NAME:
        raise ArgumentError(
            f"isdtype does not know the kind {kind!r}.",
            expected=", ".join(_KINDS),
            received=repr(kind),
            fix='use "numeric"',
            slug="dtype-kind",
            argument="kind",
        )
    return found is as_dtype(kind)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which arrays, dtypes and Python numbers meet.

    Raises
    ------
    DTypeError
        If they do not, as uint64 with a signed integer.

    Examples
    --------
    >>> import insitu as si
    >>> si.result_type(si.int8, si.float16, 2.0)
    insitu.float16
    """
    numbers = [x for x in arrays_and_dtypes if scalars.is_scalar(x) and not isinstance(x, type)]
    kinds = [_dtype_of(x) for x in arrays_and_dtypes if not (scalars.is_scalar(x) and not isinstance(x, type))]
    out: DType | None = None
    for kind in kinds:
        out = kind if out is None else dt.promote(out, kind)
    for number in numbers:
        out = scalars.default_dtype(number) if out is None else dt.promote(out, scalars.weak_dtype(number, out))
    if out is None:
        raise ArgumentError(
            "result_type was given nothing.",
            expected="arrays, dtypes or numbers",
            received="no argument",
            fix="pass at least one",
            slug="result-type",
        )
    return out


@checked(from_=TYPE, to=DTYPE)
def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether a value of one type can be converted to another by promotion.

    Examples
    --------
    >>> import insitu as si
    >>> si.can_cast(si.int8, si.int16), si.can_cast(si.float32, si.int64)
    (True, False)
    """
    source, target = _dtype_of(from_), as_dtype(to)
    try:
        return dt.promote(source, target) is target
    except DTypeError:
        return False


@checked(x=ARRAY, dtype=DTYPE, copy=FLAG, device=DEVICE)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """The values in another dtype.

    Floating values become integers by cutting off their fraction; what does not fit saturates.

    Parameters
    ----------
    x : Array
    dtype : DType
    copy : bool
        Of no effect where the dtype is the same: arrays do not change, so that it cannot be told.

    Examples
    --------
    >>> import insitu as si
    >>> si.astype(si.asarray([1.7, -1.7]), si.int32)
    Array([ 1, -1], dtype=int32)
    """
    return Array(ops.cast(node_of(x), as_dtype(dtype)))


class NamespaceInfo:
    """What ``__array_namespace_info__()`` gives: capabilities, devices, default and available dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Optional behaviour of the namespace."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of new arrays."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes of arrays made from Python numbers."""
        check_device("default_dtypes", device)
        return {"real floating": dt.float32, "integral": dt.int64, "indexing": dt.int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes of a kind, by name."""
        check_device("dtypes", device)
        standard = [d for d in dt.ALL if d not in (dt.float16, dt.bfloat16)]
        return {d.name: d for d in standard if kind is None or isdtype(d, kind)}


def namespace_info() -> NamespaceInfo:
    """``__array_namespace_info__`` of the Array API."""
    return NamespaceInfo()


__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]
