"""A program made from a graph, and from its recipe alone where an earlier process has left one."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from insitu.codegen.target import Target
from insitu.compiler.recipe import Recipe, parsed, recipe_key
from insitu.compiler.trouble import Stage, reported
from insitu.config import config
from insitu.graph.node import Node, topological
from insitu.runtime.loader import check_runs, loader
from insitu.runtime.memory import PAGE, Memory, allocate, allocate_all, shared
from insitu.runtime.program import Program
from insitu.runtime.threads import native, native_code

if TYPE_CHECKING:
    from insitu.compiler.pipeline import Stages

#: Recipes of smaller graphs are not kept, except those of compiled functions: they are made as fast,
#: and a loop that evaluates ever new ones would fill the disk.
KEPT_NODES = 8

_pointer = attrgetter("ptr")


class Compiled:
    """A program made from a graph.

    Attributes
    ----------
    graph : list of Node
        The results, before any pass.
    recipe : Recipe
    donated : dict of int to int
        Results (by number) that are written over an input (by number) if the caller gives it away.

    Where the last inputs are constants, what follows from them alone is computed once, by `prepare`; programs are then run
    with what it gives in their place.
    """

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], target: Target, wishes: dict[int, int], join: bool, constants: int) -> None:
        self.target = target
        self.graph = list(outputs)
        self._inputs, self._wishes, self._join, self._constants = list(inputs), wishes, join, constants
        self._stages: Stages | None = None
        self.recipe = self._recipe()
        prepared = self.recipe.preparation.results if self.recipe.preparation else ()
        self._n_inputs = n_inputs = len(inputs) - constants + len(self.recipe.kept) + len(prepared)
        self._results = self.recipe.results
        self.donated = {k: source for k, (_, source) in enumerate(self._results) if source >= 0}
        # where results lie if every donated input is overwritten: in an input, or in the next of the fresh blocks
        fresh = [size for size, source in self._results if source < 0]
        self._fresh = shared(fresh)
        self._overwritten = [None] * (len(self._results) - len(fresh))
        places, following = [], n_inputs
        for _, source in self._results:
            places.append(source if source >= 0 else following)
            following += source < 0
        #: whether the results that are written over inputs come before all others
        self.steady = places == sorted(places, key=lambda place: place >= n_inputs)
        self._outs, self._slots = _picker(places), _picker([*range(n_inputs), *places])
        self._program: Program | None = None

    @property
    def stages(self) -> Stages:
        """What the compiler's passes make of the graph; they run when this is first asked for."""
        from insitu.compiler.pipeline import stages  # late: a program with a recipe does without

        if self._stages is None:  # no cached_property: its frame would stand for the user's line in what is told meanwhile
            self._stages = stages(self.graph, self._inputs, self.target, self._wishes, self._join, self._constants)
        return self._stages

    def _recipe(self) -> Recipe:
        """The recipe, from the disk if it is there; when passes are to be verified, they run."""
        order = topological(self.graph, lambda n: n.memory is not None)
        if config.verify or not (self._join or len(order) >= KEPT_NODES):
            return self.stages.recipe
        key = recipe_key(order, self.graph, self._inputs, self.target, self._wishes, self._join, self._constants)
        kept = loader.kept(key)
        if kept is not None:
            return parsed(kept, self.target, lambda: self.stages.recipe)
        loader.keep(key, self.stages.recipe.text())
        return self.stages.recipe

    @property
    def program(self) -> Program:
        """The runnable program; machine code is made or loaded when it is first asked for."""
        return self.make() if self._program is None else self._program

    def make(self) -> Program:
        """Make or load the machine code, if that has not been done."""
        if self._program is None:
            with reported(self.graph, self.target, lambda: [(name, functools.partial(self.inspect, name)) for name in ("simplified", "nests")]):
                self._program = Program(self.recipe.launches, self._n_inputs, len(self._results), self.recipe.arena)
        return self._program

    def load(self) -> None:
        """Make or load all machine code, that of the preparation and what runs programs, too: all at once, on all threads."""
        before = self.recipe.preparation
        loader.load([code for launch in (*self.recipe.launches, *(before.launches if before else ())) for code in launch.codes])
        native()

    def prepare(self, constants: Sequence[Memory]) -> list[Memory]:
        """What the program takes as its last inputs instead of the constants: those that it reads, and what follows from them all."""
        kept, preparation = [constants[k] for k in self.recipe.kept], self.recipe.preparation
        if preparation is None:
            return kept
        with reported(self.graph, self.target, lambda: [("kernels", functools.partial(self.inspect, "kernels"))]):
            program = Program(preparation.launches, len(constants), len(preparation.results), preparation.arena)
        rooms = [-(-size // PAGE) * PAGE for size, _ in preparation.results]
        block = allocate(sum(rooms))  # they live and die together, and one large block is on huge pages
        made = [block.part(at, size) for at, (size, _) in zip(itertools.accumulate(rooms, initial=0), preparation.results, strict=False)]
        program.run([m.ptr for m in (*constants, *made)])
        return kept + made

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
        memories = [*memories, *allocate_all(self._fresh)]
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
        fresh = allocate_all(self._fresh)
        if not self.program.run_again(first, list(map(_pointer, fresh))):
            return None
        return [*self._overwritten, *fresh]  # type: ignore[list-item]

    def inspect(self, stage: str = "") -> str:
        """The stages as text: graph, simplified, kernels, nests, llvm, assembly."""
        from insitu.compiler.report import report

        return report(self, stage)


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that takes the elements at these places out of a sequence."""
    if len(places) < 2:
        return lambda values: [values[k] for k in places]
    return itemgetter(*places)


def compile_graph(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    target: Target,
    wishes: dict[int, int] | None = None,
    join: bool = False,
    constants: int = 0,
    run: bool = False,
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
        Whether small kernels become one launch, with machine code of its own, and what follows from constants is computed once:
        for programs that run often.
    constants : int
        How many of the last inputs are the same in every run.
    run : bool
        Whether the program will be run: then its machine code is made, too, from when a kernel is known.
    """
    if run:
        check_runs(target)
    with reported(outputs, target, lambda: _described(outputs)), loader.making() if run else contextlib.nullcontext():
        loader.ahead([native_code()])
        with _uncollected():
            made = Compiled(outputs, inputs, target, wishes or {}, join, constants)
        if run:
            made.load()
        return made


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """While inside, Python does not look for cycles: it would walk all nodes and expressions again and again, and they live."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _described(outputs: Sequence[Node]) -> list[Stage]:
    from insitu.compiler.pipeline import described

    return described(outputs)
