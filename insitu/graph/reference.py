"""The slow and plain way to evaluate a graph: every primitive's NumPy reference, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insitu.errors import InternalError
from insitu.graph.node import Node, topological

Values = np.ndarray[Any, Any]


def evaluate(outputs: Sequence[Node], feeds: Mapping[Node, Values] | None = None) -> list[Values]:
    """The outputs' values.

    Parameters
    ----------
    outputs : sequence of Node
    feeds : mapping of Node to ndarray, optional
        Values of nodes: of the placeholders, and of any other node whose inputs shall not be looked at.

    Returns
    -------
    list of ndarray
        Of the outputs' shapes and dtypes.

    Raises
    ------
    InternalError
        If a placeholder has no value, or a value has not its node's shape and dtype.

    Examples
    --------
    >>> from insitu import dtypes as dt, ops
    >>> evaluate([ops.add(ops.constant(2, dt.int32), ops.constant(3, dt.int32))])
    [array(5, dtype=int32)]
    """
    values: dict[Node, Values] = {}
    given = {} if feeds is None else feeds
    for node in topological(outputs, lambda n: n in given or n.memory is not None):
        if node in given:
            value = np.asarray(given[node])
        elif node.memory is not None:
            value = node.memory.view(node.shape, node.dtype.numpy)
        elif node.prim.kind == "leaf":
            raise InternalError(f"no value was given for {node!r}")
        else:
            value = node.prim.reference(node.attrs, *[values[i] for i in node.inputs])
        if value.shape != node.shape or value.dtype != node.dtype.numpy:
            raise InternalError(f"the reference of {node!r} gave {value.dtype}{list(value.shape)}")
        values[node] = value
    return [values[n] for n in outputs]
