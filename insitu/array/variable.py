"""`Variable`: the one mutable thing, a cell that holds an array."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from insitu import ops
from insitu.arguments import ARRAY, DTYPE, FLAG, TEXT, checked
from insitu.array.array import Array
from insitu.array.creation import asarray
from insitu.array.elementwise import add, subtract
from insitu.array.evaluate import evaluate_nodes
from insitu.errors import DTypeError, ShapeError
from insitu.graph.node import Node, placeholder


class Trace:
    """The reads and writes of variables while one function is traced; ``constants`` are variables that are read as the values given here."""

    def __init__(self, constants: Mapping[Variable, Node] | None = None) -> None:
        self.constants = constants or {}
        self.read: dict[Variable, Node] = {}
        self.now: dict[Variable, Node] = {}
        #: the variables made in this trace, and those of them that last although nobody holds them
        self.made: dict[weakref.ref[Variable], None] = {}
        self.lasting: list[Variable] = []

    def value(self, variable: Variable) -> Node:
        """The variable's node at this point of the trace."""
        found = self.now.get(variable) or self.constants.get(variable)
        if found is None:
            new = weakref.ref(variable) in self.made  # gradients pass through the value that it was made with
            found = self.read[variable] = self.now[variable] = ops.identity(variable._node) if new else placeholder(variable._node.aval)
        return found

    def settle(self) -> dict[Node, Node]:
        """Forget the variables that were made here and that nobody holds by now: each call makes them anew.

        Returns
        -------
        dict
            Of those that were made here and last: for the node that readers got, the placeholder in its place.
        """
        others = [v for v in (*self.read, *self.now) if weakref.ref(v) not in self.made]
        read, now = ([(weakref.ref(v), n) for v, n in nodes.items()] for nodes in (self.read, self.now))
        self.read.clear()
        self.now.clear()  # from here on, a variable of this trace lives only if somebody else holds it
        swap = {n: placeholder(n.aval) for at, n in read if at in self.made and at() is not None}
        self.read = {v: swap.get(n, n) for at, n in read if (v := at()) is not None}
        self.now = {v: n for at, n in now if (v := at()) is not None}
        del others
        return swap

    @property
    def written(self) -> list[Variable]:
        """Variables that end with another value than they began with, in order of first use."""
        return [v for v, n in self.now.items() if self.read.get(v) is not n]


class _Traces(threading.local):
    def __init__(self) -> None:
        self.open: list[Trace] = []


traces = _Traces()


class Looks:
    """Whether anybody may hold what a variable holds; compiled functions ask before they update it in place.

    Attributes
    ----------
    mark : object
        Another one after every look into any variable, and after every change of one.
    running : list
        One element for each call that runs on variables without holding their values.
    retired : list
        Values that were replaced meanwhile, kept until no such call runs.
    """

    __slots__ = ("mark", "retired", "running")

    def __init__(self) -> None:
        self.mark = object()
        self.running: list[None] = []
        self.retired: list[Node] = []

    def leave(self) -> None:
        """End such a call."""
        self.running.pop()
        if self.retired and not self.running:
            self.retired.clear()


looks = Looks()


#: What pickling keeps of a variable beside its value.
_KEPT = ("name", "trainable", "constraint", "regularizer")


class Variable:
    """A cell with an array of fixed shape and dtype.

    Operators and indexing work on the value and give arrays; ``v += x`` is ``v.assign(v + x)``. Two variables are equal only if they
    are one.

    Inside a function under `compile`, reading and assigning become inputs and outputs of the
    compiled program, which updates the memory in place where nobody else holds it.

    Parameters
    ----------
    value : array_like
        Initial value.
    dtype : DType, optional
        Convert to this type.
    name : str, optional
        Shown in messages and summaries.
    trainable : bool
        Whether optimizers change it.

    Examples
    --------
    >>> import insitu as si
    >>> v = si.Variable([1.0, 2.0])
    >>> v.assign(v.value * 2)
    >>> v.value
    Array([2., 4.], dtype=float32)
    >>> 1 - v
    Array([-1., -3.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_node", "constraint", "name", "regularizer", "trainable")

    @checked(value=ARRAY, dtype=DTYPE | None, name=TEXT, trainable=FLAG)
    def __init__(self, value: Any, dtype: Any = None, name: str = "variable", trainable: bool = True) -> None:
        self._node: Node = asarray(value, dtype=dtype)._node
        self.name, self.trainable = name, trainable
        #: what optimizers apply to a new value, and what training adds to the loss: functions of an array, or None
        self.constraint: Any = None
        self.regularizer: Any = None
        if traces.open:
            traces.open[-1].made[weakref.ref(self)] = None

    @property
    def node(self) -> Node:
        """The node of the array in the cell."""
        node = self._node
        looks.mark = object()  # after the node is held: who measures references meanwhile sees this one
        return node

    @node.setter
    def node(self, node: Node) -> None:
        looks.mark = object()  # before the test: a call that has begun by then is seen in it
        if looks.running:
            looks.retired.append(self._node)
        self._node = node

    @property
    def value(self) -> Array:
        """The array in the cell."""
        return Array(traces.open[-1].value(self) if traces.open else self.node)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._node.aval.shape

    @property
    def dtype(self) -> Any:
        return self._node.aval.dtype

    @property
    def ndim(self) -> int:
        return self._node.aval.ndim

    @property
    def size(self) -> int:
        return self._node.aval.size

    @checked(value=ARRAY)
    def assign(self, value: Any) -> None:
        """Put another array of the same shape and dtype into the cell.

        Raises
        ------
        ShapeError, DTypeError
            If the value does not fit; nothing is changed then.
        """
        node = asarray(value)._node if not isinstance(value, Array) else value._node
        have = self._node.aval
        if node.aval.shape != have.shape:
            raise ShapeError(
                f'Variable "{self.name}" holds shape {have.shape}, and an array of another shape was assigned.',
                expected=f"shape {have.shape}",
                received=f"shape {node.aval.shape}",
                fix="reshape the value, or make a new Variable",
                slug="variable-shape",
                argument="value",
            )
        if node.aval.dtype is not have.dtype:
            if not isinstance(value, (int, float, bool)):
                raise DTypeError(
                    f'Variable "{self.name}" holds {have.dtype.name}, and an array of {node.aval.dtype.name} was assigned.',
                    expected=have.dtype.name,
                    received=node.aval.dtype.name,
                    fix=f"convert it: value.astype(si.{have.dtype.name})",
                    slug="variable-dtype",
                    argument="value",
                )
            node = asarray(value, dtype=have.dtype)._node
        if traces.open:
            traces.open[-1].now[self] = node
        else:
            self.node = node

    @checked(value=ARRAY)
    def assign_add(self, value: Any) -> None:
        """Add to the array in the cell: ``v += value``."""
        self.assign(add(self.value, value))

    @checked(value=ARRAY)
    def assign_sub(self, value: Any) -> None:
        """Subtract from the array in the cell: ``v -= value``."""
        self.assign(subtract(self.value, value))

    def numpy(self) -> Any:
        """A NumPy copy of the value."""
        import numpy as np

        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.value.__array__(dtype, copy=copy)

    __array_priority__ = 1000  # NumPy leaves a * variable to the variable

    if TYPE_CHECKING:
        # Attached in insitu.array.methods: what these operators do to the value.
        def __getitem__(self, key: Any) -> Array: ...
        def __add__(self, other: Any) -> Array: ...
        def __radd__(self, other: Any) -> Array: ...
        def __sub__(self, other: Any) -> Array: ...
        def __rsub__(self, other: Any) -> Array: ...
        def __mul__(self, other: Any) -> Array: ...
        def __rmul__(self, other: Any) -> Array: ...
        def __truediv__(self, other: Any) -> Array: ...
        def __rtruediv__(self, other: Any) -> Array: ...
        def __pow__(self, other: Any) -> Array: ...
        def __matmul__(self, other: Any) -> Array: ...
        def __rmatmul__(self, other: Any) -> Array: ...
        def __neg__(self) -> Array: ...
        def __iadd__(self, other: Any) -> Variable: ...
        def __isub__(self, other: Any) -> Variable: ...
        def __imul__(self, other: Any) -> Variable: ...
        def __bool__(self) -> bool: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...

    def __repr__(self) -> str:
        return f'Variable("{self.name}", {self._node.aval})'

    def __getstate__(self) -> dict[str, Any]:
        evaluate_nodes([self._node])
        return {"value": self.numpy(), **{name: getattr(self, name) for name in _KEPT}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._node = asarray(state["value"])._node
        for name in _KEPT:
            setattr(self, name, state[name])
