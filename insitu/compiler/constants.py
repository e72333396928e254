"""What follows from constants alone is taken out of a program, to be computed once, and laid out as kernels like it best."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

from insitu import ops
from insitu.codegen.cpu.gemm import choose
from insitu.codegen.cpu.gemm.schedule import Variant
from insitu.codegen.nest import ANY_PANEL, EXPENSIVE, Contract, Operand
from insitu.codegen.target import Target
from insitu.compiler.lower import Lowerer
from insitu.compiler.lower_special import contraction, source_of
from insitu.graph.node import Node, placeholder, topological

#: Bytes below which a value is computed again in every run: it costs less than one more thing to keep.
WORTH_BYTES = 4096
_HEAVY = frozenset({"contract", "mix", "reduce", "scan", "sort", "scatter"})


@dataclasses.dataclass(frozen=True)
class Divided:
    """A graph in two parts.

    Attributes
    ----------
    outputs : list of Node
        The results.
    prepared : dict of Node to Node
        What follows from constants, by the placeholder that stands for it.
    """

    outputs: list[Node]
    prepared: dict[Node, Node]


def divide(outputs: Sequence[Node], constants: Sequence[Node]) -> Divided:
    """Take out what follows from ``constants`` (placeholders) alone and is worth keeping.

    ::

        %0 = input(): float32[8, 64]                %0 = input(): float32[8, 64]       once, from constants:
        %1 = input(): float32[64, 32]               %1 = input(): float32[64, 32]      %0 = input(): float32[64, 32]
        %2 = mul(%1, %1): float32[64, 32]           %2 = matmul(%0, %1)                %1 = mul(%0, %0): float32[64, 32]
        %3 = matmul(%0, %2): float32[8, 32]

    Element-wise values are kept only where they are read as a whole and are no larger than what they are made of.
    """
    order = topological(outputs)
    worth = _worth_keeping(order, set(constants)) - set(outputs)
    if not worth:
        return Divided(list(outputs), {})
    needed = dict.fromkeys(outputs, math.inf)  # elements that the rest reads at most
    kept: set[Node] = set()
    for n in reversed(order):
        if n not in needed:
            continue
        if n in worth and (_heavy(n) or needed[n] >= n.aval.size):
            kept.add(n)
            continue
        through = min(needed[n], n.aval.size) if n.prim.kind in ("view", "map") else math.inf
        for i in n.inputs:
            needed[i] = max(needed.get(i, 0), min(through, i.aval.size))
    made: dict[Node, Node] = {n: placeholder(n.aval) for n in order if n in kept}
    prepared = {made[n]: n for n in order if n in kept}
    for n in order:
        if n in needed and n not in made:
            inputs = tuple([made[i] for i in n.inputs])
            made[n] = n if inputs == n.inputs else Node(n.prim, inputs, n.attrs, n.aval)
    return Divided([made[n] for n in outputs], prepared)


def _worth_keeping(order: Sequence[Node], constants: set[Node]) -> set[Node]:
    sources: dict[Node, int] = {}  # of what follows from constants alone: bytes it is made of
    found: set[Node] = set()
    for n in order:
        if n in constants:
            sources[n] = n.aval.nbytes
            continue
        if n.prim.kind == "leaf" or not all(i in sources for i in n.inputs):
            continue
        sources[n] = sum(sources[i] for i in dict.fromkeys(n.inputs))
        if n.prim.kind == "view" or max(n.aval.nbytes, sources[n]) < WORTH_BYTES:
            continue
        if _heavy(n) or n.aval.nbytes <= sources[n]:
            found.add(n)
            sources[n] = n.aval.nbytes
    return found


def _heavy(n: Node) -> bool:
    """Whether computing the node costs more than reading it; of copies that contractions ask for this holds as well."""
    return n.prim.kind in _HEAVY or n.prim.name in EXPENSIVE or n.prim.name == "identity"


def lay_in_panels(outputs: Sequence[Node], constants: Sequence[Node], target: Target) -> list[Node]:
    """Lay operands of contractions in the panels that their kernels read: constant ones, and copies made for one convolution alone.

    ::

        %0 = input(): float32[8, 64]                %0 = input(): float32[8, 64]
        %1 = input(): float32[64, 32]               %1 = input(): float32[64, 32]
        %2 = matmul(%0, %1): float32[8, 32]         %2 = reshape(%1, shape=(1, 64, 2, 16))
                                                    %3 = permute(%2, axes=(0, 2, 1, 3))
                                                    %4 = identity(%3): float32[1, 2, 64, 16]
                                                    %5 = panels(%4): float32[64, 32]
                                                    %6 = matmul(%0, %5): float32[8, 32]
    """
    order = topological(outputs)
    fixed: set[Node] = set(constants)
    for n in order:
        if n.prim.kind != "leaf" and all(i in fixed for i in n.inputs):
            fixed.add(n)
    copies = _copies(order, outputs) - fixed
    free = fixed | copies
    products = {n for n in order if n.prim.name in ("matmul", "conv") and n not in fixed and any(i in free for i in n.inputs)}
    if not products:
        return list(outputs)
    made: dict[Node, Node] = {}
    laid: dict[object, Node] = {}
    for n in order:
        inputs = [made[i] for i in n.inputs]
        if n in products:
            place, width, how = _panel(n, free, target)
            copied = n.inputs[place] in copies
            if width and not (copied and n.shape[-1] % width):  # other columns would be gathered
                source = inputs[place].inputs[0] if copied else inputs[place]
                key = (source, place, width, how)
                if key not in laid:
                    laid[key] = (_kernel if n.prim.name == "conv" else _matrix)(source, place, width, how)
                inputs[place] = laid[key]
        made[n] = n if all(a is b for a, b in zip(inputs, n.inputs, strict=True)) else Node(n.prim, tuple(inputs), n.attrs, n.aval)
    return [made[n] for n in outputs]


def _copies(order: Sequence[Node], outputs: Sequence[Node]) -> set[Node]:
    """Copies of kernels that one convolution reads and nothing else, such as those of its gradient by the grid."""
    users: dict[Node, int] = {}
    for n in order:
        for i in n.inputs:
            users[i] = users.get(i, 0) + 1
    kernels = {n.inputs[1] for n in order if n.prim.name == "conv" and n.attrs[3] == 1}
    return {k for k in kernels if k.prim.name == "identity" and users[k] == 1} - set(outputs)


def _panel(product: Node, free: set[Node], target: Target) -> tuple[int, int, int]:
    """Which operand of a contraction should lie in panels, how wide they should be (0 if none should), and how many matrices there are."""
    if not any(x in free and x.aval.nbytes >= WORTH_BYTES for x in product.inputs) or not product.aval.size:
        return 0, 0, 0
    contract, _ = contraction(product, Lowerer({source_of(x) for x in product.inputs}, [product]))
    asked: dict[str, Operand] = {}
    for name, x, operand in zip("ab", product.inputs, (contract.a, contract.b), strict=True):
        may = x in free and x.aval.nbytes >= WORTH_BYTES and (name == "b" or (product.prim.name == "matmul" and product.ndim == 2))
        if may and isinstance(operand, Operand) and operand.dtype is contract.dtype:
            asked[name] = dataclasses.replace(operand, panel=ANY_PANEL)
    if not asked:
        return 0, 0, 0
    best = _chosen(dataclasses.replace(contract, a=asked.get("a", contract.a), b=asked.get("b", contract.b)), target)
    each = contract.batch if isinstance(contract.b, Operand) and contract.b.batch_stride else 1
    matrices = product.attrs[3] if product.prim.name == "conv" else each
    return (0 if best.swap else 1), best.columns if best.in_panels else 0, matrices


@functools.lru_cache(maxsize=1024)
def _chosen(contract: Contract, target: Target) -> Variant:
    """What is chosen for a contraction without an epilogue: layers of a network repeat."""
    return choose(contract, target).variant


def _matrix(x: Node, place: int, width: int, matrices: int) -> Node:
    """An operand of a matrix product in panels, of rows for the first one; where one matrix serves all it lies there once."""
    if not place:
        return ops.swap_last(_matrix(ops.swap_last(x), 1, width, matrices))
    some = ops.slice_(ops.reshape(x, (-1, *x.shape[-2:])), (0, 0, 0), (matrices, *x.shape[-2:]))
    return ops.from_panels(ops.identity(ops.to_panels(some, width)), x.shape)


def _kernel(x: Node, _: int, width: int, groups: int) -> Node:
    """The kernel of a convolution in panels; each group has its own."""
    split = ops.permute(ops.reshape(x, (-1, groups, x.shape[-1] // groups)), (1, 0, 2))
    laid = ops.from_panels(ops.identity(ops.to_panels(split, width)), split.shape)
    return ops.reshape(ops.permute(laid, (1, 0, 2)), x.shape)
