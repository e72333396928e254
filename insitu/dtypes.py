"""Data types: the thirteen element types of an array, and how they promote.

Promotion inside one kind follows the Array API standard. Between kinds an integer or
boolean meets a floating type and becomes that floating type (never a wider one), and
``float16`` with ``bfloat16`` gives ``float32``.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np

from insitu.errors import DTypeError
from insitu.nearest import nearest


class DType:
    """One element type. It equals its name and NumPy's dtype of that name, and NumPy takes it for a dtype.

    Attributes
    ----------
    name : str
        The Array API's name, such as ``"float32"``.
    kind : str
        ``"b"`` boolean, ``"i"`` signed, ``"u"`` unsigned, ``"f"`` floating.
    bits : int
        Width of the value in bits (a boolean has 8 in memory, 1 as a value).
    itemsize : int
        Bytes of one element in memory.

    Examples
    --------
    >>> import numpy as np
    >>> float32 == "float32", float32 == np.float32, float32 == float64
    (True, True, False)
    >>> np.zeros(2, float32)
    array([0., 0.], dtype=float32)
    """

    __slots__ = ("bits", "itemsize", "kind", "name")

    def __init__(self, name: str, kind: str, bits: int) -> None:
        self.name, self.kind, self.bits = name, kind, bits
        self.itemsize = bits // 8

    def __repr__(self) -> str:
        return f"insitu.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (as_dtype, (self.name,))

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, (str, type, np.dtype)):
            return self is other
        return _lookup(other) is self

    __hash__ = object.__hash__  # types are keys of dicts by themselves, as NumPy's are

    @property
    def dtype(self) -> np.dtype[Any]:
        """What NumPy asks for: ``np.zeros(3, x.dtype)``."""
        return self.numpy

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"

    @property
    def is_signed(self) -> bool:
        return self.kind in "if"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype of the same memory layout (``bfloat16`` comes from ml_dtypes)."""
        return _numpy_dtype(self.name)

    @property
    def compute(self) -> DType:
        """The type in which arithmetic is done: float32 for the 16-bit floats, else itself."""
        return float32 if self.kind == "f" and self.bits == 16 else self

    @property
    def min(self) -> int:
        """Smallest value of an integer type."""
        return 0 if self.kind in "ub" else -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        """Largest value of an integer type."""
        if self.kind == "b":
            return 1
        return (1 << (self.bits - (self.kind == "i"))) - 1


bool_ = DType("bool", "b", 8)
int8, int16, int32, int64 = (DType(f"int{n}", "i", n) for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (DType(f"uint{n}", "u", n) for n in (8, 16, 32, 64))
float16, float32, float64 = (DType(f"float{n}", "f", n) for n in (16, 32, 64))
bfloat16 = DType("bfloat16", "f", 16)

ALL = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64)
BY_NAME = {d.name: d for d in ALL}
INTEGERS = tuple(d for d in ALL if d.is_integer)
FLOATS = tuple(d for d in ALL if d.is_float)


@functools.cache
def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes  # imported late: only programs that use bfloat16 pay for it

        made: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return made
    return np.dtype(name)


def as_dtype(value: Any) -> DType:
    """The `DType` that a name, a NumPy dtype, a Python type or a `DType` means.

    Raises
    ------
    DTypeError
        If the value names no type insitu has.
    """
    if type(value) is DType:
        return value
    found = _lookup(value) if value.__hash__ is not None else None
    if found is None:
        raise DTypeError(
            f"{value!r} is not a data type of insitu.",
            expected="one of " + ", ".join(BY_NAME),
            received=repr(value),
            fix=_name_fix(value),
            slug="dtype-unknown",
            argument="dtype",
        )
    return found


def _name_fix(value: Any) -> str:
    """The name that was probably meant: NumPy knows many more."""
    name = "float32" if isinstance(value, str) and value in ("float", "single") else nearest(value, BY_NAME) if isinstance(value, str) else None
    with contextlib.suppress(TypeError, ValueError):
        name = name or np.dtype(value).name
    return f'pass "{name}"' if name in BY_NAME else 'pass a name such as "float32", or si.float32'


@functools.lru_cache(maxsize=256)
def _lookup(value: Any) -> DType | None:
    if isinstance(value, str):
        return BY_NAME.get(value)
    if value is bool or value is int or value is float:
        return bool_ if value is bool else int64 if value is int else float32
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    return BY_NAME.get(name.removesuffix("_")) if isinstance(name, str) else None


def from_kind(kind: str, bits: int) -> DType:
    """The integer type of that kind and width."""
    return BY_NAME[{"i": "int", "u": "uint"}[kind] + str(bits)]


@functools.cache
def promote(a: DType, b: DType) -> DType:
    """The type in which values of ``a`` and ``b`` meet.

    Raises
    ------
    DTypeError
        For ``uint64`` with a signed integer: no integer type holds both.
    """
    if a is b:
        return a
    if "f" in (a.kind, b.kind):
        if a.kind != b.kind:
            return a if a.kind == "f" else b
        if a.bits == b.bits == 16:
            return float32
        return a if a.bits > b.bits else b
    if "b" in (a.kind, b.kind):
        return b if a.kind == "b" else a
    if a.kind == b.kind:
        return a if a.bits > b.bits else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    bits = max(signed.bits, 2 * unsigned.bits)
    if bits > 64:
        raise DTypeError(
            f"{a.name} and {b.name} have no integer type that holds both.",
            expected="operands of one integer type",
            received=f"{a.name} and {b.name}",
            fix=f"convert one of them first: x.astype(si.{signed.name})",
            slug="dtype-promotion",
        )
    return from_kind("i", bits)
