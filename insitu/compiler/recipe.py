"""What remains of a compilation when its machine code lies on disk: how to run the program, as text under the graph's structure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

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
    kept : tuple of int
        The constants that the launches read.
    preparation : Recipe, optional
        How to compute, once, the inputs behind these from all constants.
    """

    launches: tuple[Launch, ...]
    results: tuple[tuple[int, int], ...]
    arena: int
    kept: tuple[int, ...] = ()
    preparation: Recipe | None = None

    def text(self) -> bytes:
        """The recipe without the kernels' LLVM text; `parsed` reads it."""
        return json.dumps(self._plain()).encode()

    def _plain(self) -> list[object]:
        rows = []
        for launch in self.launches:
            numbers = (launch.units, launch.grain, launch.scratch_bytes, launch.group, launch.shared)
            codes = [(code.key, code.symbol) for code in launch.codes]
            rows.append((codes, [(slot.kind, slot.index) for slot in launch.args], launch.words, *numbers))
        return [rows, self.results, self.arena, self.kept, self.preparation and self.preparation._plain()]


def parsed(text: bytes, target: Target, whole: Callable[[], Recipe]) -> Recipe:
    """The recipe of a text; ``whole`` gives the one with the LLVM text of launches, should machine code be missing."""
    return _parsed(json.loads(text), target, whole)


def _parsed(plain: Any, target: Target, whole: Callable[[], Recipe]) -> Recipe:
    rows, results, arena, kept, before = plain
    preparation = before and _parsed(before, target, lambda: whole().preparation)  # type: ignore[arg-type, return-value]
    launches = []
    for k, (codes, slots, words, units, grain, scratch_bytes, group, shared) in enumerate(rows):
        code, *calls = [Code(key, symbol, lambda k=k, n=n: whole().launches[k].codes[n].ir(), target) for n, (key, symbol) in enumerate(codes)]  # type: ignore[misc]
        args = tuple([Slot(kind, at) for kind, at in slots])
        launches.append(Launch(code, args, tuple(words), units, grain, scratch_bytes, group, shared, tuple(calls)))
    return Recipe(tuple(launches), tuple((size, source) for size, source in results), arena, tuple(kept), preparation)


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
