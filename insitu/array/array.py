"""`Array`: a handle on a node of the graph, which looks and behaves like NumPy's array."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import NONE, Checked, Choice, checked
from insitu.array import scalars
from insitu.array.evaluate import DEPTH_LIMIT, evaluate_nodes, settle
from insitu.array.tree import flatten, unflatten
from insitu.config import config
from insitu.dtypes import DType
from insitu.errors import ArgumentError, ShapeError, TraceError, UserError
from insitu.graph.node import INPUT, Node, aval, leaf, topological
from insitu.runtime.memory import from_numpy

if TYPE_CHECKING:
    from insitu.array.update import At

_ref = weakref.ref
# The settings' own dictionary: `config.eager` would cost a tenth of building a node. Reading it once puts it there.
_settings = config._values
config.eager  # noqa: B018

_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


class Array:
    """A tensor of one dtype. It never changes; operations give new arrays, computed when they are looked at.

    Arrays are made by `insitu.asarray`, the creation functions and operations, not by calling the class.

    Parameters
    ----------
    node : Node
        The node of the graph, or a leaf with a value.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.asarray([1.0, 2.0, 3.0])
    >>> x * 2 + 1
    Array([3., 5., 7.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_node")

    __hash__ = None  # type: ignore[assignment]  # == compares element by element
    __array_priority__ = 1000.0

    def __init__(self, node: Node) -> None:
        self._node = node
        if node.memory is None:
            node.handle = _ref(self)
            if node.depth > DEPTH_LIMIT:
                settle(node)
            if _settings["eager"]:
                _evaluate_eagerly(node)

    # -- what is known without a value ----------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._node.aval.shape

    @property
    def dtype(self) -> DType:
        """Type of the elements."""
        return self._node.aval.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._node.aval.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._node.aval.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._node.aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._node.aval.nbytes

    @property
    def device(self) -> str:
        """Where the array is: always ``"cpu"``."""
        return "cpu"

    @checked("device", device=Choice("cpu", slug="device", fix="leave the array where it is"), stream=NONE)
    def to_device(self, device: Any, /, *, stream: None = None) -> Array:
        """The array itself: there is one device, ``"cpu"``."""
        return self

    @property
    def T(self) -> Array:
        """The axes in reverse order."""
        return Array(ops.permute(self._node, tuple(range(self.ndim - 1, -1, -1))))

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        n = self.ndim
        if n < 2:
            raise ShapeError(
                "mT needs at least 2 axes.", expected="(..., rows, columns)", received=f"shape {self.shape}",
                fix="add an axis first: x[None, :]", slug="matrix-rank",
            )  # fmt: skip
        return Array(ops.permute(self._node, (*range(n - 2), n - 1, n - 2)))

    # -- looking at the value --------------------------------------------------------------------
    def _view(self) -> np.ndarray[Any, Any]:
        """The value as a read-only NumPy array that shares the memory."""
        node = self._node
        if node.memory is None:
            evaluate_nodes([node])
        view: np.ndarray[Any, Any] = node.memory.view(node.aval.shape, node.aval.dtype.numpy)
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        view = self._view()
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ArgumentError(
                    f"An array of {self.dtype.name} cannot be seen as {np.dtype(dtype)} without a copy.", expected=str(view.dtype),
                    received=str(np.dtype(dtype)), fix="leave out copy=False", slug="copy-needed",
                )  # fmt: skip
            return view.astype(dtype)
        return view.copy() if copy else view

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """A function of NumPy called on arrays of insitu works on their values and gives what NumPy gives."""
        args, kwargs = _values((args, kwargs))
        return function(*args, **kwargs)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators leave the work to ours; its functions look at the values."""
        names = _OPERATORS.get(function.__name__) if method == "__call__" and not options else None
        if names is None:
            args, kwargs = _values((inputs, options))
            return getattr(function, method)(*args, **kwargs)
        forward, reflected = names
        return getattr(inputs[0], forward)(inputs[1]) if isinstance(inputs[0], Array) else getattr(inputs[1], reflected)(inputs[0])

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a read-only NumPy array that shares the memory."""
        return self._view()

    @checked(index=Checked("a whole number for each axis, or for the elements counted in their order", (0,)))
    def item(self, *index: int) -> bool | int | float:
        """The only element, or the one at the index, as a Python number.

        Raises
        ------
        ShapeError
            If there is not exactly one element and no index is given.
        IndexingError
            If there is no element at the index.
        """
        view = self._view()
        if not index and view.size != 1:
            raise _not_one("item()", self, "index the array, or use tolist()")
        try:
            value: bool | int | float = view.item(*index)
        except (IndexError, ValueError, TypeError, OverflowError):
            raise self._no_item(index[0] if len(index) == 1 and isinstance(index[0], tuple) else index) from None
        return value if self.dtype is not dt.bfloat16 else float(value)

    def _no_item(self, places: tuple[Any, ...]) -> UserError:
        """The error for an index that is not one element."""
        try:
            found = (self.reshape(-1) if len(places) == 1 else self)[places]
        except UserError as error:
            return error
        return _not_one("item()", found, "give a whole number for each axis, or one for the elements counted in their order")

    def tolist(self) -> Any:
        """The elements as Python numbers in nested lists."""
        return _printable(self._view()).tolist()

    def __float__(self) -> float:
        return float(self._only("float()"))

    def __int__(self) -> int:
        return int(self._only("int()"))

    def __complex__(self) -> complex:
        return complex(self._only("complex()"))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise _not_one("The truth value of an array", self, "use x.any() or x.all(); for each element, write & for and, | for or, ~ for not")
        return bool(self._view().reshape(())[()])

    def __index__(self) -> int:
        if not self.dtype.is_integer or self.ndim:
            raise TraceError(
                "Only an integer array without axes can be used as an index of Python.", expected="a 0-d array of an integer dtype",
                received=f"shape {self.shape}, {self.dtype.name}", fix="use int(x)", slug="index-array",
            )  # fmt: skip
        return int(self._view()[()])

    def _only(self, what: str) -> Any:
        if self.size != 1:
            raise _not_one(what, self, "reduce it first (x.sum(), x.mean()), or index one element")
        return self._view().reshape(())[()]

    def __len__(self) -> int:
        if not self.ndim:
            raise _no_axes("len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.ndim:
            raise _no_axes("A loop")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    # -- printing ------------------------------------------------------------------------------
    def __repr__(self) -> str:
        view = self._shown()
        if view is None:
            return f"Array(shape={self.shape}, dtype={self.dtype.name}, traced)"
        prefix, options = "Array(", np.get_printoptions()
        if view.size == 0 and view.shape != (0,):
            text = f"{prefix}[], shape={view.shape},"
        else:
            text = prefix + np.array2string(view, separator=", ", prefix=prefix, suffix=")") + ","
            text += f" shape={view.shape}," if view.size > options["threshold"] else ""
        tail = f"dtype={self.dtype.name})"
        last = len(text) - (text.rfind("\n") + 1)
        fits = last + len(tail) + 1 <= options["linewidth"]
        return f"{text}{' ' if fits else chr(10) + ' ' * len(prefix)}{tail}"

    def __str__(self) -> str:
        view = self._shown()
        return repr(self) if view is None else str(view)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.ndim == 0 else format(str(self), spec)

    def _shown(self) -> np.ndarray[Any, Any] | None:
        """What is printed; None for an array that has no value yet because a function is being traced."""
        return _printable(self._view()) if self._node.memory is not None or not _traced(self._node) else None

    # -- other libraries, copies ----------------------------------------------------------------
    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version is not None and api_version not in _API_VERSIONS:
            raise ArgumentError(
                f"insitu does not follow version {api_version!r} of the Array API.", expected="one of " + ", ".join(_API_VERSIONS),
                received=repr(api_version), fix="leave out api_version", slug="api-version", argument="api_version",
            )  # fmt: skip
        return sys.modules["insitu"]

    def __dlpack__(self, *, stream: None = None, max_version: tuple[int, int] | None = None, dl_device: Any = None, copy: bool | None = None) -> Any:
        """A DLPack capsule on the same memory. Consumers of DLPack before 1.0 cannot be told that it is read-only."""
        from insitu.array.dlpack import exported

        view = self._view()
        if copy:
            return exported(view.copy(), max_version=max_version, dl_device=dl_device)
        if max_version is None or max_version[0] < 1:
            view = self._node.memory.view(self.shape, self.dtype.numpy, writable=True)
        return exported(view, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __copy__(self) -> Array:
        return Array(self._node)

    def __deepcopy__(self, memo: Any) -> Array:
        return Array(self._node)  # a value that never changes may be shared

    def __reduce__(self) -> tuple[Any, ...]:
        view = self._view()
        return _restored, (view.view(np.uint16) if self.dtype is dt.bfloat16 else np.array(view), self.dtype)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TraceError(
            "An array cannot be changed in place.", expected="a new array", received=f"x[{_index_text(key)}] = value",
            fix=f"x = x.at[{_index_text(key)}].set(value)  (or .add(value))", slug="array-immutable",
        )  # fmt: skip

    # -- operators ------------------------------------------------------------------------------
    def __neg__(self) -> Array:
        return Array(ops.neg(self._node))

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return Array(ops.abs(self._node))

    def __invert__(self) -> Array:
        return Array(ops.not_(self._node))

    if TYPE_CHECKING:
        # Attached in insitu.array.methods: the functions of the same names, and what operators do.
        def __getitem__(self, key: Any) -> Array: ...
        def __add__(self, other: Any) -> Array: ...
        def __sub__(self, other: Any) -> Array: ...
        def __mul__(self, other: Any) -> Array: ...
        def __truediv__(self, other: Any) -> Array: ...
        def __floordiv__(self, other: Any) -> Array: ...
        def __mod__(self, other: Any) -> Array: ...
        def __divmod__(self, other: Any) -> tuple[Array, Array]: ...
        def __rdivmod__(self, other: Any) -> tuple[Array, Array]: ...
        def __pow__(self, other: Any) -> Array: ...
        def __matmul__(self, other: Any) -> Array: ...
        def __and__(self, other: Any) -> Array: ...
        def __or__(self, other: Any) -> Array: ...
        def __xor__(self, other: Any) -> Array: ...
        def __lshift__(self, other: Any) -> Array: ...
        def __rshift__(self, other: Any) -> Array: ...
        def __radd__(self, other: Any) -> Array: ...
        def __rsub__(self, other: Any) -> Array: ...
        def __rmul__(self, other: Any) -> Array: ...
        def __rtruediv__(self, other: Any) -> Array: ...
        def __rpow__(self, other: Any) -> Array: ...
        def __rmatmul__(self, other: Any) -> Array: ...
        def __eq__(self, other: object) -> Array: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Array: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Array: ...
        def __le__(self, other: Any) -> Array: ...
        def __gt__(self, other: Any) -> Array: ...
        def __ge__(self, other: Any) -> Array: ...
        @property
        def at(self) -> At: ...

        all: Callable[..., Array]
        any: Callable[..., Array]
        argmax: Callable[..., Array]
        argmin: Callable[..., Array]
        argsort: Callable[..., Array]
        astype: Callable[..., Array]
        clip: Callable[..., Array]
        cumsum: Callable[..., Array]
        cumprod: Callable[..., Array]
        dot: Callable[..., Array]
        flatten: Callable[..., Array]
        max: Callable[..., Array]
        mean: Callable[..., Array]
        min: Callable[..., Array]
        nonzero: Callable[..., tuple[Array, ...]]
        prod: Callable[..., Array]
        ravel: Callable[..., Array]
        repeat: Callable[..., Array]
        reshape: Callable[..., Array]
        round: Callable[..., Array]
        sort: Callable[..., Array]
        squeeze: Callable[..., Array]
        std: Callable[..., Array]
        sum: Callable[..., Array]
        swapaxes: Callable[..., Array]
        take: Callable[..., Array]
        transpose: Callable[..., Array]
        var: Callable[..., Array]


#: NumPy's name of an operator: our methods where the left and where only the right operand is an array of insitu.
_OPERATORS = {
    name: (f"__{own}__", f"__{reflected}__")
    for name, own, reflected in [
        *[(n, s, f"r{s}") for n, s in [
            ("add", "add"), ("subtract", "sub"), ("multiply", "mul"), ("divide", "truediv"), ("floor_divide", "floordiv"), ("remainder", "mod"),
            ("power", "pow"), ("matmul", "matmul"), ("bitwise_and", "and"), ("bitwise_or", "or"), ("bitwise_xor", "xor"),
            ("left_shift", "lshift"), ("right_shift", "rshift"),
        ]],
        ("equal", "eq", "eq"), ("not_equal", "ne", "ne"), ("less", "lt", "gt"), ("less_equal", "le", "ge"), ("greater", "gt", "lt"),
        ("greater_equal", "ge", "le"),
    ]
}  # fmt: skip


def _values(tree: Any) -> Any:
    leaves, structure = flatten(tree)
    return unflatten(structure, [x._view() if type(x) is Array else x for x in leaves])


def _index_text(key: Any) -> str:
    """An index as it stands in a program."""
    if isinstance(key, tuple) and key:
        return ", ".join(map(_index_text, key))
    if isinstance(key, slice):
        parts = ["" if n is None else repr(n) for n in (key.start, key.stop)] + ([] if key.step is None else [repr(key.step)])
        return ":".join(parts)
    return "..." if key is ... else repr(key) if key is None or isinstance(key, int) else "index"


def operand(other: Any, beside: DType) -> Node | None:
    """The node of an operator's other side; None if it is nothing insitu can work with."""
    if type(other) is Array:
        return other._node
    if isinstance(other, (bool, int, float)):
        return scalars.constant(other, scalars.weak_dtype(other, beside))
    from insitu.array.convert import convertible, node_of

    return node_of(other) if convertible(other) else None


def owned(array: np.ndarray[Any, Any], dtype: DType) -> Array:
    """An array on the memory of a C-contiguous NumPy array that nobody will change."""
    return Array(leaf(aval(array.shape, dtype), from_numpy(array)))


def _restored(array: np.ndarray[Any, Any], dtype: DType) -> Array:
    return owned(np.ascontiguousarray(array).reshape(array.shape), dtype)


def _printable(view: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """bfloat16 as float32, which NumPy can print and list; everything else as it is."""
    return view.astype(np.float32) if view.dtype.kind == "V" or view.dtype.name == "bfloat16" else view


def _traced(node: Node) -> bool:
    """Whether the value depends on a parameter of a function that is being traced."""
    pending = topological([node], lambda n: n.memory is not None)
    return any(n.memory is None and n.prim is INPUT for n in pending)


def _evaluate_eagerly(node: Node) -> None:
    if not _traced(node):
        evaluate_nodes([node])


def _not_one(what: str, x: Array, fix: str) -> UserError:
    return ShapeError(
        f"{what} needs an array with exactly one element.", expected="1 element", received=f"shape {x.shape}, {x.size} elements",
        fix=fix, slug="not-one-element",
    )  # fmt: skip


def _no_axes(what: str) -> UserError:
    return ShapeError(
        f"{what} needs an array with at least one axis.", expected="1 axis or more", received="a single number, shape ()",
        fix="use x.item(), or x[None] to add an axis", slug="no-axes",
    )  # fmt: skip
