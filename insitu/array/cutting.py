"""Arguments of many steps: which are cut into one part for each step, and the parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu.array.array import Array
from insitu.array.tree import Structure
from insitu.errors import ArgumentError
from insitu.graph.node import Node, aval, leaf


class Cut:
    """The leaves of the arguments of ``steps`` calls.

    Parameters
    ----------
    name : str
        The function's, for messages.
    leaves : sequence
        Of the tree of all arguments.
    structure : Structure
        That tree's.
    steps : int
        At least 1.
    split : sequence of int
        Numbers of the arguments that are cut, from 0.

    Raises
    ------
    ArgumentError
        If there are no such arguments or parts.
    """

    def __init__(self, name: str, leaves: Sequence[Any], structure: Structure, steps: int, split: Sequence[int]) -> None:
        self.name, self.steps = name, steps
        count = len(structure.children)
        for number in split:
            if number >= count:
                raise self._wrong(f"has no argument number {number!r} to split", f"numbers from 0 to {count - 1}", repr(number), "split=[0]")
        cut = [at for at, child in enumerate(structure.children) for _ in range(child.count)]
        self.leaves = [self._whole(x, at) if at in split else x for x, at in zip(leaves, cut, strict=True)]
        #: for each leaf the rows of a part; 0 for a leaf that is not cut
        self.rows = [x.shape[0] // steps if at in split else 0 for x, at in zip(self.leaves, cut, strict=True)]
        self.cut = [at in split for at in cut]

    def _whole(self, x: Any, at: int) -> Any:
        """The array in a form whose rows lie one after the other."""
        if not isinstance(x, (Array, np.ndarray)) or not x.ndim or x.shape[0] % self.steps:
            received = f"shape {tuple(x.shape)}" if isinstance(x, (Array, np.ndarray)) else type(x).__name__
            wanted = f"an array whose first axis is a multiple of {self.steps}"
            fix = "pass the first steps * (length // steps) rows, and the rest in a call of its own"
            raise self._wrong(f"cannot split argument {at} into {self.steps} equal parts", wanted, received, fix)
        if isinstance(x, np.ndarray) and not (x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative):
            return np.array(x, dtype=x.dtype.newbyteorder("="), order="C")
        return x

    def _wrong(self, what: str, expected: str, received: str, fix: str) -> ArgumentError:
        return ArgumentError(f"{self.name} {what}.", expected=expected, received=received, fix=fix, slug="compile-steps")

    def part(self, step: int) -> list[Any]:
        """The leaves of one step."""
        return [_rows(x, step * n, n) if cut else x for x, n, cut in zip(self.leaves, self.rows, self.cut, strict=True)]

    def advances(self, nodes: Sequence[Node | None]) -> list[int]:
        """Bytes from each leaf's part to its next."""
        return [n.aval.nbytes if cut and n is not None else 0 for n, cut in zip(nodes, self.cut, strict=True)]


def _rows(x: Any, first: int, count: int) -> Any:
    """Some rows; of an array whose value is known, on its own memory."""
    node = x._node if isinstance(x, Array) else None
    if node is None or node.memory is None:
        return x[first : first + count]
    av = aval((count, *node.aval.shape[1:]), node.aval.dtype)
    size = node.aval.nbytes // max(node.aval.shape[0], 1)
    return Array(leaf(av, node.memory.part(first * size, av.nbytes)))
