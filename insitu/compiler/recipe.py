"""What remains of a compilation when its machine code lies on disk: how to run the program, as text under the graph's structure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

from insitu.codegen.generated import Code
from insitu.codegen.target import Target
from insitu.graph.node import Node
from insitu.runtime.program import Launch, Slot


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that running a program takes.

    Attributes
    ----------
    launches : tuple of Launch
    results : tuple of (int, int)
        For each result its bytes, and the input whose memory it may take (-1: none).
    arena : int
        Bytes of the arena.
    """

    launches: tuple[Launch, ...]
    results: tuple[tuple[int, int], ...]
    arena: int

    def text(self) -> bytes:
        """The recipe without the kernels' LLVM text; `parsed` reads it."""
        rows = []
        for launch in self.launches:
            numbers = (launch.units, launch.grain, launch.scratch_bytes, launch.group, launch.shared)
            rows.append((launch.code.key, launch.code.symbol, [(slot.kind, slot.index) for slot in launch.args], launch.words, *numbers))
        return json.dumps([rows, self.results, self.arena]).encode()


def parsed(text: bytes, target: Target, ir: Callable[[int], str]) -> Recipe:
    """The recipe of a text; ``ir`` gives the LLVM text of a launch by its number, should its machine code be missing."""
    rows, results, arena = json.loads(text)
    launches = []
    for k, (key, symbol, slots, words, units, grain, scratch_bytes, group, shared) in enumerate(rows):
        code = Code(key, symbol, lambda k=k: ir(k), target)  # type: ignore[misc]
        args = tuple([Slot(kind, at) for kind, at in slots])
        launches.append(Launch(code, args, tuple(words), units, grain, scratch_bytes, group, shared))
    return Recipe(tuple(launches), tuple((size, source) for size, source in results), arena)


def recipe_key(order: Sequence[Node], outputs: Sequence[Node], inputs: Sequence[Node], *settings: object) -> str:
    """The identity of what a graph computes and of all else that its recipe follows from.

    Parameters
    ----------
    order : sequence of Node
        The graph's nodes, in topological order.
    outputs, inputs : sequence of Node
    settings : object
        Whatever else decides; their ``repr`` counts.
    """
    place = {n: k for k, n in enumerate(order)}
    leaf = {n: k for k, n in enumerate(inputs)}
    rows = [leaf[n] if n in leaf else (n.prim.name, n.attrs, [place[i] for i in n.inputs]) for n in order]
    text = repr((rows, [place[n] for n in outputs], [(n.shape, n.dtype) for n in inputs], settings))
    return f"program-{hashlib.sha256(text.encode()).hexdigest()}"
