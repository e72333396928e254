"""From pending nodes to values: hash the graph's structure, find or make its program, run it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from insitu.config import config
from insitu.dtypes import DType
from insitu.errors import TraceError, outermost
from insitu.graph.node import INPUT, REGISTRY, Node, placeholder, topological
from insitu.ops.rules import literal_value
from insitu.runtime.memory import Memory, allocate, zeros

if TYPE_CHECKING:
    from insitu.compiler import Compiled

#: A chain of pending nodes longer than this is evaluated without being asked for.
DEPTH_LIMIT = 128
#: Programs kept for structures met before.
PROGRAM_LIMIT = 1024

#: Constants the compiler simplifies by; all others become inputs, so that a changing number finds its program again.
_BAKED = frozenset({0, 1, -1, 2, -2, 3, 0.5})


class _State(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.kept: list[Node] = []


_state = _State()
_programs: dict[Any, Compiled] = {}


@contextlib.contextmanager
def keep_history() -> Iterator[None]:
    """While inside, evaluated nodes keep their inputs, so that gradients can still be taken through them."""
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
        if not _state.depth:
            for node in _state.kept:
                node.inputs, node.prim, node.attrs, node.depth = (), INPUT, (), 0
            _state.kept.clear()


def history_kept() -> bool:
    """Whether a `keep_history` is open in this thread."""
    return _state.depth > 0


def evaluate_nodes(nodes: Sequence[Node]) -> None:
    """Give every node its value (``memory``).

    Raises
    ------
    TraceError
        If a value depends on a parameter of a function that is being traced.
    """
    wanted = [n for n in dict.fromkeys(nodes) if n.memory is None]
    if not wanted:
        return
    order = topological(wanted, lambda n: n.memory is not None)
    chosen = set(wanted)
    for n in order:
        if n.memory is None:
            if n.prim is INPUT:
                raise _looked_at_while_traced(n)
            if n.handle is not None and n not in chosen and n.handle() is not None:
                wanted.append(n)
                chosen.add(n)
    uniform = [n for n in wanted if _constant_of(n) is not None]
    if uniform:  # ones and zeros, which need no code
        memories = [_filled(n) for n in uniform]
        wanted = [n for n in wanted if _constant_of(n) is None]
        order = topological(wanted, lambda n: n.memory is not None)
    else:
        memories = []
    if wanted:
        memories += _run(order, wanted)
    for node, memory in zip([*uniform, *wanted], memories, strict=True):
        node.memory = memory
        if _state.depth:
            _state.kept.append(node)
        else:
            node.inputs, node.prim, node.attrs, node.depth = (), INPUT, (), 0


def _run(order: list[Node], wanted: list[Node]) -> list[Memory]:
    """The values of nodes by the program of their graph, which is made if it has not been met before."""
    key, inputs = _structure(order, wanted)
    program = _programs.get(key)
    if program is None:
        program = _build(order, wanted, inputs)
        if len(_programs) >= PROGRAM_LIMIT:
            _programs.pop(next(iter(_programs)))
        _programs[key] = program
    return program.run([_memory(n) for n in inputs])


def settle(node: Node) -> None:
    """Evaluate a node whose history has grown too long, unless a function is being traced or differentiated."""
    if node.depth > DEPTH_LIMIT and not _state.depth:
        pending = topological([node], lambda n: n.memory is not None)
        if all(n.memory is not None or n.prim is not INPUT for n in pending):
            evaluate_nodes([node])


def kept_while_traced(node: Node) -> TraceError:
    """The message about an array of a trace that is over, which depends on this input of it."""
    return TraceError(
        "This array was kept from a function while it was traced: it has no value outside.",
        expected="arrays that a compiled function returns",
        received=f"one that depends on its argument {node.aval}",
        fix="return the array from the function, or keep it in a si.Variable: v.assign(x)",
        slug="trace-kept",
    )


def _looked_at_while_traced(node: Node) -> TraceError:
    if not _state.depth:
        return kept_while_traced(node)
    name, known = outermost()
    function = getattr(known.get("function"), "__name__", "") if name in ("__array_ufunc__", "__array_function__") else ""
    look = f"np.{function}" if function else _LOOKS.get(name, "a look at the value")
    return TraceError(
        "A value was looked at inside a function that is being traced, where only shapes and dtypes are known.",
        expected="array operations only (si.where instead of if, si.sum instead of a Python loop over values)",
        received=f"{look} of an array that depends on an argument {node.aval}",
        fix=_look_fix(name, function),
        slug="trace-value",
    )


#: What the user's line calls, in words.
_LOOKS = {
    "__bool__": "a Python if, while, and, or, or not", "__float__": "float", "__int__": "int", "__index__": "a Python index or range",
    "__complex__": "complex", "item": "item()", "tolist": "tolist()", "__array__": "np.asarray, or a function of NumPy",
    "getitem": "a slice by the value",
}  # fmt: skip


def _look_fix(name: str, function: str) -> str:
    if function:
        import insitu as si

        return f"use si.{function}" if hasattr(si, function) else "use the functions of insitu instead of NumPy's"
    if name == "__bool__":
        return "choose by si.where(condition, a, b); for a condition that arrays do not decide, pass a Python value"
    if name in ("__float__", "__int__", "item"):
        return "leave it out: an array without axes stands for a number everywhere"
    if name == "getitem":
        return "slice by Python numbers; or keep the length, and choose by si.where(si.arange(len(x)) < n, x, 0)"
    return "return the array and look at it outside, or keep this part out of si.compile"


def _structure(order: list[Node], wanted: list[Node]) -> tuple[Any, list[Node]]:
    """The graph's structure as a hashable key, and the leaves (and hoisted constants) in order."""
    position: dict[Node, int] = {}
    rows: list[Any] = [config.target]
    inputs: list[Node] = []
    for k, node in enumerate(order):
        position[node] = k
        if node.memory is not None or _hoisted(node):
            rows.append(node.aval)
            inputs.append(node)
        elif node.prim is _CONSTANT:
            rows.append((node.prim, *node.attrs, type(node.attrs[0])))  # 0 and 0.0 and False are equal
        else:
            rows.append((node.prim, node.attrs, *[position[i] for i in node.inputs]))
    rows.append(tuple([position[n] for n in wanted]))
    return tuple(rows), inputs


def _hoisted(node: Node) -> bool:
    return node.prim is _CONSTANT and node.attrs[0] not in _BAKED


_CONSTANT = REGISTRY.get("constant")


def _memory(node: Node) -> Memory:
    return _number(*node.attrs) if node.memory is None else node.memory


@functools.lru_cache(maxsize=4096)
def _number(value: Any, dtype: DType) -> Memory:
    """A constant in memory, which programs only read."""
    memory = allocate(dtype.itemsize)
    memory.view((), dtype.numpy, writable=True)[...] = literal_value(value, dtype)
    return memory


def _constant_of(node: Node) -> Node | None:
    """The constant that every element of a pending node is, if it was made so."""
    while node.memory is None and node.prim.name in ("broadcast_to", "reshape"):
        node = node.inputs[0]
    return node if node.memory is None and node.prim is _CONSTANT else None


def _filled(node: Node) -> Memory:
    value, dtype = _constant_of(node).attrs  # type: ignore[union-attr]
    element = _number(value, dtype).view((), dtype.numpy)
    if not any(element.tobytes()):
        return zeros(node.aval.nbytes)
    memory = allocate(node.aval.nbytes)
    memory.view(node.shape, dtype.numpy, writable=True)[...] = element
    return memory


def _build(order: list[Node], wanted: list[Node], inputs: list[Node]) -> Compiled:
    """Compile the pending graph with placeholders for its leaves and hoisted constants."""
    from insitu.compiler import compile_graph  # late: `import insitu` does not wait for the compiler

    copies: dict[Node, Node] = {n: placeholder(n.aval) for n in inputs}
    for node in order:
        if node not in copies:
            copies[node] = Node(node.prim, tuple([copies[i] for i in node.inputs]), node.attrs, node.aval)
    return compile_graph([copies[n] for n in wanted], [copies[n] for n in inputs], config.target, run=True)
