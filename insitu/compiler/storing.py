"""Which members of the groups are written to memory: results, and what other kernels read and cannot compute as cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from insitu.codegen.nest import EXPENSIVE
from insitu.graph.node import Node

if TYPE_CHECKING:
    from insitu.compiler.fuse import Group

#: Most operations that are computed again where a value is read, instead of being stored.
_AGAIN = 3


def choose_stored(groups: Sequence[Group], home: dict[Node, Group], order: Sequence[Node], outputs: set[Node], operands: set[Node]) -> None:
    """Fill each group's ``stored``: members that are results, or are read (directly or through inlined nodes) by another group.

    Of those, one that follows by a few cheap operations from other stored values is computed again by its
    readers where this moves fewer bytes. For a sigmoid ``h`` and its slope, which a later kernel reads::

        group 0: matmul, h = sigmoid, sub = 1 - h, mul = h * sub        stored: h, mul
        group 1: matmul, mul(%, mul)

        group 0: matmul, h = sigmoid                                    stored: h
        group 1: matmul, mul(%, h * (1 - h))
    """
    readers: dict[Node, dict[Node, None]] = {}
    for n in reversed(order):
        inside = [n] if n in home else readers.get(n, {})
        for i in n.inputs if n.memory is None else ():
            readers.setdefault(i, {}).update(dict.fromkeys(inside))
    for g in groups:
        for n in g.nodes:
            if n in outputs or any(home[r] is not g for r in readers.get(n, ())):
                g.stored.append(n)
    _Recomputing(groups, home, readers, outputs | operands).run()


class _Recomputing:
    def __init__(self, groups: Sequence[Group], home: dict[Node, Group], readers: dict[Node, dict[Node, None]], fixed: set[Node]) -> None:
        self.groups, self.home, self.readers, self.fixed = groups, home, readers, fixed
        self.stored = {n for g in groups for n in g.stored}
        self.reads: dict[int, set[Node]] = {}
        for n in self.stored:
            for r in readers.get(n, ()):
                self.reads.setdefault(home[r].number, set()).add(n)

    def run(self) -> None:
        for g in self.groups:
            for n in list(g.stored):
                if n not in self.fixed and n.prim.kind == "map" and self._cheaper_again(n):
                    g.stored.remove(n)
                    self.stored.discard(n)

    def _cheaper_again(self, n: Node) -> bool:
        """Whether computing the value where it is read moves fewer bytes than storing it; if so its sources are noted as read."""
        found = self._sources(n)
        readers = self.readers.get(n, {})
        if found is None or not all(_reads_once(r, n) for r in readers):
            return False
        groups = {self.home[r].number for r in readers if self.home[r] is not self.home[n]}
        more = sum(s.aval.nbytes for s in found for k in groups if s not in self.reads.get(k, ()))
        if more >= n.aval.nbytes * (1 + len(groups)):
            return False
        for k in groups:
            self.reads.setdefault(k, set()).update(found)
        return True

    def _sources(self, n: Node) -> set[Node] | None:
        """The stored values that the node follows from by a few cheap operations; None if it does not."""
        found: set[Node] = set()
        computed: set[Node] = set()
        stack = [n]
        while stack:
            m = stack.pop()
            if m is not n and m in self.stored:
                found.add(m)
            elif m.memory is not None or m.prim.kind == "leaf":
                return None  # reading an input later could keep it from being overwritten
            elif m.prim.kind not in ("map", "view") or m.prim.name in EXPENSIVE or m.aval.size > n.aval.size:
                return None
            elif m not in computed:
                computed.add(m)
                if sum(c.prim.kind == "map" for c in computed) > _AGAIN or len(computed) > 4 * _AGAIN:
                    return None
                stack.extend(m.inputs)
        return found


def _reads_once(reader: Node, n: Node) -> bool:
    """Whether the reader is a loop over no more elements than the value has."""
    return reader.prim.kind in ("map", "reduce", "view") and all(m.aval.size <= n.aval.size for m in (reader, *reader.inputs))
