"""Values put together from parts: the kernel of each part stores it in its place, and none copies them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from insitu.codegen import nest
from insitu.codegen.nest import EXPENSIVE, Expr
from insitu.errors import InternalError
from insitu.graph.node import Node

if TYPE_CHECKING:
    from insitu.compiler.fuse import Group

Index = tuple[Expr, ...]
#: From a part up to the whole: each view, and which of its inputs leads to it.
Path = tuple[tuple[Node, int], ...]

#: Most element-wise operations on the whole that each part's kernel takes over.
_MOST = 8
#: Other views that they may read through.
_READ_THROUGH = frozenset({"reshape", "broadcast_to", "constant", "slice", "pad", "concat"})


@dataclasses.dataclass(frozen=True)
class Inside:
    """Of a group that computes parts of a larger value: it stores its elements of what follows from the whole, element by element.

    Attributes
    ----------
    whole : Node
    parts : tuple of (Node, Path)
        The parts, and the views that lead from each to the whole, which put every element of it into a place of its own.
    """

    whole: Node
    parts: tuple[tuple[Node, Path], ...]

    @property
    def size(self) -> int:
        """Elements of the whole that the group stores."""
        return sum(part.aval.size for part, _ in self.parts)


def place(path: Path, index: Index) -> Index | None:
    """Where a part's element lies in the whole; None if it cannot be told that it lies there at all."""
    for view, number in path:
        at = view.prim.place(view, number, index)
        if at is None or not all(_below(x, n) for x, n in zip(at, view.shape, strict=True)):
            return None
        index = at
    return index


def _below(x: Expr, extent: int) -> bool:
    """Whether the position lies on an axis for certain."""
    return x.lo is not None and x.hi is not None and x.lo >= 0 and x.hi < extent


def place_parts(groups: Sequence[Group], outputs: set[Node]) -> list[Group]:
    """Have the parts of a value stored where they belong in it, instead of on their own.

    For a value that two contractions compute in turns, and a sum with it::

        group 0: contract [4, 8]: matmul                        group 0: contract [4, 8]: matmul, add
        group 1: contract [4, 8]: matmul                        group 1: contract [4, 8]: matmul, add
        group 2: map [8, 8]: add(reshape(concat(%, %)), %)

    The last group must be the parts' only reader, and read each element once. The parts' groups take its place in the order.
    """
    made = {n: g for g in groups for n in g.stored}
    users = {g.number: _users(g, made) for g in groups}
    readers: dict[Node, int] = {}
    for found in users.values():
        for n, some in found.items():
            readers[n] = readers.get(n, 0) + len(some)
    out: list[Group] = []
    for g in groups:
        parts = _Parts(g, users[g.number], made, readers, outputs).found()
        if not parts:
            out.append(g)
            continue
        moved = {h.number for h, _ in parts}
        out = [h for h in out if h.number not in moved]
        for h, inside in sorted(parts, key=lambda part: part[0].number):
            h.inside, h.stored = inside, g.stored
            h.nodes += g.nodes
            out.append(h)
    return out


def verify_parts(groups: Sequence[Group]) -> None:
    """Check that every stored value is written once as a whole, or by parts that have all of its elements together.

    Raises
    ------
    InternalError
        Naming a value of which there is more or less.
    """
    written: dict[Node, int] = {}
    for g in groups:
        for n in g.stored:
            written[n] = written.get(n, 0) + (n.aval if g.inside is None else g.inside).size
    for n, size in written.items():
        if size != n.aval.size:
            raise InternalError(f"{size} elements of {n!r} are written")


def _users(g: Group, made: dict[Node, Group]) -> dict[Node, list[Node]]:
    """For each node that the group computes or reads, the nodes there that read it, each as often as it does."""
    found: dict[Node, list[Node]] = {n: [] for n in g.stored}
    stack = list(g.stored)
    while stack:
        n = stack.pop()
        for i in n.inputs if n.memory is None and made.get(n, g) is g else ():
            if i not in found:
                found[i] = []
                stack.append(i)
            found[i].append(n)
    return found


class _Parts:
    """What a group of element-wise nodes reads, looked at as one whole."""

    def __init__(self, g: Group, users: dict[Node, list[Node]], made: dict[Node, Group], readers: dict[Node, int], outputs: set[Node]) -> None:
        self.group, self.users, self.made, self.readers, self.outputs = g, users, made, readers, outputs

    def found(self) -> list[tuple[Group, Inside]]:
        """The groups of parts that can take over what this one does, and how; none if it must stay."""
        if self.group.kind != "map" or any(n.prim.kind not in ("map", "view") for n in self.group.nodes):
            return []
        for n in self.users:
            if n.prim.kind == "view" and n.shape == self.group.shape and self._computed(n) and self._read_in_place(n):
                parts = self._parts_of(n)
                if parts and self._cheap(n, parts):
                    return parts
        return []

    def _computed(self, n: Node) -> bool:
        return n.memory is None and self.made.get(n, self.group) is self.group

    def _read_in_place(self, whole: Node) -> bool:
        """Whether all that follows from the whole is element-wise and of its shape."""
        stack, seen = [whole], {whole}
        while stack:
            for user in self.users[stack.pop()]:
                if user.prim.kind != "map" or user.shape != whole.shape:
                    return False
                if user not in seen:
                    seen.add(user)
                    stack.append(user)
        return True

    def _parts_of(self, whole: Node) -> list[tuple[Group, Inside]]:
        """All parts of the whole, if it consists of nothing else."""
        parts: list[tuple[Node, Path]] = []
        stack: list[tuple[Node, Path]] = [(whole, ())]
        left = whole.aval.size
        while stack:
            n, path = stack.pop()
            for number, i in enumerate(n.inputs):
                up = ((n, number), *path)
                if len(self.users[i]) != 1:
                    return []
                if self._computed(i) and i.prim.kind == "view":
                    stack.append((i, up))
                    continue
                if not self._takes(i) or not _in_rows(i, whole, up):
                    return []
                parts.append((i, up))
                left -= i.aval.size
        found = {self.made[part].number: self.made[part] for part, _ in parts}
        together = [(g, Inside(whole, tuple([(part, path) for part, path in parts if self.made[part] is g]))) for g in found.values()]
        complete = not left and all(len(inside.parts) == len(g.stored) for g, inside in together)
        return together if len(parts) > 1 and complete else []

    def _takes(self, part: Node) -> bool:
        """Whether the kernel that computes a part may store it elsewhere."""
        g = self.made.get(part)
        if g is None or g.inside is not None or part in self.outputs or self.readers[part] != 1 or part.shape != g.shape:
            return False
        return g.kind in ("contract", "map")

    def _cheap(self, whole: Node, parts: Sequence[tuple[Group, Inside]]) -> bool:
        """Whether what else the group computes is little, and cannot be written over an input."""
        below = {view for _, inside in parts for _, path in inside.parts for view, _ in path}
        others = [n for n in self.users if n not in below and self._computed(n) and n.prim.kind != "leaf"]
        plain = all(n.prim.name not in EXPENSIVE if n.prim.kind == "map" else n.prim.name in _READ_THROUGH for n in others)
        inputs = {n.aval for n in self.users if n.memory is not None or n.prim.kind == "leaf"}
        updates = any(n in self.outputs and n.aval in inputs for n in self.group.stored)
        return plain and not updates and sum(n.prim.kind == "map" for n in others) <= _MOST


def _in_rows(part: Node, whole: Node, path: Path) -> bool:
    """Whether the part's elements have places in the whole, and neighbours on its last axis are neighbours there."""
    at = place(path, tuple([nest.axis(f"d{k}", n) for k, n in enumerate(part.shape)]))
    if at is None or not at:
        return False
    split = nest.linear(nest.ravel(at, whole.shape), f"d{part.ndim - 1}")
    return split is not None and split[1] == 1
