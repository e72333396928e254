"""The order of kernels, which may overwrite their inputs, and where every value lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from insitu.codegen import nest
from insitu.compiler.lower import Lowered
from insitu.graph.node import Node

#: Values in the arena start at multiples of this many bytes, large ones of a page: streams that are some
#: bytes apart within their pages disturb each other in the caches.
ALIGNMENT, LARGE_ALIGNMENT = 64, 4096


@dataclasses.dataclass
class Plan:
    """What the runtime needs beside the kernels.

    Attributes
    ----------
    order : list of Lowered
    rounds : list of int
        For each kernel its round; kernels of one round are independent of each other.
    offsets : dict of Node to int
        Bytes from the arena's start, for values that are neither inputs nor results.
    arena : int
        Bytes of the arena.
    donated : dict of int to int
        Results that may be written over an input: output number to input number.
    """

    order: list[Lowered]
    rounds: list[int]
    offsets: dict[Node, int]
    arena: int
    donated: dict[int, int]


def make_plan(kernels: Sequence[Lowered], outputs: Sequence[Node], inputs: Sequence[Node], wishes: dict[int, int]) -> Plan:
    """Order the kernels and lay out memory.

    ``wishes`` are the results that would like to overwrite an input (a variable's new value its old one).
    """
    pairs = {o: i for o, i in wishes.items() if outputs[o].aval is inputs[i].aval}
    order = _ordered(kernels, [(outputs[o], inputs[i]) for o, i in pairs.items()])
    donated = {o: i for o, i in pairs.items() if _may_overwrite(order, outputs[o], inputs[i])}
    overwritten = {outputs[o]: inputs[i] for o, i in donated.items()}
    rounds = _rounds(order, overwritten)
    offsets, arena = _arena(order, rounds, set(outputs))
    return Plan(order, rounds, offsets, arena, donated)


def reads(k: Lowered) -> set[Node]:
    """Values a kernel reads."""
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role in ("in", "both")}


def writes(k: Lowered) -> set[Node]:
    """Values a kernel writes."""
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role in ("out", "both")}


def _ordered(kernels: Sequence[Lowered], pairs: Sequence[tuple[Node, Node]]) -> list[Lowered]:
    """Readers of an old value before the kernel that overwrites it, where no cycle forbids it."""
    count = len(kernels)
    hard: list[set[int]] = [set() for _ in range(count)]
    written: dict[Node, int] = {}
    for k, low in enumerate(kernels):
        hard[k] = {written[n] for n in reads(low) | writes(low) if n in written}
        written.update(dict.fromkeys(writes(low), k))
    soft: list[set[int]] = [set() for _ in range(count)]
    for new, old in pairs:
        if new in written:
            soft[written[new]] |= {k for k, low in enumerate(kernels) if old in reads(low) and k != written[new]}
    done: list[int] = []
    left = list(range(count))
    while left:
        ready = [k for k in left if hard[k] <= set(done)]
        chosen = next((k for k in ready if soft[k] <= set(done)), ready[0])
        done.append(chosen)
        left.remove(chosen)
    return [kernels[k] for k in done]


def _may_overwrite(order: Sequence[Lowered], new: Node, old: Node) -> bool:
    """Whether nobody reads the old value after, or elsewhere than, its element is replaced."""
    writer = next((k for k, low in enumerate(order) if new in writes(low)), None)
    if writer is None or any(old in reads(low) for low in order[writer + 1 :]):
        return False
    low = order[writer]
    if low.group.kind not in ("map", "contract"):
        return False
    if old not in reads(low):
        return True
    names = {n: b.name for b, n in zip(low.kernel.buffers, low.arguments, strict=False)}
    spots = set(_places(low.kernel.body, names[new], names[old]))
    return len(spots) == 1


def _places(body: Sequence[nest.Stmt], new: str, old: str) -> list[object]:
    """Offsets at which the new buffer is written and the old one read; "operand" for a contraction's own reading."""
    out: list[object] = []
    for s in body:
        if isinstance(s, nest.Store):
            out += [s.offset] if s.buffer == new else []
            out += _loads(s.value, old)
        elif isinstance(s, nest.Let):
            out += _loads(s.value, old)
        elif isinstance(s, nest.Loop):
            out += _places(s.body, new, old)
        elif isinstance(s, nest.Reduce):
            out += _loads(s.value, old) and ["operand"]
        elif isinstance(s, nest.Contract):
            out += ["operand"] if old in (s.a.buffer, s.b.buffer) else []
            out += _places(s.epilogue, new, old)
    return out


def _loads(x: nest.Expr, buffer: str) -> list[object]:
    found: list[object] = []
    seen: set[nest.Expr] = set()
    stack = [x]
    while stack:
        e = stack.pop()
        if e not in seen:
            seen.add(e)
            found += [e.args[0]] if e.op == "load" and e.attr == buffer else []
            stack.extend(e.args)
    return found


def _rounds(order: Sequence[Lowered], overwritten: dict[Node, Node]) -> list[int]:
    """Kernels go into the current round while they neither need nor disturb what it computes."""
    out: list[int] = []
    now, read, written = 0, set[Node](), set[Node]()
    for low in order:
        new = writes(low)
        spoiled = {overwritten[n] for n in new if n in overwritten}
        if (reads(low) | new) & written or (new | spoiled) & read:
            now, read, written = now + 1, set(), set()
        out.append(now)
        read |= reads(low)
        written |= new | spoiled
    return out


def _arena(order: Sequence[Lowered], rounds: Sequence[int], outputs: set[Node]) -> tuple[dict[Node, int], int]:
    """First fit by lifetime: a value's bytes are free again after the round of its last reader."""
    born: dict[Node, int] = {}
    dies: dict[Node, int] = {}
    for low, when in zip(order, rounds, strict=True):
        for n in writes(low):
            if n not in outputs:
                born.setdefault(n, when)
                dies[n] = max(dies.get(n, when), when)
        for n in reads(low):
            if n in born:
                dies[n] = max(dies[n], when)
    offsets: dict[Node, int] = {}
    total = 0
    for n in sorted(born, key=lambda n: -n.aval.nbytes):  # the large ones first: they stay aligned
        size = _room(n)
        busy = sorted((offsets[m], offsets[m] + _room(m)) for m in offsets if born[m] <= dies[n] and born[n] <= dies[m])
        at = 0
        for start, stop in busy:
            if at + size <= start:
                break
            at = max(at, stop)
        offsets[n] = at
        total = max(total, at + size)
    return offsets, total


def _room(n: Node) -> int:
    step = LARGE_ALIGNMENT if n.aval.nbytes >= LARGE_ALIGNMENT else ALIGNMENT
    return -(-max(n.aval.nbytes, 1) // step) * step
