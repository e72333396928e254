"""The compiler's passes in one list, and all that they make of a graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from insitu.codegen.cpu import generate, join_kernels
from insitu.codegen.generated import Generated
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target
from insitu.codegen.verify import verify as verify_kernel
from insitu.compiler.canonical import chunk_reductions
from insitu.compiler.constants import divide, lay_in_panels
from insitu.compiler.expand import expand
from insitu.compiler.fuse import Group, group
from insitu.compiler.join import launched
from insitu.compiler.lower import Lowered, lower_map, lower_rows
from insitu.compiler.lower_special import lower_alone, lower_contract
from insitu.compiler.lower_tiles import lower_turned
from insitu.compiler.operands import store_operands
from insitu.compiler.placing import Path, verify_parts
from insitu.compiler.plan import Plan, make_plan
from insitu.compiler.recipe import Recipe
from insitu.compiler.simplify import simplify
from insitu.compiler.trouble import Stage
from insitu.compiler.winograd import winograd
from insitu.config import config
from insitu.graph.node import Node, show, topological
from insitu.graph.verify import verify
from insitu.runtime.loader import loader
from insitu.runtime.program import Launch, Slot

#: Graph to graph, in this order.
PASSES: tuple[Callable[[Sequence[Node]], list[Node]], ...] = (expand, simplify, chunk_reductions, simplify, winograd, store_operands)


class Stages:
    """What the passes make of a graph.

    Attributes
    ----------
    simplified : list of Node
        The results after the graph passes.
    groups : list of Group
    plan : Plan
    launched : list of (int, list of Lowered)
        The round of each launch and its loop nests, those of ``plan.order``.
    generated : list of Generated
        The launches' machine code.
    recipe : Recipe
        How to run it all.
    preparation : Stages, optional
        What is computed once, from constants.
    """

    def __init__(
        self,
        simplified: list[Node],
        inputs: Sequence[Node],
        target: Target,
        wishes: dict[int, int],
        join: bool,
        kept: Sequence[int] = (),
        preparation: Callable[[], Stages] | None = None,
    ) -> None:
        self.simplified = simplified
        self.groups = group(self.simplified)
        self.plan = make_plan(_begun(lowered(self.groups), target), self.simplified, inputs, wishes, join)
        if config.verify:
            verify_parts(self.groups)
            for low in self.plan.order:
                verify_kernel(low.kernel)
        self.launched = launched(self.plan.order, self.plan.rounds, join)
        self.generated = [_generated(tuple([low.kernel for low in parts]), target) for _, parts in self.launched]
        loader.ahead([code for made in self.generated if made.units for code in made.codes])
        results = [(n.aval.nbytes, self.plan.donated.get(k, -1)) for k, n in enumerate(self.simplified)]
        launches = _launches(self.plan, self.launched, self.generated, self.simplified, inputs)
        self.preparation = None if preparation is None else preparation()  # last: LLVM is busy with what takes it longer
        before = None if self.preparation is None else self.preparation.recipe
        self.recipe: Recipe = Recipe(tuple(launches), tuple(results), self.plan.arena, tuple(kept), before)


def stages(outputs: Sequence[Node], inputs: Sequence[Node], target: Target, wishes: dict[int, int], join: bool, constants: int) -> Stages:
    """What the passes make of a graph; the last inputs, so many of them, are ``constants``.

    What follows from constants alone becomes a preparation of a program that runs often (``join``). The program reads its other
    inputs, then the constants that it still needs itself, then what has been prepared.
    """
    graph, own, fixed = passed(outputs), list(inputs[: len(inputs) - constants]), list(inputs[len(inputs) - constants :])
    if not join:
        return Stages(graph, inputs, target, wishes, join, kept=range(constants))
    divided = divide(lay_in_panels(graph, fixed, target), fixed)
    read = set(topological(divided.outputs))
    kept = [k for k, n in enumerate(fixed) if n in read]
    if config.verify:
        verify([*divided.outputs, *divided.prepared.values()])
    preparation = functools.partial(Stages, list(divided.prepared.values()), fixed, target, {}, True) if divided.prepared else None
    return Stages(divided.outputs, [*own, *[fixed[k] for k in kept], *divided.prepared], target, wishes, join, kept, preparation)


def described(outputs: Sequence[Node]) -> list[Stage]:
    """What is made of a graph, for a report of what has gone wrong with it."""
    return [
        ("simplified", lambda: show(passed(outputs))),
        ("nests", lambda: "\n\n".join(str(low.kernel) for low in lowered(group(passed(outputs))))),
    ]


def planned_arena(outputs: Sequence[Node]) -> int:
    """Bytes that the program of a graph would need beside its inputs and results; no machine code is made."""
    simplified = passed(outputs)
    inputs = [n for n in topological(simplified) if n.prim.kind == "leaf"]
    return make_plan(list(lowered(group(simplified))), simplified, inputs, {}, True).arena


def passed(outputs: Sequence[Node]) -> list[Node]:
    """The graph after all passes."""
    graph = list(outputs)
    simplified: list[Node] = []
    for one in PASSES:
        if one is simplify and graph == simplified:
            continue  # nothing has changed since
        graph = one(graph)
        if one is simplify:
            simplified = graph
        if config.verify:
            verify(graph)
    return graph


def lowered(groups: Sequence[Group]) -> Iterator[Lowered]:
    """The groups' kernels, in order."""
    stored = {n for g in groups for n in g.stored}
    for g in groups:
        yield from _lowered(g, stored)


def _begun(kernels: Iterable[Lowered], target: Target) -> list[Lowered]:
    """All kernels; LLVM begins with the loops of a contraction, which take it long and depend on nothing that follows."""
    out = []
    for low in kernels:
        out.append(low)
        if low.group.kind == "contract":
            made = _generated((low.kernel,), target)
            loader.ahead(made.calls if made.units else ())
    return out


#: Kernels by what their group computes, and which of the group's values are their buffers: blocks of a network repeat.
_kernels: dict[Any, list[tuple[Kernel, list[int]]]] = {}
_KERNELS_LIMIT = 1024


def _lowered(g: Group, stored: set[Node]) -> list[Lowered]:
    key, nodes = _structure(g, stored)
    found = _kernels.get(key)
    if found is None:
        made = _lower_group(g, stored)
        number = {n: k for k, n in enumerate(nodes)}
        if len(_kernels) >= _KERNELS_LIMIT:
            _kernels.clear()
        _kernels[key] = [(low.kernel, [number[n] for n in low.arguments]) for low in made]
        return made
    return [Lowered(kernel, [nodes[k] for k in places], g) for kernel, places in found]


def _structure(g: Group, stored: set[Node]) -> tuple[Any, list[Node]]:
    """What a group computes, equal for equal kernels, and all nodes it takes part in, numbered alike."""
    own, inside = set(g.nodes), g.inside
    whole = None if inside is None else inside.whole
    nodes = topological([*g.nodes, *g.stored], lambda n: n is whole or (n not in own and _lies_in_memory(n, stored)))
    number = {n: k for k, n in enumerate(nodes)}
    rows = []
    for n in nodes:
        ends = n is whole or (n not in own and _lies_in_memory(n, stored))
        rows.append((n.aval,) if ends else (n.prim, n.attrs, n.aval, n in stored, n in own, *[number[i] for i in n.inputs]))
    place = None
    if inside is not None:
        place = (number[inside.whole], *[(number[part], *_steps(path)) for part, path in inside.parts])
    return (g.kind, g.shape, g.row, tuple([number[n] for n in g.nodes]), tuple([number[n] for n in g.stored]), tuple(rows), place), nodes


def _steps(path: Path) -> list[Any]:
    """What leads from a part to the whole."""
    return [(view.prim, view.attrs, k, view.aval, *[i.aval for i in view.inputs]) for view, k in path]


def _lies_in_memory(n: Node, stored: set[Node]) -> bool:
    return n.memory is not None or n.prim.kind == "leaf" or n in stored


def _lower_group(g: Group, stored: set[Node]) -> list[Lowered]:
    if g.kind == "alone":
        return lower_alone(g, stored)
    if g.kind == "map":
        return [(lower_turned(g, stored) if g.inside is None else None) or lower_map(g, stored)]
    return [{"rows": lower_rows, "contract": lower_contract}[g.kind](g, stored)]


@functools.lru_cache(maxsize=_KERNELS_LIMIT)
def _generated(kernels: tuple[Kernel, ...], target: Target) -> Generated:
    return generate(kernels[0], target) if len(kernels) == 1 else join_kernels(kernels, target)


def _launches(
    plan: Plan, launched: Sequence[tuple[int, list[Lowered]]], generated: Sequence[Generated], outputs: Sequence[Node], inputs: Sequence[Node]
) -> list[Launch]:
    slots = {n: Slot("arena", at) for n, at in plan.offsets.items()}
    slots |= {n: Slot("input", k) for k, n in enumerate(inputs)}
    slots |= {n: Slot("output", k) for k, n in enumerate(outputs)}
    out = []
    for (when, parts), made in zip(launched, generated, strict=True):
        if made.units:
            args = tuple([slots[n] for low in parts for n in low.arguments])
            out.append(Launch(made.code, args, made.words, made.units, made.grain, made.scratch_bytes, when, made.shared, made.calls))
    return out
