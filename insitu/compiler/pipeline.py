"""The compiler's passes in one list, and the program they make."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from insitu.codegen.cpu import generate, join_kernels
from insitu.codegen.generated import Generated
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target
from insitu.codegen.verify import verify as verify_kernel
from insitu.compiler.canonical import chunk_reductions
from insitu.compiler.expand import expand
from insitu.compiler.fuse import Group, group
from insitu.compiler.join import launched
from insitu.compiler.lower import Lowered, lower_map, lower_rows
from insitu.compiler.lower_special import lower_alone, lower_contract
from insitu.compiler.lower_tiles import lower_turned
from insitu.compiler.operands import store_operands
from insitu.compiler.plan import Plan, make_plan
from insitu.compiler.report import report
from insitu.compiler.simplify import simplify
from insitu.compiler.trouble import Stage, reported
from insitu.config import config
from insitu.graph.node import Node, show, topological
from insitu.graph.verify import verify
from insitu.runtime.memory import Memory, allocate
from insitu.runtime.program import Launch, Program, Slot

#: Graph to graph, in this order.
PASSES: tuple[Callable[[Sequence[Node]], list[Node]], ...] = (expand, simplify, chunk_reductions, simplify, store_operands)


_pointer = attrgetter("ptr")


class Compiled:
    """A program made from a graph.

    Attributes
    ----------
    graph, simplified : list of Node
        The results before and after the graph passes.
    groups : list of Group
    plan : Plan
    launched : list of (int, list of Lowered)
        The round of each launch and its loop nests, those of ``plan.order``.
    generated : list of Generated
        The launches' machine code.
    donated : dict of int to int
        Results (by number) that are written over an input (by number) if the caller gives it away.
    """

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], target: Target, wishes: dict[int, int], join: bool) -> None:
        self.target = target
        self.graph = list(outputs)
        self.simplified = _passes(outputs)
        self.groups = group(self.simplified)
        self.plan = make_plan(_lower(self.groups), self.simplified, inputs, wishes, join)
        if config.verify:
            for low in self.plan.order:
                verify_kernel(low.kernel)
        self.donated = self.plan.donated
        self.launched = launched(self.plan.order, self.plan.rounds, join)
        self.generated = [_generated(tuple([low.kernel for low in parts]), target) for _, parts in self.launched]
        #: for each result its bytes, and the input whose memory it may take (-1: none)
        self._results = [(n.aval.nbytes, self.donated.get(k, -1)) for k, n in enumerate(self.simplified)]
        self.launches = _launches(self.plan, self.launched, self.generated, self.simplified, inputs)
        self._n_inputs = len(inputs)
        # where results lie if every donated input is overwritten: in an input, or in the next of the fresh blocks
        self._fresh = [size for size, source in self._results if source < 0]
        self._overwritten = [None] * (len(self._results) - len(self._fresh))
        places, following = [], len(inputs)
        for _, source in self._results:
            places.append(source if source >= 0 else following)
            following += source < 0
        #: whether the results that are written over inputs come before all others
        self.steady = places == sorted(places, key=lambda place: place >= len(inputs))
        self._outs, self._slots = _picker(places), _picker([*range(len(inputs)), *places])
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The runnable program; machine code is made or loaded when it is first asked for."""
        return self.make() if self._program is None else self._program

    def make(self) -> Program:
        """Make or load the machine code, if that has not been done."""
        if self._program is None:
            with reported(self.graph, self.target, lambda: [(name, functools.partial(self.inspect, name)) for name in ("simplified", "nests")]):
                self._program = Program(self.launches, self._n_inputs, len(self.simplified), self.plan.arena)
        return self._program

    def run(self, memories: Sequence[Memory], free: set[int] | frozenset[int] = frozenset()) -> list[Memory]:
        """Run on input memories; returns the results' memories.

        ``free`` are the numbers of inputs that nobody else holds: a donated one is overwritten and returned.
        """
        outs = [memories[source] if source in free else allocate(size) for size, source in self._results]
        self.program.run([m.ptr for m in memories] + [m.ptr for m in outs])
        return outs

    def run_in_place(self, memories: Sequence[Memory], strides: Sequence[int] = (), turns: int = 1) -> Sequence[Memory]:
        """Run with every donated input given away; returns the results' memories.

        With more than one turn it runs as often in one native call: the first inputs move on by ``strides`` bytes
        from turn to turn, and a result that is not written over an input is that of the last turn.
        """
        memories = [*memories, *[allocate(size) for size in self._fresh]]
        pointers = self._slots(list(map(_pointer, memories)))
        if turns == 1:
            self.program.run(pointers)
        else:
            self.program.run_many(pointers, [*strides, *[0] * (len(pointers) - len(strides))], turns)
        return self._outs(memories)

    def run_again(self, first: Sequence[int]) -> Sequence[Memory] | None:
        """Run with other first inputs (their addresses) and fresh memory for results, all else as in the run before; only if `steady`.

        Returns the results' memories, None for those written over inputs; or None, and nothing has run, if settings have changed since.
        """
        fresh = [allocate(size) for size in self._fresh]
        if not self.program.run_again(first, [m.ptr for m in fresh]):
            return None
        return [*self._overwritten, *fresh]  # type: ignore[list-item]

    def inspect(self, stage: str = "") -> str:
        """The stages as text: graph, simplified, kernels, nests, llvm, assembly."""
        return report(self, stage)


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that takes the elements at these places out of a sequence."""
    if len(places) < 2:
        return lambda values: [values[k] for k in places]
    return itemgetter(*places)


def compile_graph(
    outputs: Sequence[Node], inputs: Sequence[Node], target: Target, wishes: dict[int, int] | None = None, join: bool = False
) -> Compiled:
    """Compile a graph whose leaves are ``inputs`` (placeholders).

    Parameters
    ----------
    outputs : sequence of Node
        Results, in order.
    inputs : sequence of Node
        Placeholders, in the order in which `Compiled.run` takes their memories.
    target : Target
        The CPU to make code for.
    wishes : dict of int to int, optional
        Results that would like to overwrite an input.
    join : bool
        Whether small kernels become one launch, with machine code of its own: for programs that run often.
    """
    with reported(outputs, target, lambda: _stages(outputs)):
        return Compiled(outputs, inputs, target, wishes or {}, join)


def _stages(outputs: Sequence[Node]) -> list[Stage]:
    """What is made of a graph, for a report of what has gone wrong with it."""
    return [
        ("simplified", lambda: show(_passes(outputs))),
        ("nests", lambda: "\n\n".join(str(low.kernel) for low in _lower(group(_passes(outputs))))),
    ]


def planned_arena(outputs: Sequence[Node]) -> int:
    """Bytes that the program of a graph would need beside its inputs and results; no machine code is made."""
    simplified = _passes(outputs)
    inputs = [n for n in topological(simplified) if n.prim.kind == "leaf"]
    return make_plan(_lower(group(simplified)), simplified, inputs, {}, True).arena


def _passes(outputs: Sequence[Node]) -> list[Node]:
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


def _lower(groups: Sequence[Group]) -> list[Lowered]:
    stored = {n for g in groups for n in g.stored}
    return [low for g in groups for low in _lowered(g, stored)]


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
    own = set(g.nodes)
    nodes = topological([*g.nodes, *g.stored], lambda n: n not in own and _lies_in_memory(n, stored))
    number = {n: k for k, n in enumerate(nodes)}
    rows = []
    for n in nodes:
        ends = n not in own and _lies_in_memory(n, stored)
        rows.append((n.aval,) if ends else (n.prim, n.attrs, n.aval, n in stored, n in own, *[number[i] for i in n.inputs]))
    return (g.kind, g.shape, g.row, tuple([number[n] for n in g.nodes]), tuple([number[n] for n in g.stored]), tuple(rows)), nodes


def _lies_in_memory(n: Node, stored: set[Node]) -> bool:
    return n.memory is not None or n.prim.kind == "leaf" or n in stored


def _lower_group(g: Group, stored: set[Node]) -> list[Lowered]:
    if g.kind == "alone":
        return lower_alone(g, stored)
    if g.kind == "map":
        return [lower_turned(g, stored) or lower_map(g, stored)]
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
            out.append(Launch(made.code, args, made.words, made.units, made.grain, made.scratch_bytes, when, made.shared))
    return out
