"""Arrays from NumPy, lists, numbers and other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, DEVICE, DTYPE, FLAG, checked
from insitu.array import scalars
from insitu.array.array import Array, owned
from insitu.dtypes import DType, as_dtype
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError
from insitu.graph.node import Node, aval, leaf
from insitu.runtime.memory import Memory, allocate, from_numpy

_NUMBERS = (bool, int, float)


@checked(obj=ARRAY, dtype=DTYPE | None, device=DEVICE, copy=FLAG | None)
def asarray(obj: Any, /, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array of the values of another object.

    Parameters
    ----------
    obj : array_like
        An Array, a NumPy array, a number, nested lists of numbers or arrays, a `Variable`, or an array of
        another library that speaks NumPy's or DLPack's protocol.
    dtype : DType, optional
        Default: the array's own; for Python numbers bool, int64 or float32.
    device : str, optional
        ``"cpu"``.
    copy : bool, optional
        None: memory is shared only with a source that nobody can change. False: shared always (the
        source must not be changed later). True: copied always.

    Returns
    -------
    Array

    Raises
    ------
    DTypeError
        For complex numbers, strings and objects.
    ShapeError
        For lists of lists that differ in length.
    ArgumentError
        With ``copy=False`` where only a copy is possible.

    Examples
    --------
    >>> import insitu as si
    >>> si.asarray([[1, 2], [3, 4]])
    Array([[1, 2],
           [3, 4]], dtype=int64)
    >>> si.asarray([1, 2], dtype="float32")
    Array([1., 2.], dtype=float32)
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if type(obj) is Array:
        return _converted(obj, wanted, copy)
    if isinstance(obj, np.ndarray):
        return _from_numpy(obj, wanted, copy)
    if isinstance(obj, _NUMBERS) and not isinstance(obj, np.generic):
        return _from_scalar(obj, wanted)
    inner = _unwrapped(obj)
    if inner is not None:
        return _converted(inner, wanted, copy)
    if isinstance(obj, (list, tuple)) and _holds_arrays(obj):
        return _converted(_stacked(obj), wanted, None)
    return _from_object(obj, wanted, copy)


def node_of(x: Any) -> Node:
    """The node of an array, or of what `asarray` makes of something else."""
    return x._node if type(x) is Array else asarray(x)._node


def convertible(x: Any) -> bool:
    """Whether an operator takes this as its other side: arrays of any library, but no lists and no text."""
    return isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array__") or hasattr(x, "__dlpack__")


def foreign(x: Any) -> bool:
    """Whether this is an array of another library, NumPy's among them: what it holds may change while it stays the same object."""
    cls = type(x)
    return cls is not Array and (hasattr(cls, "__dlpack__") or (cls.__hash__ is None and hasattr(cls, "__array__")))


def _unwrapped(obj: Any) -> Array | None:
    """The array inside a `Variable`."""
    value = getattr(type(obj), "value", None)
    if value is None:
        return None
    from insitu.array.variable import Variable

    return obj.value if isinstance(obj, Variable) else None


def _converted(x: Array, dtype: DType | None, copy: bool | None) -> Array:
    if dtype is None or dtype is x.dtype:
        return Array(x._node) if copy else x
    if copy is False:
        raise _needs_copy(f"{x.dtype.name} becomes {dtype.name}")
    return Array(ops.cast(x._node, dtype))


def _from_scalar(value: bool | int | float, dtype: DType | None) -> Array:
    """A leaf, not a constant: a number made into an array may change from run to run without a new program."""
    kind = scalars.default_dtype(value) if dtype is None else dtype
    number: Any = value
    if kind.is_integer:
        number = scalars.as_whole(value, kind)
    elif kind.is_float:
        number = scalars.as_float(value, kind)
    return owned(np.array(number, kind.numpy), kind)


def borrowed(array: np.ndarray[Any, Any]) -> Node:
    """A leaf on the array's own memory where its layout allows it, else on a copy: for those who are done before the array can change."""
    if _is_plain(array):
        return leaf(aval(array.shape, _host_dtype(array)), from_numpy(array))
    return _from_numpy(array, None, None)._node


#: NumPy's dtypes that have been met, in any order of bytes: to ask one for its name takes a microsecond.
_host_dtypes: dict[np.dtype[Any], DType] = {}


def _host_dtype(array: np.ndarray[Any, Any]) -> DType:
    found = _host_dtypes.get(array.dtype)
    if found is None:
        found = dt.BY_NAME.get(array.dtype.name)
        if found is None:
            raise _bad_dtype(array)
        _host_dtypes[array.dtype] = found
    return found


def _is_plain(array: np.ndarray[Any, Any]) -> bool:
    """Whether the elements lie in memory as insitu has them."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype.isnative


def _from_numpy(array: np.ndarray[Any, Any], dtype: DType | None, copy: bool | None) -> Array:
    have = _host_dtype(array)
    plain = _is_plain(array)
    if dtype is not None and dtype is not have:
        if copy is False:
            raise _needs_copy(f"{have.name} becomes {dtype.name}")
        if dtype.kind == have.kind and dtype is not dt.bfloat16:
            return owned(array.astype(dtype.numpy, order="C"), dtype)
        return Array(ops.cast(_from_numpy(array, None, copy)._node, dtype))
    if copy is False:
        if not plain:
            raise _needs_copy("the array is not C-contiguous, or its bytes are in another order")
        return owned(array, have)
    if copy is None and plain and _frozen(array):
        return owned(array, have)
    memory: Memory = allocate(have.itemsize * array.size)
    np.copyto(memory.view(array.shape, have.numpy, writable=True), array)
    return Array(leaf(aval(array.shape, have), memory))


def _frozen(array: np.ndarray[Any, Any]) -> bool:
    """Whether nobody can change the values: neither the array nor the arrays it is a view of are writable."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return True


_PLAIN = frozenset((bool, int, float))


def _holds_arrays(obj: Sequence[Any]) -> bool:
    if _PLAIN.issuperset(map(type, obj)):  # the rows of a large table: 20 times as fast as a look at each element
        return False
    return any(type(x) is Array or _unwrapped(x) is not None or (isinstance(x, (list, tuple)) and _holds_arrays(x)) for x in obj)


def _stacked(obj: Sequence[Any]) -> Array:
    nodes = [asarray(x)._node for x in obj]
    shapes = {n.shape for n in nodes}
    if len(shapes) > 1:
        raise _ragged(str(sorted(shapes)))
    common = nodes[0].dtype
    for n in nodes[1:]:
        common = dt.promote(common, n.dtype)
    return Array(ops.concat([ops.reshape(ops.cast(n, common), (1, *n.shape)) for n in nodes], 0))


def _from_object(obj: Any, dtype: DType | None, copy: bool | None) -> Array:
    own = isinstance(obj, (list, tuple, np.generic))
    if not own and not hasattr(obj, "__array__") and hasattr(obj, "__dlpack__"):
        return _from_numpy(_through_dlpack(obj), dtype, copy)
    try:
        array = np.asarray(obj)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise _ragged(row_lengths(obj) or str(error)) from None
        raise
    if isinstance(obj, (list, tuple)) and array.dtype == np.float64 and _first_is_python(obj):
        array = array.astype(np.float32) if dtype is None else array
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise _bad_dtype(array)
    if own and dtype is not None and dtype.is_integer and array.size and array.dtype.kind != "b":
        _check_range(array, dtype)
    return _from_numpy(array, dtype, False if own and copy is None and array.flags.c_contiguous and not dtype else copy)


def _check_range(array: np.ndarray[Any, Any], dtype: DType) -> None:
    """Refuse numbers of a program's text that an integer dtype cannot hold."""
    low, high = array.min(), array.max()
    if not dtype.min <= low <= high <= dtype.max:  # also for NaN
        bad = high if high > dtype.max or high != high else low
        raise ArgumentError(
            f"The number {bad} does not fit into {dtype.name}.", expected=f"numbers from {dtype.min} to {dtype.max}", received=f"{bad}",
            fix=f"use a wider dtype: si.{scalars.wider(bad).name}", slug="scalar-range", argument="obj",
        )  # fmt: skip


def _first_is_python(obj: Any) -> bool:
    while isinstance(obj, (list, tuple)):
        if not obj:
            return True
        # an empty list says nothing about the type: look at the first that has elements
        obj = next((x for x in obj if not isinstance(x, (list, tuple)) or x), obj[0])
    return type(obj) in _NUMBERS


@checked(x=ARRAY, device=DEVICE, copy=FLAG | None)
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array on the memory of another library's array, through DLPack.

    Parameters
    ----------
    x : object
        Has ``__dlpack__`` and ``__dlpack_device__``; its memory is not copied unless ``copy`` is True
        or it is not C-contiguous.

    Returns
    -------
    Array

    Examples
    --------
    >>> import insitu as si
    >>> import numpy as np
    >>> si.from_dlpack(np.arange(3))
    Array([0, 1, 2], dtype=int64)
    """
    if type(x) is Array:
        return _converted(x, None, copy)
    array = _through_dlpack(x)
    plain = array.flags.c_contiguous and array.flags.aligned
    return _from_numpy(array, None, bool(copy or (copy is None and not plain)))


def _through_dlpack(x: Any) -> np.ndarray[Any, Any]:
    if not hasattr(x, "__dlpack__"):
        raise ArgumentError(
            "from_dlpack was given something without the DLPack protocol.", expected="an object with __dlpack__ and __dlpack_device__",
            received=type(x).__name__, fix="use si.asarray(x)", slug="dlpack", argument="x",
        )  # fmt: skip
    from insitu.array.dlpack import imported

    try:
        return imported(x)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            "The array of the other library cannot be shared through DLPack.", expected="an array in the memory of the CPU, of a dtype insitu has",
            received=f"{type(x).__name__}: {error}", fix="move it to the CPU first, or convert it to NumPy", slug="dlpack", argument="x",
        ) from error  # fmt: skip


def check_device(function: str, device: Any) -> None:
    """Refuse any device but ``"cpu"`` (None means the default, which is that one)."""
    if device is not None and device != "cpu":
        raise ArgumentError(
            f'{function} "device" cannot be {device!r}.',
            expected='"cpu"',
            received=repr(device),
            fix="leave device out",
            slug="device",
            argument="device",
        )


def _needs_copy(why: str) -> UserError:
    return ArgumentError(
        "asarray cannot share the memory, and copy=False forbids a copy.", expected="a C-contiguous array of the wanted dtype",
        received=why, fix="leave out copy=False", slug="copy-needed", argument="copy",
    )  # fmt: skip


def _ragged(received: str) -> UserError:
    return ShapeError(
        "The lists do not form an array: they differ in length or depth.", expected="nested lists of equal lengths", received=received,
        fix="pad the shorter ones, or make one array for each", slug="asarray-ragged", argument="obj",
    )  # fmt: skip


def row_lengths(value: Any) -> str:
    """What makes nested lists ragged, in words; empty if it cannot be told."""
    rows = value
    while isinstance(rows, list | tuple) and rows and all(isinstance(row, list | tuple) for row in rows):
        lengths = [len(row) for row in rows]
        if len(set(lengths)) > 1:
            return f"rows of {listed(lengths)} elements"
        rows = [item for row in rows for item in row]
    if isinstance(rows, list | tuple) and any(isinstance(row, list | tuple) for row in rows):
        return "rows and single numbers side by side"
    return ""


def listed(items: Sequence[Any]) -> str:
    """The first four items as text."""
    return ", ".join(map(str, items[:4])) + (", ..." if len(items) > 4 else "")


def _dtype_fix(kind: str) -> str:
    if kind in "US":
        return "read the text as numbers first: [float(t) for t in texts]"
    if kind == "c":
        return "pass real and imaginary part as two numbers: np.stack([x.real, x.imag], axis=-1)"
    return "convert it first, for example x.astype(numpy.float32)"


def _bad_dtype(array: np.ndarray[Any, Any]) -> UserError:
    return DTypeError(
        f"insitu has no arrays of NumPy's {array.dtype}.", expected="booleans, integers, or floats of 16, 32 or 64 bits",
        received=f"dtype {array.dtype}, shape {array.shape}", fix=_dtype_fix(array.dtype.kind),
        slug="asarray-dtype", argument="obj",
    )  # fmt: skip


__all__ = ["asarray", "from_dlpack"]
