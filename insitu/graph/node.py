"""The graph: typed nodes over whole tensors, the first of insitu's two intermediate forms.

A `Node` is one application of a `Primitive`. It never changes, with one exception: evaluating it
attaches its value (``memory``) and lets go of its inputs, so that it becomes a leaf.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu import dtypes as dt
from insitu.errors import InternalError

if TYPE_CHECKING:
    from insitu.codegen import nest
    from insitu.graph.origins import Origins

DType = dt.DType
Shape = tuple[int, ...]
Attrs = tuple[Any, ...]


class Aval:
    """The shape and dtype of a tensor. Equal ones are the same object: make them with `aval`."""

    __slots__ = ("dtype", "nbytes", "ndim", "shape", "size")

    def __init__(self, shape: Shape, dtype: DType) -> None:
        self.shape, self.dtype = shape, dtype
        self.ndim, self.size = len(shape), math.prod(shape)
        self.nbytes = self.size * dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return (aval, (self.shape, self.dtype))


_avals: dict[tuple[Shape, DType], Aval] = {}


def aval(shape: Shape, dtype: DType) -> Aval:
    """The one `Aval` of that shape and dtype."""
    found = _avals.get((shape, dtype))
    if found is None:
        found = _avals[shape, dtype] = Aval(shape, dtype)
    return found


class Node:
    """One application of a primitive; a leaf once it has ``memory``.

    Attributes
    ----------
    prim : Primitive
    inputs : tuple of Node
    attrs : tuple
        Values of ``prim.attributes``, hashable.
    aval : Aval
    memory : object or None
        The value, C-contiguous (a runtime ``Memory``), once it is known.
    depth : int
        Longest chain of nodes to a leaf; bounds how far laziness may go.
    handle : weakref or None
        The `Array` that shows this node to the user while it has no value, while there is one.
    """

    __slots__ = ("attrs", "aval", "depth", "handle", "inputs", "memory", "prim")

    depth: int

    def __init__(self, prim: Primitive, inputs: tuple[Node, ...], attrs: Attrs, av: Aval, memory: Any = None) -> None:
        self.prim, self.inputs, self.attrs, self.aval, self.memory = prim, inputs, attrs, av, memory
        self.handle: weakref.ref[Any] | None = None
        depth = 0
        for n in inputs:
            if n.depth > depth:
                depth = n.depth
        self.depth = depth + 1 if inputs else 0

    def __repr__(self) -> str:
        return f"<{self.prim.name}: {self.aval}>"

    @property
    def shape(self) -> Shape:
        return self.aval.shape

    @property
    def dtype(self) -> DType:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim


#: ``load(i, index, guard)``: element of input ``i`` at ``index``; where ``guard`` is false the index may be
#: out of range, nothing is read and the value is arbitrary.
Load = Callable[..., "nest.Expr"]


class Primitive:
    """One operation: meaning, shape and dtype rule, gradient, NumPy reference, samples and lowering.

    A subclass sets the class attributes and overrides the methods of its ``kind``:

    ======== =======================================================================================
    kind     lowering
    ======== =======================================================================================
    leaf     none: a value that comes from outside
    map      ``scalar``: element-wise with NumPy broadcasting of the inputs (shapes aligned at the right)
    view     ``element``: the value at an index from the inputs' values at other indices, or from the index; ``place``: where these lie
    mix      ``element``, as a value of its own; ``block`` says how many neighbours on each axis are computed together
    reduce   ``how`` (a nest reduction) over ``attrs[0]``, the axes; the output lacks these axes
    scan     ``how`` along the axis ``attrs[0]``
    contract ``(..., m, k) @ (..., k, n)`` with equal leading shapes, or windows of a grid times a kernel
    sort     stable positions along an axis
    scatter  updates of an array at indices
    composed ``expand``: other primitives
    ======== =======================================================================================
    """

    name: str = ""
    meaning: str = ""
    attributes: tuple[str, ...] = ()
    arity: int = 1
    kind: str = "map"
    how: str = ""
    #: Why there is no gradient, where there is none.
    no_gradient: str = ""

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        """The output's shape and dtype; raises a `UserError` if the inputs do not fit."""
        raise InternalError(f"primitive {self.name} has no shape rule")

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        """The cotangent of each input from the output's cotangent ``ct`` (None = zero)."""
        raise InternalError(f"primitive {self.name} has no gradient")

    def reference(self, attrs: Attrs, *arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The value by NumPy, for tests."""
        raise InternalError(f"primitive {self.name} has no reference")

    def samples(self, rng: np.random.Generator) -> Iterable[tuple[Attrs, tuple[np.ndarray[Any, Any], ...]]]:
        """Attributes and inputs for tests: odd shapes, broadcasting, several dtypes."""
        raise InternalError(f"primitive {self.name} has no samples")

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        """(map) The element from the inputs' elements. Arguments and result of 16-bit floats are float32."""
        raise InternalError(f"primitive {self.name} has no scalar lowering")

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        """(view, mix) The element of memory dtype at ``index``."""
        raise InternalError(f"primitive {self.name} has no element lowering")

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...] | None:
        """(view) Where the element of input ``number`` at ``index`` lies in the result, which has it once at most; None if it is not told.

        The place may be outside the result, which then does not have the element.
        """
        return None

    def block(self, node: Node) -> tuple[int, ...]:
        """(mix) How many neighbouring elements on each axis are computed together."""
        raise InternalError(f"primitive {self.name} has no block")

    def expand(self, node: Node) -> Node | None:
        """(composed, and any with shapes that have no kernel of their own) The same value from other primitives."""
        return None

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return (REGISTRY.__getitem__, (self.name,))


#: Every primitive by name.
REGISTRY: dict[str, Primitive] = {}


def register(cls: type[Primitive]) -> Primitive:
    """Class decorator: the class becomes its one instance and enters `REGISTRY`."""
    if cls.name in REGISTRY:
        raise InternalError(f"two primitives are called {cls.name}")
    made = REGISTRY[cls.name] = cls()
    return made


_new = object.__new__


class _Recording(threading.local):
    #: told of this thread's new nodes while somebody wants to know where they come from; see `insitu.graph.origins`
    origins: Origins | None = None


recording = _Recording()

#: Results of shape rules; emptied when it has grown this large, as slices at ever new places make it grow.
_inferred: dict[tuple[Any, ...], Aval] = {}
_INFERRED_LIMIT = 1 << 16


def apply(prim: Primitive, inputs: tuple[Node, ...], attrs: Attrs = ()) -> Node:
    """A new node; shapes and dtypes are checked here.

    Raises
    ------
    UserError
        As the primitive's shape rule says.
    """
    depth = 0
    parts: list[Any] = [prim, attrs]
    for n in inputs:
        parts.append(n.aval)
        if n.depth >= depth:
            depth = n.depth + 1
    key = tuple(parts)
    found = _inferred.get(key)
    if found is None:
        if len(_inferred) >= _INFERRED_LIMIT:
            _inferred.clear()
        found = _inferred[key] = prim.infer(attrs, *[n.aval for n in inputs])
    node = _new(Node)  # with the depth at hand, this takes half the time of Node(...)
    node.prim, node.inputs, node.attrs, node.aval, node.depth = prim, inputs, attrs, found, depth
    node.memory = node.handle = None
    if recording.origins is not None:
        recording.origins.tell(node)
    return node


@register
class Input(Primitive):
    """A value from outside: evaluated already (``memory``), or a parameter of a traced function."""

    name = "input"
    meaning = "a value that comes from outside"
    kind = "leaf"
    arity = 0
    no_gradient = "it has no inputs"


INPUT = REGISTRY["input"]


def placeholder(av: Aval) -> Node:
    """A leaf without a value: a parameter of a traced function."""
    return Node(INPUT, (), (), av)


def leaf(av: Aval, memory: Any) -> Node:
    """A leaf with a value."""
    return Node(INPUT, (), (), av, memory)


def topological(outputs: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Every node the outputs need, inputs before users; inputs of nodes for which ``stop`` holds are not followed."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = [*reversed([*outputs])]
    while stack:
        node = stack.pop()
        if node is None:  # everything that the node below needs is in the order
            order.append(stack.pop())  # type: ignore[arg-type]
        elif node not in seen:
            seen.add(node)
            if not node.inputs or (stop is not None and stop(node)):
                order.append(node)
            else:
                stack += (node, None, *node.inputs[::-1])
    return order


def show(outputs: Sequence[Node]) -> str:
    """The graph as text, a line per node.

    ``%2 = add(%0, %1): float32[3, 4]``
    """
    names: dict[Node, str] = {}
    lines = []
    for node in topological(outputs, lambda n: n.memory is not None):
        names[node] = f"%{len(names)}"
        attrs = [f"{k}={_attr(v)}" for k, v in zip(node.prim.attributes, node.attrs, strict=False)]
        args = ", ".join([*([] if node.memory is not None else [names[i] for i in node.inputs]), *attrs])
        name = "input" if node.memory is not None else node.prim.name
        lines.append(f"{names[node]} = {name}({args}): {node.aval}")
    lines.append("return " + ", ".join(names[n] for n in outputs))
    return "\n".join(lines)


def _attr(value: Any) -> str:
    return value.name if isinstance(value, DType) else str(value)
