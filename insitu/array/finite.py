"""Where NaN and infinities come from: a function traced on values, its graph evaluated node by node."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from insitu.arguments import FUNCTION, checked
from insitu.array.array import Array
from insitu.array.compile import CompiledFunction
from insitu.array.creation import asarray
from insitu.array.evaluate import evaluate_nodes, history_kept, keep_history
from insitu.array.tree import flatten, map_leaves
from insitu.array.variable import Trace, Variable, traces
from insitu.errors import NotFiniteError
from insitu.graph.node import Node, leaf, topological
from insitu.graph.origins import Origin, Origins, record
from insitu.runtime.memory import Memory

Values = np.ndarray[Any, Any]

#: Operations in the words of a program, where their primitives have others.
_WORDS = {
    "mul": "multiplication", "div": "division", "add": "addition", "sub": "subtraction", "reduce_sum": "sum", "reduce_prod": "product",
    "reduce_max": "maximum", "reduce_min": "minimum", "pow": "power", "rsqrt": "1 / sqrt", "conv": "convolution",
    "conv_weight": "convolution",
}  # fmt: skip


class ValueTrace(Trace):
    """A trace in which variables are read as leaves with their values, so that its graph can be evaluated."""

    def value(self, variable: Variable) -> Node:
        """The variable's node at this point of the trace."""
        found = self.now.get(variable)
        if found is None:
            evaluate_nodes([variable._node])
            found = self.read[variable] = self.now[variable] = leaf(variable._node.aval, variable._node.memory)
        return found


def traced(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ValueTrace, Origins]:
    """Run a function of arrays under a `ValueTrace`: its result, what it did to variables, and where its nodes come from."""
    trace = ValueTrace()
    traces.open.append(trace)
    try:
        with keep_history(), record() as origins:
            result = function(*args, **kwargs)
    finally:
        traces.open.pop()
    return result, trace, origins


class Cause(NamedTuple):
    """The first value that is not finite.

    Attributes
    ----------
    node : Node
    origin : Origin or None
        Where the node comes from; None for an argument or a variable.
    value : float
        The first NaN, or the first infinity if there is none.
    at : tuple of int
        Its place.
    many : int
        How many there are.
    inputs : list of (str, str)
        Shape and dtype of each input of the operation, and the range of its values.
    """

    node: Node
    origin: Origin | None
    value: float
    at: tuple[int, ...]
    many: int
    inputs: list[tuple[str, str]]

    @property
    def operation(self) -> str:
        """The operation in words."""
        name = self.node.prim.name
        return _WORDS.get(name, name)

    @property
    def place(self) -> str:
        """Where the operation stands: `` in Dense "dense_1"``, with the user's line if that is known."""
        origin = self.origin
        if origin is None:
            return ""
        inner = _named(origin.scopes[-1]) if origin.scopes else ""
        whose = (
            f" in the gradient of {inner}" if inner and origin.gradient else " in a gradient" if origin.gradient else f" in {inner}" if inner else ""
        )
        return whose + (f" ({origin.line})" if origin.line else "")

    @property
    def word(self) -> str:
        """NaN, or an infinity."""
        return "NaN" if np.isnan(self.value) else f"{self.value:+}".replace("+", "")

    def fix(self) -> str:
        """What mends such an operation, as far as it is known from its name."""
        name = self.node.prim.name
        if name in ("log", "log1p"):
            return "keep its argument above 0: si.log(x + 1e-7)"
        if name in ("div", "rsqrt", "mod"):
            return "keep its divisor away from 0: add a small number such as 1e-7"
        if name in ("exp", "expm1", "sinh", "cosh", "pow"):
            return "keep its argument small: scale the inputs, or subtract the largest value first"
        if name in ("sqrt", "asin", "acos", "acosh", "atanh"):
            return "keep its argument in the range of the function"
        return "make the numbers smaller: scaled inputs, a smaller learning rate, clipped gradients (clipnorm=1.0)"


def _named(scope: Any) -> str:
    name = getattr(scope, "name", None)
    return scope if isinstance(scope, str) else f'{type(scope).__name__} "{name}"'


def first_cause(target: Node, origins: Origins) -> Cause | None:
    """The first node whose value is not finite though those of its inputs are, among those that spoil a value.

    Infinities that the program itself writes, such as the ``-inf`` of a mask, count as finite until they make a NaN.

    Parameters
    ----------
    target : Node
        Of a graph whose leaves have values.
    origins : Origins

    Returns
    -------
    Cause or None
        None if the value is finite.
    """
    graph = _Values(target)
    for node in graph.order:
        graph.evaluate(node)
    if target not in graph.bad:
        return None
    reached, ahead = {target}, [target]
    roots: list[Node] = []
    while ahead:
        node = ahead.pop()
        spoilt = [i for i in node.inputs if i in graph.bad] if node.memory is None else []
        roots += [] if spoilt else [node]
        for i in spoilt:
            if i not in reached:
                reached.add(i)
                ahead.append(i)
    first = min(roots, key=graph.position.__getitem__)
    value, index, count = graph.bad[first]
    ranges = [(f"{i.shape} {i.dtype.name}", graph.ranges.get(i, "")) for i in first.inputs] if first.memory is None else []
    return Cause(first, origins.of.get(first), value, index, count, ranges)


class _Values:
    """The values of a graph, one node after the other, by the kernels that a program runs; each is let go after its last use."""

    def __init__(self, target: Node) -> None:
        self.order = topological([target], lambda n: n.memory is not None)
        self.position = {n: k for k, n in enumerate(self.order)}
        #: of each node whose values are not all finite and not meant so: the first such value, its place, their number
        self.bad: dict[Node, tuple[float, tuple[int, ...], int]] = {}
        #: nodes with infinities that the program wrote
        self._meant: set[Node] = set()
        self.ranges: dict[Node, str] = {}
        self._memories: dict[Node, Memory] = {}
        self._last = {i: k for k, n in enumerate(self.order) if n.memory is None for i in n.inputs}

    def evaluate(self, node: Node) -> None:
        """Compute and judge a node whose inputs were evaluated."""
        inputs = () if node.memory is not None else node.inputs
        if node.memory is not None:
            memory = node.memory
        else:
            fresh = Node(node.prim, tuple([leaf(i.aval, self._memories[i]) for i in inputs]), node.attrs, node.aval)
            evaluate_nodes([fresh])
            memory = fresh.memory
        self._memories[node] = memory
        self._judge(node, inputs, memory.view(node.shape, node.dtype.numpy))
        for i in set(inputs):
            if self._last.get(i) == self.position[node]:
                del self._memories[i]

    def _judge(self, node: Node, inputs: Sequence[Node], values: Values) -> None:
        if not node.dtype.is_float:
            self.ranges[node] = _range(values)
            return
        values = values.astype(np.float32) if node.dtype.itemsize < 4 else values
        self.ranges[node] = _range(values)
        good = np.isfinite(values)
        if good.all():
            return
        if node.prim.name == "constant" or (not np.isnan(values).any() and self._is_meant(inputs)):
            self._meant.add(node)
            return
        odd = np.isnan(values)  # tells more than an infinity beside it
        first = int(np.argmax(odd if odd.any() else ~good))
        index = tuple(int(k) for k in np.unravel_index(first, values.shape)) if values.ndim else ()
        self.bad[node] = float(values[index]), index, int(values.size - np.count_nonzero(good))

    def _is_meant(self, inputs: Sequence[Node]) -> bool:
        """Whether infinities come from such that the program wrote, and from nothing else."""
        return any(i in self._meant for i in inputs) and not any(i in self.bad for i in inputs)


def _range(values: Values) -> str:
    if not values.size:
        return "no values"
    if values.dtype == bool:
        return f"{np.count_nonzero(values)} true of {values.size}"
    good = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    odd = f", {values.size - good.size} not finite" if good.size < values.size else ""
    return (f"from {good.min():g} to {good.max():g}" if good.size else "none finite") + odd


# -- any function --------------------------------------------------------------------------------------
@checked(function=FUNCTION)
def check_finite(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that raises an error as soon as a result, or a variable that it changes, is NaN or infinite.

    It runs compiled, as with `compile`, and looks at what comes out. If that is not finite, the graph of the function is
    evaluated operation by operation on the same values, and the error names the first operation whose output is not finite
    though its inputs are. Variables then hold what they held before the call.

    Parameters
    ----------
    function : callable
        Of arrays; as for `compile`, or a compiled function.

    Returns
    -------
    callable
        Takes and returns what ``function`` does.

    Raises
    ------
    NotFiniteError
        By the new function; names the operation, the user's line, the element and the range of the inputs.

    Examples
    --------
    >>> import insitu as si
    >>> f = si.debug.check_finite(lambda x: si.sum(si.log(x)))
    >>> f(si.asarray([1.0, 1.0]))
    Array(0., dtype=float32)
    >>> f(si.asarray([1.0, 0.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    insitu.errors.NotFiniteError: <lambda>: log gave -inf first...
    """
    compiled = function if isinstance(function, CompiledFunction) else CompiledFunction(function)

    @functools.wraps(compiled.function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if traces.open or history_kept():
            return compiled.function(*args, **kwargs)
        before = {v: v.numpy() for v in compiled.variables(*args, **kwargs)}
        result = compiled(*args, **kwargs)
        spoilt = [x for x in (*flatten(result)[0], *[v.value for v in before]) if _is_bad(x)]
        if not spoilt:
            return result
        for v, value in before.items():
            v.assign(asarray(value))
        cause = _cause_of_call(compiled.function, args, kwargs)
        if cause is None:
            raise _told(compiled.__name__, None, "a value that an operation alone does not give")
        raise _told(compiled.__name__, cause, "")

    return checked


def _cause_of_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Cause | None:
    def value(x: Any) -> Any:
        if not isinstance(x, Array | np.ndarray):
            return x
        array = asarray(x)
        evaluate_nodes([array._node])
        return Array(leaf(array._node.aval, array._node.memory))

    given, named = map_leaves(value, args), {k: map_leaves(value, v) for k, v in kwargs.items()}
    result, trace, origins = traced(function, *given, **named)
    targets = [x._node for x in flatten(result)[0] if isinstance(x, Array)] + [trace.now[v] for v in trace.written]
    causes = (first_cause(n, origins) for n in targets if n.dtype.is_float)
    return next((c for c in causes if c is not None), None)


def _is_bad(x: Any) -> bool:
    if not isinstance(x, Array | np.ndarray) or (isinstance(x, Array) and not x.dtype.is_float):
        return False
    values = np.asarray(x)
    return values.dtype.kind not in "biu" and not bool(np.isfinite(values.astype(np.float32) if values.dtype.itemsize < 4 else values).all())


def _told(name: str, cause: Cause | None, otherwise: str) -> NotFiniteError:
    if cause is None:
        return NotFiniteError(f"{name}: a result is not finite.", expected="finite numbers", received=otherwise, slug="value-not-finite")
    if cause.origin is None:
        return NotFiniteError(
            f"{name}: an argument or a variable that it reads holds {cause.word}.",
            expected="finite numbers",
            received=f"{cause.word} at {list(cause.at)} of {cause.node.shape} {cause.node.dtype.name}, {times(cause.many)}",
            fix="look at where the argument comes from",
            slug="value-not-finite",
        )
    return NotFiniteError(
        f"{name}: {cause.operation} gave {cause.word} first{cause.place}.",
        expected="finite numbers",
        received=described(cause),
        fix=cause.fix(),
        slug="value-not-finite",
    )


def times(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count:,} times"


def described(cause: Cause, example: str = "") -> str:
    """What the operation gave, of what: a line for the output and one for each input."""
    at = f" in example {cause.at[0]}" if cause.at else ""
    lines = [f"{cause.word}{example or at}, at {list(cause.at)} of {cause.node.shape} {cause.node.dtype.name}, {times(cause.many)}"]
    lines += [f"from {what}: {span}" for what, span in cause.inputs]
    return "\n".join(lines)
