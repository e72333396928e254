"""Simplification: the same values, to the bit, from fewer and cheaper nodes.

Rules live by subject in `algebra` (element-wise), `movement` (views) and `folding` (reductions and
empty arrays). A rule is a pure function from a node to an equal node, or None where it does not
apply. Constants and common subexpressions are folded here. Dead nodes vanish, because nothing that
remains refers to them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from insitu import ops
from insitu.compiler import algebra, folding, movement
from insitu.graph.node import Node, Primitive, topological

Rule = Callable[[Node], Node | None]

#: Element-wise primitives whose NumPy value has the compiled code's bits, for any dtype; and for integers only.
_EXACT = frozenset(
    {"neg", "abs", "add", "sub", "mul", "div", "max", "min", "eq", "ne", "lt", "le", "cast", "where", "sign", "and", "or", "xor", "not"}
)
_EXACT_INTEGER = frozenset({"floordiv", "mod", "fmod", "pow", "shl", "shr"})


def simplify(outputs: Sequence[Node]) -> list[Node]:
    """An equal graph that is cheaper to compute.

    Leaves (placeholders and nodes with a value) are kept as the same objects, and so is every node of
    which nothing changes.

    Parameters
    ----------
    outputs : sequence of Node

    Returns
    -------
    list of Node
        One for each output, of its shape and dtype, with the same bits.

    Examples
    --------
    >>> from insitu import dtypes as dt
    >>> from insitu.graph.node import aval, placeholder, show
    >>> x = placeholder(aval((3,), dt.float32))
    >>> two = ops.sub(ops.constant(3.0, dt.float32), ops.constant(1.0, dt.float32))
    >>> print(show(simplify([ops.add(ops.pow(x, two), ops.pow(ops.identity(x), two))])))
    %0 = input(): float32[3]
    %1 = mul(%0, %0): float32[3]
    %2 = add(%1, %1): float32[3]
    return %2
    """
    work = _Simplification()
    return [work.final(n) for n in outputs]


class _Simplification:
    """One run: what each node became, and the one node for each (primitive, inputs, attributes)."""

    def __init__(self) -> None:
        self.done: dict[Node, Node] = {}
        self.pool: dict[tuple[Any, ...], Node] = {}

    def final(self, node: Node) -> Node:
        """The simplified node; everything it needs is simplified before."""
        found = self.done.get(node)
        if found is None:
            for n in topological([node], self._finished):
                if n not in self.done:
                    self.done[n] = n if _is_leaf(n) else self._rebuilt(n)
            found = self.done[node]
        return found

    def _finished(self, n: Node) -> bool:
        return n in self.done or _is_leaf(n)

    def _rebuilt(self, node: Node) -> Node:
        """Common subexpressions; then the first rule that applies, and the simplification of what it made.

        Before and after, for equal nodes::

            %1 = exp(%0): float32[3]
            %2 = exp(%0): float32[3]
            %3 = add(%1, %2): float32[3]

            %1 = exp(%0): float32[3]
            %2 = add(%1, %1): float32[3]
        """
        inputs = tuple([self.done[i] for i in node.inputs])
        key = (node.prim, node.attrs, inputs)
        found = self.pool.get(key)
        if found is not None:
            return found
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        current = node if same else Node(node.prim, inputs, node.attrs, node.aval)
        self.done[current] = current
        for rule in _rules(current.prim):
            better = rule(current)
            if better is not None and better is not current:
                current = self.final(better)
                break
        self.pool[key] = current
        return current


def _is_leaf(n: Node) -> bool:
    return n.memory is not None or n.prim.kind == "leaf"


@functools.cache
def _rules(prim: Primitive) -> tuple[Rule, ...]:
    of_maps = prim.kind == "map"
    return (
        *folding.EMPTY,
        *((fold_constants,) if of_maps else ()),
        *algebra.RULES.get(prim.name, ()),
        *movement.RULES.get(prim.name, ()),
        *((movement.broadcast_last, movement.reshape_last) if of_maps else ()),
        *(folding.REDUCE if prim.kind in ("reduce", "scan") else ()),
    )


def fold_constants(node: Node) -> Node | None:
    """Compute element-wise nodes of constants, where NumPy's bits are certain to be those of compiled code.

    ::

        %0 = constant(value=3.0, dtype=float32): float32[]
        %1 = constant(value=1.0, dtype=float32): float32[]
        %2 = sub(%0, %1): float32[]

        %0 = constant(value=2.0, dtype=float32): float32[]
    """
    name = node.prim.name
    if name not in _EXACT and not (name in _EXACT_INTEGER and node.dtype.is_integer):
        return None
    values = [algebra.value_of(i) for i in node.inputs]
    if any(v is None for v in values):
        return None
    import numpy as np

    arrays = [np.asarray(v, i.dtype.numpy) for v, i in zip(values, node.inputs, strict=True)]
    result = {"f": float, "b": bool}.get(node.dtype.kind, int)(node.prim.reference(node.attrs, *arrays))
    if isinstance(result, float) and (math.isnan(result) or (result == 0 and name in ("max", "min"))):
        return None
    return ops.broadcast_to(ops.constant(result, node.dtype), node.shape)
