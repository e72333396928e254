"""The order of kernels, which may overwrite their inputs, and where every value lies."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from insitu.codegen import nest
from insitu.codegen.nest_text import own_roots
from insitu.compiler.join import postponed
from insitu.compiler.lower import Lowered, parts, reads, writes
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


def make_plan(kernels: Sequence[Lowered], outputs: Sequence[Node], inputs: Sequence[Node], wishes: dict[int, int], join: bool = False) -> Plan:
    """Order the kernels and lay out memory.

    ``wishes`` are the results that would like to overwrite an input (a variable's new value its old one). With ``join``
    small kernels wait for others that they can be launched with.
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
    if join:
        later = postponed(order, rounds, overwritten)
        turn = sorted(range(len(order)), key=lambda k: later[k])
        order, rounds = [order[k] for k in turn], [later[k] for k in turn]
    offsets, arena = _arena(order, rounds, set(outputs))
    return Plan(order, rounds, offsets, arena, donated)


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
    """Whether the last kernel that reads the old value reads each element only where it replaces it, and not afterwards."""
    if low.group.kind == "alone":
        return False
    names = {n: b.name for b, n in zip(low.kernel.buffers, low.arguments, strict=False)}
    found: list[_Place] = []
    stored = False
    loops = [(s,) for s in low.kernel.body if not isinstance(s, nest.Store)]
    stores = tuple([s for s in low.kernel.body if isinstance(s, nest.Store)])  # `_reading_first` puts them in order
    for statements in (*loops, stores):
        places = list(_places(statements, names[new], names.get(old, "")))
        if stored and places:
            return False  # read again later, or in another piece of what is computed tile by tile
        found += places
        stored = stored or any(p.stored for p in places)
    if len({p.spot for p in found}) > 1:  # then each is read by the turn of the loop that writes it, as every element is written once
        written = {(p.body, p.spot) for p in found if p.stored}
        return stored and all((p.body, p.spot) in written for p in found)
    return stored


class _Place(NamedTuple):
    """An offset at which the old buffer is read, or the new one stored, and which statements do so."""

    spot: object
    stored: bool
    body: int


def _places(body: Sequence[nest.Stmt], new: str, old: str) -> Iterator[_Place]:
    """Where the old buffer is read and the new one written; a contraction's own reading is no offset."""
    for s in body:
        for x in own_roots(s):
            yield from (_Place(spot, False, id(body)) for spot in _loads(x, old))
        if isinstance(s, nest.Store) and s.buffer == new:
            yield _Place(s.offset, True, id(body))
        elif isinstance(s, nest.Contract):
            if old in (s.a.buffer, s.b.buffer):
                yield _Place("operand", False, id(body))
            yield from _places(s.epilogue, new, old)
        elif isinstance(s, nest.Loop):
            yield from _places(s.body, new, old)
        elif isinstance(s, nest.Reduce):
            yield from _places((*s.body, *s.after), new, old)


def _reading_first(low: Lowered, olds: dict[Node, Node]) -> Lowered:
    """The kernel with its stores in such an order that each old value is read before it is overwritten.

    For a variable ``m`` and a result that needs the old ``m``, too::

        y0[i] = x0[i] + x1[i]              y1[i] = x0[i] * 2
        y1[i] = x0[i] * 2                  y0[i] = x0[i] + x1[i]         (y0 is the memory of x0)

    Wishes for which there is no such order are taken out of ``olds``.
    """
    names = {n: b.name for b, n in zip(low.kernel.buffers, low.arguments, strict=False)}
    old_of = {names[new]: names[old] for new, old in olds.items() if old in names}
    given_up: set[str] = set()
    body = _stores_sorted(tuple([_sorted_inside(s, old_of, given_up) for s in low.kernel.body]), old_of, given_up)
    for new in [new for new, old in olds.items() if names.get(old) in given_up]:
        del olds[new]
    return dataclasses.replace(low, kernel=dataclasses.replace(low.kernel, body=body))


def _sorted_inside(s: nest.Stmt, old_of: dict[str, str], given_up: set[str]) -> nest.Stmt:
    if isinstance(s, nest.Contract):
        return dataclasses.replace(s, epilogue=_stores_sorted(s.epilogue, old_of, given_up))
    if isinstance(s, nest.Loop):
        inner = tuple([_sorted_inside(part, old_of, given_up) for part in s.body])
        return dataclasses.replace(s, body=_stores_sorted(inner, old_of, given_up))
    return s


def _stores_sorted(body: tuple[nest.Stmt, ...], old_of: dict[str, str], given_up: set[str]) -> tuple[nest.Stmt, ...]:
    left = [s for s in body if isinstance(s, nest.Store)]
    readers: dict[tuple[str, object], list[nest.Store]] = {}
    for s in left:
        for old in {*old_of.values()}:
            for spot in {spot for x in own_roots(s) for spot in _loads(x, old)}:
                readers.setdefault((old, spot), []).append(s)
    made: list[nest.Stmt] = []
    while left:
        free = next((s for s in left if all(r is s or r not in left for r in readers.get((old_of.get(s.buffer, ""), s.offset), ()))), None)
        if free is None:
            free = left[0]
            given_up.add(old_of.pop(free.buffer))
        made.append(free)
        left.remove(free)
    return (*[s for s in body if not isinstance(s, nest.Store)], *made)


def _loads(x: nest.Expr, buffer: str) -> Sequence[object]:
    return _all_loads(x).get(buffer, ())


@functools.lru_cache(maxsize=4096)
def _all_loads(x: nest.Expr) -> dict[str, list[object]]:
    """Where an expression reads each buffer."""
    found: dict[str, list[object]] = {}
    seen: set[nest.Expr] = set()
    stack = [x]
    while stack:
        e = stack.pop()
        if e not in seen:
            seen.add(e)
            if e.op == "load":
                found.setdefault(e.attr, []).append(e.args[0])
            stack.extend(e.args)
    return found


def _rounds(order: Sequence[Lowered], overwritten: dict[Node, Node]) -> list[int]:
    """Kernels go into the current round while they neither need nor disturb what it computes; parts of one value do not."""
    out: list[int] = []
    now, read, written = 0, set[Node](), set[Node]()
    for low in order:
        new = writes(low)
        spoiled = {overwritten[n] for n in new if n in overwritten}
        if (reads(low) | (new - parts(low))) & written or (new | spoiled) & read:
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
    placed: list[tuple[int, int, int, int]] = []  # start, stop, first and last round, by start
    total = 0
    for n in values:
        size, first, last = _room(n), born[n], dies[n]
        at = 0
        for start, stop, begin, end in placed:
            if begin <= last and first <= end:
                if at + size <= start:
                    break
                if stop > at:
                    at = stop
        offsets[n] = at
        bisect.insort(placed, (at, at + size, first, last))
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
