"""Automatic differentiation of graphs.

Reverse mode uses each primitive's ``vjp``. Forward mode needs no rule of its own: the cotangents that
reverse mode gives are linear in the output's cotangent, and the transposed linear map is the forward one.
"""

from __future__ import annotations

from collections.abc import Sequence

from insitu import ops
from insitu.errors import ArgumentError, InternalError, ShapeError
from insitu.graph.node import Node, placeholder, topological
from insitu.graph.origins import differentiating


def backward(outputs: Sequence[Node], cotangents: Sequence[Node], inputs: Sequence[Node]) -> list[Node | None]:
    """Cotangents of the inputs from those of the outputs, by reverse mode.

    Parameters
    ----------
    outputs : sequence of Node
        What is differentiated. Integers and booleans among them have no gradient and are passed over.
    cotangents : sequence of Node
        One for each output, of its shape and dtype.
    inputs : sequence of Node
        With respect to what; nodes on the way to the outputs (`ops.identity` makes any value one).

    Returns
    -------
    list of Node or None
        The cotangent of each input; None where no output depends on it.

    Raises
    ------
    ShapeError
        If a cotangent has not its output's shape and dtype.
    ArgumentError
        If an output depends on an input through an operation that has no gradient.

    Examples
    --------
    >>> from insitu import dtypes as dt
    >>> from insitu.graph.node import aval, placeholder, show
    >>> x = placeholder(aval((3,), dt.float32))
    >>> (g,) = backward([ops.sin(x)], [ops.full((3,), 1, dt.float32)], [x])
    >>> print(show([g]))
    %0 = constant(value=1.0, dtype=float32): float32[]
    %1 = broadcast_to(%0, shape=(3,)): float32[3]
    %2 = input(): float32[3]
    %3 = cos(%2): float32[3]
    %4 = mul(%1, %3): float32[3]
    return %4
    """
    order = topological(outputs)
    active = _dependent(order, inputs)
    sums: dict[Node, Node] = {}
    for out, ct in zip(outputs, cotangents, strict=True):
        if ct.aval is not out.aval:
            raise ShapeError(
                f"a cotangent of shape {ct.shape} and dtype {ct.dtype.name} does not fit its output.",
                expected=f"{out.shape} {out.dtype.name}",
                received=f"{ct.shape} {ct.dtype.name}",
                fix="pass one cotangent for each output, of the output's shape and dtype",
                slug="cotangent-shape",
            )
        if out in active:
            _accumulate(sums, out, ct)
    wanted = set(inputs)
    for node in reversed(order):
        found = sums.get(node)
        if found is None or not node.inputs:
            continue
        if any(i in active for i in node.inputs):
            _through(node, found, active, sums)
        if node not in wanted:
            del sums[node]
    return [sums.get(x) for x in inputs]


def _dependent(order: Sequence[Node], inputs: Sequence[Node]) -> set[Node]:
    """Floating-point nodes whose value changes smoothly with an input."""
    active = {x for x in inputs if x.dtype.is_float}
    for node in order:
        if node.dtype.is_float and node not in active and any(i in active for i in node.inputs):
            active.add(node)
    return active


def _accumulate(sums: dict[Node, Node], node: Node, ct: Node) -> None:
    known = sums.get(node)
    sums[node] = ct if known is None else ops.add(known, ct)


def _through(node: Node, ct: Node, active: set[Node], sums: dict[Node, Node]) -> None:
    """Add to the cotangents of the node's inputs what comes through this node."""
    if node.prim.no_gradient:
        raise ArgumentError(
            f"{node.prim.name} has no gradient: {node.prim.no_gradient}.",
            expected="operations with a gradient between the inputs and the outputs",
            received=f"{node.prim.name} of {node.inputs[0].aval}",
            fix="if its gradient is meant to be zero, put si.stop_gradient around its argument",
            slug="no-gradient",
        )
    with differentiating(node):
        for x, part in zip(node.inputs, node.prim.vjp(node, ct), strict=True):
            if part is None or x not in active:
                continue
            if part.aval is not x.aval:
                raise InternalError(f"the gradient of {node.prim.name} gave {part.aval} for an input {x.aval}")
            _accumulate(sums, x, part)


def jvp_nodes(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node]) -> list[Node]:
    """Tangents of the outputs from those of the inputs, by differentiating the reverse mode.

    With ``g(u)`` the inputs' cotangents for the outputs' cotangents u, which is linear in u, the gradient of
    ``tangents · g(u)`` with respect to u is the outputs' tangent; u itself does not appear in it.

    Parameters
    ----------
    outputs, inputs : sequence of Node
    tangents : sequence of Node
        One for each input, of its shape and dtype.

    Returns
    -------
    list of Node
        The tangent of each output: zeros where it does not depend on the inputs, or is no float.

    Raises
    ------
    ShapeError
        If a tangent has not its input's shape and dtype.
    ArgumentError
        If an output depends on an input through an operation that has no gradient.

    Examples
    --------
    >>> from insitu import dtypes as dt
    >>> from insitu.graph.node import aval, placeholder, show
    >>> x, t = (placeholder(aval((3,), dt.float32)) for _ in range(2))
    >>> print(show(jvp_nodes([ops.sin(x)], [x], [t])))
    %0 = input(): float32[3]
    %1 = input(): float32[3]
    %2 = cos(%1): float32[3]
    %3 = mul(%0, %2): float32[3]
    return %3
    """
    for x, t in zip(inputs, tangents, strict=True):
        if t.aval is not x.aval:
            raise ShapeError(
                f"a tangent of shape {t.shape} and dtype {t.dtype.name} does not fit its input.",
                expected=f"{x.shape} {x.dtype.name}",
                received=f"{t.shape} {t.dtype.name}",
                fix="pass one tangent for each input, of the input's shape and dtype",
                slug="tangent-shape",
            )
    dummies = [placeholder(out.aval) for out in outputs]
    cotangents = backward(outputs, dummies, inputs)
    pairs = [(g, t) for g, t in zip(cotangents, tangents, strict=True) if g is not None]
    if not pairs:
        return [ops.zeros_like(out) for out in outputs]
    found = backward([g for g, _ in pairs], [t for _, t in pairs], dummies)
    return [ops.zeros_like(out) if t is None else t for out, t in zip(outputs, found, strict=True)]
