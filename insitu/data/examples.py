"""What users call data, as NumPy arrays: one array, or a tree of arrays for several inputs.

Other libraries' objects are known by what they can do, so that none of these libraries is imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu.array.convert import listed, row_lengths
from insitu.array.tree import flatten
from insitu.array.variable import Variable
from insitu.errors import ArgumentError, DTypeError, ShapeError, UserError

Examples = np.ndarray[Any, Any]
_NATIVE = frozenset(d.numpy for d in dt.ALL)  # no dtype in another byte order equals one of these
Tree = Any  # an array, or a dict, list or tuple of trees

ONE_BY_ONE = "put it into a batch: pass a list or an array with an axis of examples"


def examples(value: Any, function: str, argument: str, fix: str = "") -> Examples:
    """The data as a C-contiguous NumPy array in native byte order, without a copy where possible.

    Parameters
    ----------
    value : array_like
        Also arrays, frames and tensors of other libraries. Python floats become float32.
    function, argument : str
        Names for the messages.
    fix : str, optional
        What to do if there is no axis of examples.

    Raises
    ------
    DTypeError
        If it holds something else than numbers.
    ShapeError
        If it has no axis of examples, or rows of unequal length.
    ArgumentError
        If it is empty.

    Examples
    --------
    >>> examples([[1, 2], [3, 4]], "fit", "x").shape
    (2, 2)
    """
    if is_plain(value):
        return value  # type: ignore[no-any-return]
    array = _numbers(numpy_array(value, function, argument), value, function, argument)
    if not array.ndim:
        raise ShapeError(
            f"{function}: {argument} must have an axis of examples.",
            expected="(examples, ...)",
            received="a single number",
            fix=fix or f"pass a list or an array: {argument}=[...]",
            slug="data-rank",
            argument=f"{argument}=",
        )
    if not len(array):
        raise nothing(function, argument, f"{array.shape} {array.dtype}")
    return array


def tree(value: Any, function: str, argument: str, fix: str = "") -> Tree:
    """One array, or dicts, lists and tuples of arrays as they came, each as `examples` gives it.

    A list or tuple means several inputs only if its items are arrays of equal length (or dicts of them); else it is one array.
    """
    if isinstance(value, dict):
        if not value:
            raise nothing(function, argument, "an empty dict")
        return {key: tree(item, function, f"{argument}[{key!r}]", fix) for key, item in value.items()}
    if isinstance(value, list | tuple) and holds_several(value):
        items = [tree(item, function, f"{argument}[{i}]", fix) for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    return examples(value, function, argument, fix)


def named_leaves(value: Tree, name: str) -> list[tuple[str, Examples]]:
    """The arrays of a tree with their names, such as ``x['left']``."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in named_leaves(item, f"{name}[{key!r}]")]
    if isinstance(value, list | tuple):
        return [leaf for i, item in enumerate(value) for leaf in named_leaves(item, f"{name}[{i}]")]
    return [] if value is None else [(name, value)]


def len_of(value: Tree) -> int:
    """Number of examples in a tree of arrays."""
    return len(flatten(value)[0][0])


def is_plain(value: Any) -> bool:
    """Whether it is what `examples` would give: a NumPy array of numbers in the right layout, with examples."""
    return type(value) is np.ndarray and value.dtype in _NATIVE and value.flags.c_contiguous and value.ndim > 0 and len(value) > 0


def is_array(value: Any) -> bool:
    """Whether it is an array, a frame or a tensor of any library."""
    return isinstance(value, np.ndarray | np.generic) or (
        not isinstance(value, type) and any(hasattr(value, name) for name in ("__array__", "__dlpack__", "__array_interface__", "to_numpy", "detach"))
    )


def holds_several(items: Sequence[Any]) -> bool:
    """Whether a list or tuple holds arrays of equal length, or dicts or lists of them: several inputs rather than one array."""
    lengths = {_length(item) for item in items}
    return len(lengths - {-1}) <= 1 and None not in lengths and bool(lengths)


def _length(item: Any) -> int | None:
    """The length of an array with an axis; -1 for a dict of arrays; None for anything else."""
    if isinstance(item, dict):
        return -1 if item else None
    shape = getattr(item, "shape", None)
    return int(shape[0]) if is_array(item) and shape is not None and len(shape) else None


def numpy_array(value: Any, function: str, argument: str) -> Examples:
    """Any array-like as a NumPy array, whatever it holds.

    Raises
    ------
    ShapeError
        If the rows are of unequal length.
    DTypeError
        If another library's array cannot be read.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Variable):
        return np.asarray(value.value)
    try:
        if hasattr(value, "to_numpy") and (hasattr(value, "dtypes") or hasattr(value, "dtype")):
            return _from_frame(value)
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            value = value.detach().cpu()
            return np.asarray(value.numpy())
    except (TypeError, ValueError, RuntimeError) as error:
        if not hasattr(value, "__dlpack__"):
            raise _unreadable(value, function, argument, error) from error
    if hasattr(value, "__dlpack__") and (not hasattr(value, "__array__") or hasattr(value, "detach")):
        return _from_dlpack(value, function, argument)
    try:
        array = np.asarray([np.asarray(v) for v in value] if isinstance(value, list | tuple) and any(map(is_array, value)) else value)
    except ValueError as error:
        raise _ragged(value, function, argument, error) from error
    if array.dtype == np.float64 and isinstance(value, list | tuple) and _first_is_float(value):
        return array.astype(np.float32)
    return array


def _from_frame(frame: Any) -> Examples:
    """A table or a column. Columns of numbers of several types get their common one, and missing values become NaN."""
    kinds = [frame.dtype] if hasattr(frame, "dtype") else list(frame.dtypes)
    known = [np.dtype(getattr(k, "numpy_dtype", k)) for k in kinds if getattr(k, "kind", "O") in "fiub"]
    if len(known) < len(kinds) or not kinds:
        return np.asarray(frame.to_numpy())
    array = np.asarray(frame.to_numpy())
    if array.dtype.kind != "O":
        return array
    try:
        return np.asarray(frame.to_numpy(dtype=np.result_type(*known)))
    except (TypeError, ValueError):  # missing values, which only floats can say
        return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))


def _from_dlpack(value: Any, function: str, argument: str) -> Examples:
    from insitu.array.dlpack import imported

    try:
        return imported(value)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        raise _unreadable(value, function, argument, error) from error


def _first_is_float(value: Any) -> bool:
    """Whether the innermost first element of nested lists is a Python float (or int, where a float comes later)."""
    while isinstance(value, list | tuple) and len(value):
        value = value[0]
    return type(value) in (bool, int, float)


def _numbers(array: Examples, value: Any, function: str, argument: str) -> Examples:
    """The array in the layout that compiled code reads, if it holds numbers that insitu has."""
    native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if native.dtype == object and native.size and all(isinstance(v, np.ndarray | list | tuple) for v in native.flat):
        raise _ragged(list(native.flat), function, argument, ValueError("an array of objects, which are arrays of different shapes"))
    if native.dtype.name not in dt.BY_NAME:
        raise DTypeError(
            f"{function}: {argument} must hold numbers.",
            expected="an array of a floating, integer or boolean type",
            received=_what(array, value),
            fix=_dtype_fix(array, value, argument),
            slug="data-dtype",
            argument=f"{argument}=",
        )
    return np.ascontiguousarray(native) if native.ndim else native


def _what(array: Examples, value: Any) -> str:
    if array.dtype == object and not array.ndim:
        return "None" if value is None else f"an object of type {type(value).__name__}"
    text = f"{array.shape} {array.dtype}"
    columns = getattr(value, "columns", None)
    if columns is not None and hasattr(value, "dtypes"):
        odd = [f"{c!r} ({k})" for c, k in zip(columns, value.dtypes, strict=False) if getattr(k, "kind", "O") not in "fiub"]
        return text + (f"; the columns {', '.join(odd[:5])} hold no numbers" if odd else "")
    if array.dtype == object and array.size:
        odd_items = [v for v in array.flat if not isinstance(v, bool | int | float | np.number | np.bool_)]
        return text + (f", among them {odd_items[0]!r:.60}" if odd_items else ", each number an object of its own")
    return text


def _dtype_fix(array: Examples, value: Any, argument: str) -> str:
    name = argument.rpartition(" ")[2]
    if array.dtype.kind in "USO" and hasattr(value, "columns"):
        return "leave out these columns, or give each text a number first"
    if array.dtype.kind in "US" or any(isinstance(v, str) for v in array.flat[:1000]):
        kind = _number_kind(array)
        if kind:
            return f'read the text as numbers: np.asarray({name}).astype("{kind}")'
        return f"give each text a number first: np.unique({name}, return_inverse=True)[1]"
    if array.dtype == object and not array.ndim:
        return "pass an array, a list of numbers, or a dict or list of arrays"
    if array.dtype == object and any(v is None for v in array.flat[:1000]):
        return f'put a number where None stands, then convert it: np.asarray({name}).astype("float32")'
    if array.dtype.kind in "mM":
        return f'count the time that has passed: ({name} - {name}[0]).astype("float32")' if array.dtype.kind == "M" else f'{name}.astype("float32")'
    return "pass real and imaginary part as two numbers" if array.dtype.kind == "c" else f'convert it: {name}.astype("float32")'


def _number_kind(array: Examples) -> str:
    """The type that texts of numbers can be read as; empty if they are no numbers."""
    for kind in ("int64", "float32"):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            array.ravel()[:1000].astype(kind)
            return kind
    return ""


def _ragged(value: Any, function: str, argument: str, error: Exception) -> UserError:
    arrays = isinstance(value, list | tuple) and all(map(is_array, value))
    several = "arrays of the shapes " + listed([tuple(np.shape(v)) for v in value]) if arrays else row_lengths(value) or str(error)
    return ShapeError(
        f"{function}: the rows of {argument} have unequal lengths.",
        expected="examples of one shape" + (", or several inputs with equally many examples" if arrays else ""),
        received=several,
        fix="cut the rows to one length, or fill the shorter ones: row + [0] * (length - len(row))"
        if not arrays
        else "make all examples equal in shape",
        slug="data-ragged",
        argument=f"{argument}=",
    )


def _unreadable(value: Any, function: str, argument: str, error: Exception) -> UserError:
    return DTypeError(
        f"{function}: the values of {argument} cannot be read.",
        expected="an array in the memory of the CPU, of a type NumPy has",
        received=f"{type(value).__module__}.{type(value).__qualname__}: {error}",
        fix="convert it to a NumPy array first",
        slug="data-dtype",
        argument=f"{argument}=",
    )


def nothing(function: str, argument: str, received: str) -> UserError:
    """The error for data without examples."""
    slug = {"fit": "fit-empty-data", "evaluate": "evaluate-empty-data", "predict": "predict-empty-data"}.get(stem(function), "data-empty")
    return ArgumentError(
        f"{function}: {argument} holds no examples.",
        expected="at least one example",
        received=received,
        fix="check how the data were read or split",
        slug=slug,
        argument=f"{argument}=",
    )


def check_lengths(function: str, leaves: Sequence[tuple[str, Examples]], fix: str = "") -> None:
    """Refuse arrays with different numbers of examples.

    Raises
    ------
    ShapeError
        Names the first array that differs from the first one.
    """
    name, first = leaves[0]
    for other, array in leaves[1:]:
        if len(array) != len(first):
            slug = {"fit": "fit-lengths-differ", "evaluate": "evaluate-lengths-differ"}.get(stem(function), "data-lengths")
            raise ShapeError(
                f"{function}: {name} and {other} hold different numbers of examples.",
                expected=_lengths_expected(name, other),
                received=f"{name}: {first.shape} {first.dtype}, {other}: {array.shape} {array.dtype}",
                fix=fix or _lengths_fix(name, len(leaves), len(first), len(array)),
                slug=slug,
                argument=f"{other}=",
            )


def _lengths_expected(name: str, other: str) -> str:
    if other.split("[")[0] == name.split("[")[0]:
        return "equally many examples in each array"
    return f"one {'weight' if other.endswith('sample_weight') else 'target'} per example"


def _lengths_fix(name: str, arrays: int, one: int, other: int) -> str:
    whole = name.split("[")[0]
    if name.endswith("[0]") and arrays > 2:
        return f"a list of arrays means several inputs; if each is one example: np.stack({whole})"
    return f"take both from the same {min(one, other)} examples"


def stem(function: str) -> str:
    """``fit`` for ``train_on_batch``, and so on: which of the three things a function does with the data."""
    return {"train_on_batch": "fit", "test_on_batch": "evaluate", "predict_on_batch": "predict"}.get(function, function)
