"""`compile`: trace a Python function once per signature into one native program."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from insitu.arguments import FUNCTION, Choice, Several, Text, Whole, checked
from insitu.array.array import Array
from insitu.array.calls import Source, Traced
from insitu.array.convert import borrowed, foreign
from insitu.array.creation import asarray
from insitu.array.cutting import Cut
from insitu.array.evaluate import evaluate_nodes, history_kept, keep_history, kept_while_traced
from insitu.array.retracing import Retraces, argument_names
from insitu.array.tree import Structure, flatten, unflatten
from insitu.array.variable import Trace, Variable, traces
from insitu.config import config
from insitu.errors import ArgumentError
from insitu.graph.node import INPUT, Node, placeholder, topological

STEPS = Whole(1, slug="compile-steps", fix="steps=10")
SPLIT = Several(Whole(0, slug="compile-steps"), least=0, slug="compile-steps")
STAGE = Text('the name of a stage, such as "graph"', ("graph",), slug="inspect-stage") | Choice("")


class CompiledFunction:
    """A function that is traced once per signature and then runs as one native call.

    Made by `compile`. The signature is the shapes and dtypes of all arrays in the arguments, the
    structure of the containers they sit in, and the values of all other arguments. Arrays of other libraries are
    arrays here, too.

    ``constants`` are variables that the function takes to have the values (evaluated nodes) given here.
    """

    def __init__(self, function: Callable[..., Any], constants: Mapping[Variable, Node] | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function, self.constants = function, constants or {}
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self._traced: dict[Any, Traced] = {}
        self._retraces = Retraces(function)

    def __reduce__(self) -> Any:
        """The function alone is pickled and copied: programs are made again where they are needed."""
        found: Any = sys.modules.get(self.function.__module__)
        for part in self.function.__qualname__.split(".") if hasattr(self.function, "__qualname__") else ():
            found = getattr(found, part, None)
        # a function under its decorator is found by its name, as Python's own functions are
        return self.function.__qualname__ if found is self else (CompiledFunction, (self.function,))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else CompiledMethod(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs) if kwargs else args)
        if traces.open or history_kept():
            if any(map(foreign, leaves)):  # they are arrays here, too
                call = unflatten(structure, [asarray(x) if foreign(x) else x for x in leaves])
                args, kwargs = call if kwargs else (call, {})
            return self.function(*args, **kwargs)
        traced, nodes = self._find(leaves, structure, bool(kwargs))
        return traced.run(nodes)

    def _find(self, leaves: Sequence[Any], structure: Structure, keywords: bool) -> tuple[Traced, list[Node | None]]:
        """The program for these arguments, and their nodes with values."""
        key: list[Any] = [structure]
        nodes: list[Node | None] = []
        for x in leaves:
            if type(x) is Array:
                node = x._node
                if node.memory is None:
                    evaluate_nodes([node])
                key.append(node.aval)
                nodes.append(node)
            elif isinstance(x, np.ndarray):
                node = borrowed(x)  # the call is over before the array can change
                key.append(node.aval)
                nodes.append(node)
            elif foreign(x):
                node = asarray(x)._node
                key.append(node.aval)
                nodes.append(node)
            else:
                key.append(_fixed(x))
                nodes.append(None)
        signature = tuple(key)
        try:
            traced = self._traced.get(signature)
        except TypeError:
            names = argument_names(self.function, structure, len(leaves), keywords)
            raise _unhashable(self.__name__, names, leaves, signature[1:]) from None
        if traced is None or (traced.revision != config.revision and not traced.is_for(config.target)):
            begin = time.perf_counter()
            traced = self._trace(leaves, nodes, structure, keywords, run=True)
            traced.captured = traced.program.prepare(traced.captured)
            self._traced[signature] = traced
            self._retraces.note(self.__name__, signature, keywords, time.perf_counter() - begin)
        if traced.keeps_arguments:  # what outlives the call must not share NumPy's memory
            nodes = [asarray(x)._node if isinstance(x, np.ndarray) else n for x, n in zip(leaves, nodes, strict=True)]
        return traced, nodes

    @checked(steps=STEPS, split=SPLIT)
    def run_many(self, *args: Any, steps: int, split: Sequence[int] = ()) -> Any:
        """Call the function ``steps`` times, as one native call where all variables can be updated in place.

        Values, variables and bits are those of the loop ``for k in range(steps): result = f(*args)`` in which each
        argument named by ``split`` is replaced by the k-th of ``steps`` equal parts along its first axis. Nothing
        else happens between the steps: Python's signals (Ctrl-C) wait until the call is over.

        Parameters
        ----------
        *args
            Arguments as for a call.
        steps : int
            How often, at least 1.
        split : sequence of int
            Numbers of the arguments (arrays, or trees of arrays) that are cut into parts; the first axis of each of
            their arrays must be a multiple of ``steps``. All others are the same in every step.

        Returns
        -------
        Any
            The result of the last step.

        Raises
        ------
        ArgumentError
            If ``steps`` is no positive whole number, ``split`` names no argument, or one that cannot be cut so.

        Examples
        --------
        >>> import insitu as si
        >>> total = si.Variable(0.0)
        >>> add = si.compile(lambda x: total.assign(total.value + si.sum(x)))
        >>> add.run_many(si.asarray([1.0, 2.0, 3.0, 4.0]), steps=2, split=[0])  # add([1, 2]), then add([3, 4])
        >>> total.value
        Array(10., dtype=float32)
        """
        leaves, structure = flatten(args)
        whole = [asarray(x) if foreign(x) and not isinstance(x, np.ndarray) else x for x in leaves]
        cut = Cut(self.__name__, whole, structure, steps, split)
        if traces.open or history_kept():
            for k in range(steps):
                result = self.function(*unflatten(structure, cut.part(k)))
            return result
        evaluate_nodes([x._node for x in cut.leaves if type(x) is Array])
        for k in range(steps):
            traced, nodes = self._find(cut.part(k), structure, False)
            if traced.repeats and k + 1 < steps:
                found = traced.run_many(nodes, cut.advances(nodes), steps - k)
                if found is not None:
                    return found[0]
            result = traced.run(nodes)
        return result

    def variables(self, *args: Any, **kwargs: Any) -> list[Variable]:
        """The variables that a call with these arguments reads or changes; the program is made if it is not there yet."""
        leaves, structure = flatten((args, kwargs) if kwargs else args)
        traced, _ = self._find(leaves, structure, bool(kwargs))
        return list(dict.fromkeys([*traced.variables, *[v for v, _ in traced.written]]))

    # -- tracing -----------------------------------------------------------------------------
    def _record(
        self, leaves: Sequence[Any], nodes: Sequence[Node | None], structure: Any, keywords: bool
    ) -> tuple[list[Node | None], Trace, list[Any], Any]:
        """Run the Python function on placeholders."""
        holders = [None if n is None else placeholder(n.aval) for n in nodes]
        call = unflatten(structure, [x if h is None else Array(h) for x, h in zip(leaves, holders, strict=True)])
        trace = Trace(self.constants)
        traces.open.append(trace)
        try:
            with keep_history():
                args, kwargs = call if keywords else (call, {})
                result = self.function(*args, **kwargs)
        finally:
            traces.open.pop()
        outs, outline = flatten(result)
        results = [x._node if type(x) is Array else asarray(x)._node if isinstance(x, (np.ndarray, np.generic)) else x for x in outs]
        return holders, trace, _settled(trace, results), outline

    def _trace(self, leaves: Sequence[Any], nodes: Sequence[Node | None], structure: Any, keywords: bool, run: bool = False) -> Traced:
        holders, trace, results, outline = self._record(leaves, nodes, structure, keywords)
        written = trace.written
        wanted = [trace.now[v] for v in written] + [r for r in results if isinstance(r, Node)]
        outputs, order = _needed(wanted)
        if _settle_outside(order):
            outputs, order = _needed(wanted)
        used: set[Node | None] = {n for n in order if n.prim is INPUT}
        arguments = [i for i, h in enumerate(holders) if h in used]
        variables = [v for v, n in trace.read.items() if n in used]
        captured = [n for n in order if n.memory is not None]
        inputs = [h for h in holders if h is not None and h in used] + [trace.read[v] for v in variables] + captured
        strange = next(iter(used.difference(inputs)), None)
        if strange is not None:
            raise kept_while_traced(strange)
        number = {n: k for k, n in enumerate(outputs)}
        own = [v for v in written if trace.read.get(v) in used and trace.now[v] in number and trace.read[v] not in wanted]
        wishes = {number[trace.now[v]]: inputs.index(trace.read[v]) for v in own}
        holes = {n: placeholder(n.aval) for n in captured}
        from insitu.compiler import compile_graph  # late: `import insitu` does not wait for the compiler

        program = compile_graph(
            _replace(order, outputs, holes), [holes.get(n, n) for n in inputs], config.target, wishes, join=True, constants=len(captured), run=run
        )
        source: dict[Node, Source] = {h: ("argument", i) for i, h in enumerate(holders) if h is not None}
        source |= {n: ("variable", v) for v, n in trace.read.items()}
        source |= {n: ("output", k) for n, k in number.items()}
        return Traced(
            program=program,
            avals=[n.aval for n in outputs],
            arguments=arguments,
            variables=variables,
            captured=[n.memory for n in captured],
            written=[(v, source.get(trace.now[v], ("captured", trace.now[v]))) for v in written],
            results=[source.get(r, ("captured", r)) if isinstance(r, Node) else ("static", r) for r in results],
            outline=outline,
        )

    # -- looking inside ----------------------------------------------------------------------
    @checked(stage=STAGE)
    def inspect(self, *args: Any, stage: str = "", **kwargs: Any) -> str:
        """The stages from graph to machine code of the program for these arguments, as text.

        Parameters
        ----------
        *args, **kwargs
            Arguments as for a call; nothing is run.
        stage : str
            One of ``graph``, ``simplified``, ``kernels``, ``nests``, ``llvm``, ``assembly``; empty for all.

        Examples
        --------
        >>> import insitu as si
        >>> f = si.compile(lambda x: x * 2 + 1)
        >>> print(f.inspect(si.ones(3), stage="graph"))
        %0 = input(): float32[3]
        %1 = constant(value=2.0, dtype=float32): float32[]
        %2 = mul(%0, %1): float32[3]
        %3 = constant(value=1.0, dtype=float32): float32[]
        %4 = add(%2, %3): float32[3]
        return %4
        """
        leaves, structure = flatten((args, kwargs) if kwargs else args)
        nodes = [asarray(x)._node if type(x) is Array or foreign(x) else None for x in leaves]
        return self._trace(leaves, nodes, structure, bool(kwargs)).program.inspect(stage)


class CompiledMethod(functools.partial[Any]):
    """A compiled function as the method of an object, which is its first argument: what the function can do without naming it."""

    @property
    def compiled(self) -> CompiledFunction:
        return cast(CompiledFunction, self.func)

    @property
    def __name__(self) -> str:
        return str(self.compiled.__name__)

    @checked(steps=STEPS, split=SPLIT)
    def run_many(self, *args: Any, steps: int, split: Sequence[int] = ()) -> Any:
        """Call the method ``steps`` times as `CompiledFunction.run_many` does; ``split`` counts without the object."""
        return self.compiled.run_many(*self.args, *args, steps=steps, split=[number + 1 for number in split])

    def variables(self, *args: Any, **kwargs: Any) -> list[Variable]:
        """The variables that a call with these arguments reads or changes."""
        found: list[Variable] = self.compiled.variables(*self.args, *args, **kwargs)
        return found

    def inspect(self, *args: Any, stage: str = "", **kwargs: Any) -> str:
        """The stages of the program for these arguments, as text; see `CompiledFunction.inspect`."""
        return str(self.compiled.inspect(*self.args, *args, stage=stage, **kwargs))


def _needed(wanted: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """What has to be computed, and everything that it follows from."""
    outputs = [n for n in dict.fromkeys(wanted) if n.prim is not INPUT]
    return outputs, topological(outputs, lambda n: n.memory is not None)


def _settled(trace: Trace, results: Sequence[Any]) -> list[Any]:
    """The results, and in ``trace`` the values of variables, where variables made in the trace are inputs if they last and gone if not."""
    swap = trace.settle()
    if not swap:
        return list(results)
    wanted = [*trace.now.values(), *[r for r in results if isinstance(r, Node)]]
    order = topological(wanted, lambda n: n.memory is not None or n in swap)
    made = dict(zip(wanted, _replace(order, wanted, swap), strict=True))
    trace.now = {v: made[n] for v, n in trace.now.items()}
    return [made[r] if isinstance(r, Node) else r for r in results]


def _settle_outside(order: Sequence[Node]) -> bool:
    """Evaluate pending arrays from outside the trace that it uses, so that a call does not compute them again; whether there are any."""
    inside: set[Node] = set()
    for n in order:
        if n.memory is None and (n.prim is INPUT or any(i in inside for i in n.inputs)):
            inside.add(n)
    outside = [n for n in order if n not in inside and n.memory is None and n.handle is not None and n.handle() is not None]
    evaluate_nodes(outside)
    return bool(outside)


def _fixed(x: Any) -> tuple[Any, ...]:
    """The part of a signature that a value makes: two that are equal to Python but compute other things differ, and NaN is like NaN."""
    if isinstance(x, (float, np.floating)) and (not x or x != x):
        return (type(x), math.nan) if x else (type(x), x, math.copysign(1, x))
    return type(x), x


def _replace(order: Sequence[Node], outputs: Sequence[Node], swap: dict[Node, Node]) -> list[Node]:
    made = dict(swap)
    for n in order:
        if n not in made:
            made[n] = n if all(made[i] is i for i in n.inputs) else Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
    return [made[n] for n in outputs]


def _unhashable(name: str, names: Sequence[str], leaves: Sequence[Any], entries: Sequence[Any]) -> ArgumentError:
    at = next(k for k, entry in enumerate(entries) if not _is_hashable(entry))
    return ArgumentError(
        f"{name} was called with an argument that can be neither traced nor used as a fixed value.",
        expected="arrays, containers of arrays (dict, list, tuple, dataclass), and hashable Python values",
        received=f"{names[at]}: {type(leaves[at]).__name__}",
        fix="turn it into an array with si.asarray, or into a hashable value",
        slug="compile-argument",
        argument=names[at],
    )


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@checked(function=FUNCTION)
def compile(function: Callable[..., Any]) -> CompiledFunction:
    """Compile a function of arrays: traced once per signature, then one native call.

    Parameters
    ----------
    function : callable
        Takes arrays, trees of arrays (dict, list, tuple, dataclass) and fixed Python values; returns
        a tree of arrays. Side effects other than `Variable.assign` happen only while it is traced. A `Variable`
        that the function makes is new in each call if only the function holds it, else it is made once.

    Returns
    -------
    CompiledFunction

    Notes
    -----
    Arrays that the function takes from outside, neither as arguments nor from a `Variable`, are constants. What follows from
    constants alone is computed once, when the function is traced, and matrices and kernels of convolutions are laid out once
    in the order in which products read them. Weights that do not change make the fastest program as constants; for each
    signature it keeps a copy of them in its own order.

    Examples
    --------
    >>> import insitu as si
    >>> f = si.compile(lambda x: si.sum(x * x))
    >>> f(si.asarray([3.0, 4.0]))
    Array(25., dtype=float32)

    The weights are constants of ``layer``, whose scale becomes a part of them:

    >>> weights, scale = si.ones((3, 2)), si.asarray([1.0, 10.0])
    >>> layer = si.compile(lambda x: x @ (weights * scale))
    >>> layer(si.ones((1, 3)))
    Array([[ 3., 30.]], dtype=float32)
    """
    return CompiledFunction(function)
