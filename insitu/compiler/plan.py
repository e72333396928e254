"""The order of kernels, which may overwrite their inputs, and where every value lies."""

from __future__ import annotations

import bisect
import dataclasses
import heapq
from collections.abc import Sequence

from insitu.codegen import nest
from insitu.compiler.lower import Lowered
from insitu.graph.node import Node

#: Values in the arena start at multiples of this many bytes, large ones of a page: streams that are some
#: bytes apart within their pages disturb each other in the caches.
ALIGNMENT, LARGE_ALIGNMENT = 64, 4096
#: So many values, the largest ones, are laid out with care; the rest in the order in which they are made.
MANY = 384


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
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for o, i in wishes.items():
        if outputs[o].aval is inputs[i].aval and i not in taken:
            pairs[o] = i
            taken.add(i)
    order = _ordered(kernels, [(outputs[o], inputs[i]) for o, i in pairs.items()])
    writer = {n: k for k, low in reversed(list(enumerate(order))) for n in writes(low)}
    last_reader = {n: k for k, low in enumerate(order) for n in reads(low)}
    wanted: dict[int, dict[Node, Node]] = {}
    for o, i in pairs.items():
        at = writer.get(outputs[o])
        if at is not None and last_reader.get(inputs[i], at) <= at and _may_overwrite(order[at], outputs[o], inputs[i]):
            wanted.setdefault(at, {})[outputs[o]] = inputs[i]
    overwritten: dict[Node, Node] = {}
    for at, olds in wanted.items():
        order[at] = _reading_first(order[at], olds)
        overwritten |= olds
    donated = {o: i for o, i in pairs.items() if outputs[o] in overwritten}
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
    """Readers of an old value before the kernel that overwrites it, where no cycle forbids it.

    Otherwise the order stays: the first kernel of which everything is there goes next.
    """
    written: dict[Node, int] = {}
    read_by: dict[Node, list[int]] = {}
    must: list[set[int]] = []
    for k, low in enumerate(kernels):
        own = writes(low)
        must.append({written[n] for n in reads(low) | own if n in written})
        written.update(dict.fromkeys(own, k))
        for n in reads(low):
            read_by.setdefault(n, []).append(k)
    should: list[set[int]] = [set() for _ in kernels]
    for new, old in pairs:
        if new in written:
            should[written[new]].update(k for k in read_by.get(old, ()) if k != written[new])
    after: list[list[int]] = [[] for _ in kernels]
    for k in range(len(kernels)):
        for earlier in must[k] | should[k]:
            after[earlier].append(k)
    ready: list[int] = []  # nothing speaks against these
    possible: list[int] = []  # these would overwrite what is still to be read
    done: set[int] = set()
    order: list[int] = []

    def offer(k: int) -> None:
        if k not in done and not must[k]:
            heapq.heappush(possible if should[k] else ready, k)

    for k in range(len(kernels)):
        offer(k)
    while ready or possible:
        k = heapq.heappop(ready or possible)
        if k in done:
            continue
        done.add(k)
        order.append(k)
        for later in after[k]:
            must[later].discard(k)
            should[later].discard(k)
            offer(later)
    return [kernels[k] for k in order]


def _may_overwrite(low: Lowered, new: Node, old: Node) -> bool:
    """Whether the last kernel that reads the old value reads each element only where it replaces it."""
    if low.group.kind not in ("map", "contract"):
        return False
    if not any(isinstance(s, nest.Store) for s in _statements(low.kernel)):
        return False  # tiles: an element is read in another loop than the one that writes it
    if old not in reads(low):
        return True
    names = {n: b.name for b, n in zip(low.kernel.buffers, low.arguments, strict=False)}
    spots = set(_places(low.kernel.body, names[new], names[old]))
    return len(spots) == 1


def _reading_first(low: Lowered, olds: dict[Node, Node]) -> Lowered:
    """The kernel with its stores in such an order that each old value is read before it is overwritten.

    For a variable ``m`` and a result that needs the old ``m``, too::

        y0[i] = x0[i] + x1[i]              y1[i] = x0[i] * 2
        y1[i] = x0[i] * 2                  y0[i] = x0[i] + x1[i]         (y0 is the memory of x0)

    Wishes for which there is no such order are taken out of ``olds``.
    """
    names = {n: b.name for b, n in zip(low.kernel.buffers, low.arguments, strict=False)}
    left = [s for s in _statements(low.kernel) if isinstance(s, nest.Store)]
    old_of = {names[new]: names[old] for new, old in olds.items() if old in names}
    readers = {old: {s.buffer for s in left if _loads(s.value, old)} for old in old_of.values()}
    made: list[nest.Stmt] = []
    while left:
        remaining = {s.buffer for s in left}
        free = [s for s in left if not (readers.get(old_of.get(s.buffer, ""), set()) & remaining) - {s.buffer}]
        chosen = free or left[:1]
        if not free:
            gone = old_of.pop(chosen[0].buffer)
            for new in [new for new, old in olds.items() if names.get(old) == gone]:
                del olds[new]
        made += chosen
        left = [s for s in left if s not in chosen]
    first = [s for s in _statements(low.kernel) if not isinstance(s, nest.Store)]
    return dataclasses.replace(low, kernel=_replaced(low.kernel, (*first, *made)))


def _statements(kernel: nest.Kernel) -> tuple[nest.Stmt, ...]:
    """The statements of a kernel's innermost body: of its one loop over lanes, of a contraction's epilogue, or its own."""
    last = kernel.body[-1] if kernel.body else None
    return last.epilogue if isinstance(last, nest.Contract) else last.body if isinstance(last, nest.Loop) else kernel.body


def _replaced(kernel: nest.Kernel, statements: tuple[nest.Stmt, ...]) -> nest.Kernel:
    last = kernel.body[-1]
    if isinstance(last, nest.Contract):
        return dataclasses.replace(kernel, body=(dataclasses.replace(last, epilogue=statements),))
    if isinstance(last, nest.Loop):
        return dataclasses.replace(kernel, body=(*kernel.body[:-1], dataclasses.replace(last, body=statements)))
    return dataclasses.replace(kernel, body=statements)


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
    """Bytes for every value from the round that makes it to the round of its last reader; then they are free again."""
    born: dict[Node, int] = {}
    dies: dict[Node, int] = {}
    for low, when in zip(order, rounds, strict=True):
        for n in writes(low):
            if n not in outputs:
                born.setdefault(n, when)
                dies[n] = when
        for n in reads(low):
            if n in born:
                dies[n] = when
    by_size = sorted(born, key=lambda n: -n.aval.nbytes)  # the large ones first: they stay aligned
    offsets, top = _first_fit(by_size[:MANY], born, dies)
    space = _Space(top)
    births, deaths = _by_round(by_size[MANY:], born), _by_round(by_size[MANY:], dies)
    for when in sorted({*births, *[w + 1 for w in deaths]}):
        for n in deaths.get(when - 1, ()):
            space.release(offsets[n], _room(n))
        for n in births.get(when, ()):
            offsets[n] = space.take(_room(n), _step(n))
    return offsets, space.top


def _first_fit(values: Sequence[Node], born: dict[Node, int], dies: dict[Node, int]) -> tuple[dict[Node, int], int]:
    """Each value at the lowest place that is free in all its rounds; the work grows with the square of their number."""
    offsets: dict[Node, int] = {}
    total = 0
    for n in values:
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


def _by_round(values: Sequence[Node], rounds: dict[Node, int]) -> dict[int, list[Node]]:
    out: dict[int, list[Node]] = {}
    for n in values:
        out.setdefault(rounds[n], []).append(n)
    return out


class _Space:
    """Bytes from ``top`` up, with holes (start, stop) in order; each piece goes into the smallest hole that it fits."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.holes: list[tuple[int, int]] = []

    def take(self, size: int, step: int) -> int:
        best: tuple[int, int] | None = None
        for k, (start, stop) in enumerate(self.holes):
            if -(-start // step) * step + size <= stop and (best is None or stop - start < best[0]):
                best = stop - start, k
        if best is not None:
            start, stop = self.holes.pop(best[1])
        else:
            start = self.holes.pop()[0] if self.holes and self.holes[-1][1] == self.top else self.top
            stop = self.top = -(-start // step) * step + size
        at = -(-start // step) * step
        for hole in ((start, at), (at + size, stop)):
            if hole[0] < hole[1]:
                bisect.insort(self.holes, hole)
        return at

    def release(self, start: int, size: int) -> None:
        stop = start + size
        k = bisect.bisect(self.holes, (start, stop))
        if k < len(self.holes) and self.holes[k][0] == stop:
            stop = self.holes.pop(k)[1]
        if k and self.holes[k - 1][1] == start:
            start = self.holes.pop(k - 1)[0]
        bisect.insort(self.holes, (start, stop))


def _step(n: Node) -> int:
    return LARGE_ALIGNMENT if n.aval.nbytes >= LARGE_ALIGNMENT else ALIGNMENT


def _room(n: Node) -> int:
    return -(-max(n.aval.nbytes, 1) // _step(n)) * _step(n)
