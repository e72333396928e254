"""One signature of a compiled function: its program, and how a call of it runs with as little Python as can be."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from insitu.array.array import Array
from insitu.array.evaluate import evaluate_nodes
from insitu.array.tree import LEAF, unflatten
from insitu.array.variable import Variable, looks
from insitu.config import config
from insitu.graph.node import INPUT, Aval, Node, leaf
from insitu.runtime.memory import Memory

if TYPE_CHECKING:
    from insitu.codegen.target import Target
    from insitu.compiler import Compiled

#: Where a result comes from: ("output", number), ("argument", number), ("variable", Variable),
#: ("captured", Node) or ("static", value).
Source = tuple[str, Any]

_node, _memory = attrgetter("_node"), attrgetter("memory")
_new = object.__new__


def _references(cells: Sequence[Node], memories: Sequence[Memory], mask: Sequence[bool]) -> tuple[list[int], list[int]]:
    """How often the chosen nodes and memories are held.

    Whoever took the array of a variable, or a NumPy view of it, holds its node or its memory and shows here.
    """
    count = sys.getrefcount
    return list(map(count, compress(cells, mask))), list(map(count, compress(memories, mask)))


@functools.cache
def _alone() -> tuple[int, int]:
    """The counts of a variable that nobody else holds, measured once by the same code as in a call."""
    variables = [Variable(0.0)]
    evaluate_nodes([variables[0]._node])
    cells = list(map(_node, variables))
    memories = list(map(_memory, cells))
    nodes, blocks = _references(cells, memories, (True,))
    return nodes[0], blocks[0]


class Traced:
    """One signature's program, and how its inputs and outputs map to arguments, variables and results.

    Parameters
    ----------
    program : Compiled
        Its inputs are arguments, then variables, then captured arrays.
    avals : list of Aval
        Of the program's outputs.
    arguments : list of int
        The arguments that the program reads.
    variables : list of Variable
        The variables that it reads.
    captured : list of Memory
        Values from outside the function; once the program has prepared what follows from them, what it reads in their place.
    written : list of (Variable, Source)
        New values of variables.
    results : list of Source
    outline : Structure
        The form of the result.
    """

    def __init__(
        self,
        program: Compiled,
        avals: list[Aval],
        arguments: list[int],
        variables: list[Variable],
        captured: list[Memory],
        written: list[tuple[Variable, Source]],
        results: list[Source],
        outline: Any,
    ) -> None:
        self.program, self.avals, self.arguments, self.variables = program, avals, arguments, variables
        self.captured, self.written, self.results, self.outline = captured, written, results, outline
        #: whether an argument itself is a result or goes into a variable
        self.keeps_arguments = any(kind == "argument" for kind, _ in (*results, *(source for _, source in written)))
        first = len(arguments)
        overwritten = set(program.donated.values())
        self._mask = [first + k in overwritten for k in range(len(variables))]
        nodes, blocks = _alone()
        self._alone = [nodes] * len(overwritten), [blocks] * len(overwritten)
        #: the variables that get a new node even if every input that may be overwritten is
        self._moved = [(v, source) for v, source in written if source[0] != "output" or source[1] not in program.donated]
        #: whether calls can follow each other with nothing but the pointers of arguments and results to change
        self.repeats = not self.keeps_arguments and not self._moved
        shared = any(kind == "variable" or (kind == "output" and at in program.donated) for kind, at in results)
        self._steady = self.repeats and not shared and program.steady
        #: what `looks.mark` and `config.revision` were before the last call that could be repeated
        self._mark: object = None
        self._revision = -1
        #: the settings for which `is_for` was asked last
        self.revision = config.revision

    def is_for(self, target: Target) -> bool:
        """Whether the program is code for that CPU."""
        self.revision = config.revision
        return self.program.target is target

    # -- one call ------------------------------------------------------------------------------------
    def run(self, nodes: Sequence[Node | None]) -> Any:
        """Run the program on the arguments' nodes and the variables; returns the function's result."""
        if self._mark is looks.mark and self._revision == config.revision:
            outs = self._again(nodes)
            if outs is not None:
                return self._finish(nodes, outs, ())
        mark, revision = looks.mark, config.revision
        memories, free = self._inputs(nodes)
        if free is not None:
            self._mark = None
            return self._finish(nodes, self.program.run(memories, free), self.written)
        outs = self.program.run_in_place(memories)
        if self._steady:
            self._mark, self._revision = mark, revision
        return self._finish(nodes, outs, self._moved)

    def _again(self, nodes: Sequence[Node | None]) -> Sequence[Memory] | None:
        """Run with the variables where they were in the call before, as nobody has looked at any since; None if somebody has."""
        looks.running.append(None)
        try:
            if self._mark is looks.mark:
                return self.program.run_again([nodes[i].memory.ptr for i in self.arguments])  # type: ignore[union-attr]
        finally:
            looks.leave()
        return None

    def _inputs(self, nodes: Sequence[Node | None]) -> tuple[list[Memory], set[int] | None]:
        """The program's inputs, and the numbers of those that may be overwritten; None for all that it would like to."""
        memories: list[Memory] = [nodes[i].memory for i in self.arguments]  # type: ignore[union-attr]
        free: set[int] | None = None
        if self.variables:
            cells = list(map(_node, self.variables))
            mine = list(map(_memory, cells))
            if None in mine:
                evaluate_nodes(cells)
                mine = list(map(_memory, cells))
            found = _references(cells, mine, self._mask)
            if found != self._alone:
                pairs = zip(*found, strict=True)
                alone = _alone()
                free = {len(memories) + k for k, pair in zip(compress(range(len(mine)), self._mask), pairs, strict=True) if pair == alone}
            memories += mine
        memories += self.captured
        return memories, free

    def _finish(self, nodes: Sequence[Node | None], outs: Sequence[Memory], changed: Sequence[tuple[Variable, Source]]) -> Any:
        """Put new values into variables that were not updated in place, and make the result."""
        results = []
        for kind, at in self.results:
            if kind == "output":  # Array(leaf(aval, memory)) in half the time: most of a call that returns many arrays
                node = _new(Node)
                node.aval = self.avals[at]
                node.memory = outs[at]
                node.prim = INPUT
                node.inputs = node.attrs = ()
                node.handle = None
                node.depth = 0
                array = _new(Array)
                array._node = node
                results.append(array)
            else:
                results.append(at if kind == "static" else Array(_existing(kind, at, nodes)))
        moves: list[tuple[Variable, Node]] = []
        for v, (kind, at) in changed:
            if kind != "output":
                moves.append((v, _existing(kind, at, nodes)))
            elif v._node.memory is not outs[at]:  # not written in place
                moves.append((v, leaf(self.avals[at], outs[at])))
        for v, node in moves:
            v.node = node
        return results[0] if self.outline is LEAF else unflatten(self.outline, results)

    # -- many calls ----------------------------------------------------------------------------------
    def run_many(self, nodes: Sequence[Node | None], advances: Sequence[int], turns: int) -> Any:
        """As many calls as ``turns`` in one native call; argument i moves on by ``advances[i]`` bytes after each.

        Returns the last result; None instead of running if not every variable can be updated in place now.
        """
        memories, free = self._inputs(nodes)
        if free is not None:
            return None
        strides = [advances[i] for i in self.arguments]
        outs = self.program.run_in_place(memories, strides, turns)
        return (self._finish(nodes, outs, ()),)


def _existing(kind: str, at: Any, nodes: Sequence[Node | None]) -> Node:
    """The node of a result that is not computed."""
    if kind == "argument":
        return cast(Node, nodes[at])
    return cast(Node, at.node if kind == "variable" else at)
