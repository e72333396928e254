"""`evaluate`: compute pending arrays now."""

from __future__ import annotations

from typing import Any

from insitu.array.array import Array
from insitu.array.evaluate import evaluate_nodes
from insitu.array.tree import flatten
from insitu.array.variable import Variable


def evaluate(*trees: Any) -> Any:
    """Compute pending arrays now, all of them in one program.

    Parameters
    ----------
    *trees : Array, Variable, or tree of them
        What is to be computed; anything else in the trees is passed over.

    Returns
    -------
    Any
        The argument itself, or the tuple of them.

    Raises
    ------
    TraceError
        Inside a function that is being traced.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.ones(3) * 2
    >>> si.evaluate(x)
    Array([2., 2., 2.], dtype=float32)
    """
    leaves, _ = flatten(trees)
    evaluate_nodes([x._node if isinstance(x, Array) else x.node for x in leaves if isinstance(x, (Array, Variable))])
    return trees[0] if len(trees) == 1 else trees
