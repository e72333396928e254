"""The graph's verifier: what every pass may rely on."""

from __future__ import annotations

from collections.abc import Sequence

from insitu.errors import InternalError, UserError
from insitu.graph.node import REGISTRY, Node, topological


def verify(outputs: Sequence[Node]) -> None:
    """Check a graph: no cycles, registered primitives, their number of inputs and attributes, shapes and dtypes.

    Parameters
    ----------
    outputs : sequence of Node

    Raises
    ------
    InternalError
        If a node breaks a rule; the text names it.

    Examples
    --------
    >>> from insitu import dtypes as dt, ops
    >>> verify([ops.exp(ops.constant(1.0, dt.float32))])
    """
    seen: set[Node] = set()
    for node in topological(outputs, lambda n: n.memory is not None):
        if node.memory is None:
            late = [i for i in node.inputs if i not in seen]
            if late:
                raise InternalError(f"the graph has a cycle: {node!r} needs {late[0]!r}, which needs it in turn")
        seen.add(node)
        _verify_node(node)


def _verify_node(node: Node) -> None:
    prim = node.prim
    if REGISTRY.get(prim.name) is not prim:
        raise InternalError(f"{node!r} is of a primitive that is not registered")
    if node.memory is not None:
        if node.memory.nbytes < node.aval.nbytes:
            raise InternalError(f"{node!r} has {node.memory.nbytes} bytes of memory, but needs {node.aval.nbytes}")
        return
    if prim.kind == "leaf":
        return
    if prim.arity not in (len(node.inputs), -1):
        raise InternalError(f"{node!r} has {len(node.inputs)} inputs, but {prim.name} takes {prim.arity}")
    if len(node.attrs) != len(prim.attributes):
        raise InternalError(f"{node!r} has attributes {node.attrs}, but {prim.name} takes {prim.attributes}")
    try:
        hash(node.attrs)
        inferred = prim.infer(node.attrs, *[i.aval for i in node.inputs])
    except TypeError as error:
        if isinstance(error, UserError):
            raise InternalError(f"{node!r} does not fit its inputs: {error.what}") from error
        raise InternalError(f"{node!r} has attributes {node.attrs} that are not hashable") from error
    except UserError as error:
        raise InternalError(f"{node!r} does not fit its inputs: {error.what}") from error
    if inferred is not node.aval:
        raise InternalError(f"{node!r} should be {inferred}")
