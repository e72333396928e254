"""Questions about a kernel's statements: what they read, bind and write, how wide and how dear they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeGuard

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Expr, Stmt
from insitu.codegen.nest_text import own_roots

#: Nanoseconds per byte moved and per vector instruction, roughly, of one thread.
_BYTE_TIME, _VECTOR_TIME = 0.025, 0.15
#: Vector instructions of an operation of `nest.EXPENSIVE`.
_EXPENSIVE_COST = 20


#: What row numbers are calculated in.
_POSITIONS = (dt.int64, dt.uint64)


def statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """All statements, those inside others too, in order."""
    for s in body:
        yield s
        if isinstance(s, nest.Loop):
            yield from statements(s.body)
        elif isinstance(s, nest.Reduce):
            yield from statements(s.body)
            yield from statements(s.after)


def roots(body: Sequence[Stmt]) -> list[Expr]:
    """The expressions of all statements."""
    return [x for s in statements(body) for x in own_roots(s)]


def stored(body: Sequence[Stmt]) -> frozenset[str]:
    """Buffers that are written."""
    return frozenset(s.buffer for s in statements(body) if isinstance(s, nest.Store))


def reads(x: Expr, buffers: frozenset[str], seen: dict[Expr, bool]) -> bool:
    """Whether the expression loads from one of the buffers; ``seen`` keeps answers for the same buffers."""
    return any_part(x, lambda e: e.op == "load" and e.attr in buffers, seen)


def changing(body: Sequence[Stmt], *outer: str) -> Callable[[Expr], bool]:
    """A test for expressions of a loop's body: whether the value may differ on another turn.

    It may if it depends on an axis in ``outer`` or on an axis or name bound in the body, or reads
    memory that the body writes.
    """
    names, written = set(outer), stored(body)
    answers: dict[Expr, bool] = {}
    for s in statements(body):
        if isinstance(s, nest.Loop | nest.Reduce):
            names.add(s.axis.name)
        if isinstance(s, nest.Let | nest.Reduce):
            names.add(s.name)

    def bound(e: Expr) -> bool:
        return (e.op in ("axis", "ref") and e.attr in names) or (e.op == "load" and e.attr in written)

    return lambda x: any_part(x, bound, answers)


def any_part(x: Expr, holds: Callable[[Expr], bool], seen: dict[Expr, bool]) -> bool:
    """Whether something holds for the expression or a part of it (without recursion: chains are long)."""
    stack = [x]
    while stack:
        top = stack[-1]
        if top in seen:
            stack.pop()
        elif holds(top):
            seen[top] = True
        else:
            missing = [a for a in top.args if a not in seen]
            if missing:
                stack += missing
            else:
                seen[top] = any(seen[a] for a in top.args)
    return seen[x]


def terms(x: Expr) -> list[Expr]:
    """The summands of an index expression."""
    return [t for a in x.args for t in terms(a)] if x.op == "add" else [x]


def has_vector_axis(body: Sequence[Stmt]) -> bool:
    """Whether a loop inside may run in lanes."""
    return any(isinstance(s, nest.Loop | nest.Reduce) and s.axis.kind == "vector" for s in statements(body))


def passes(body: Sequence[Stmt]) -> Iterator[tuple[int, list[Stmt]]]:
    """What runs at once, and where it begins: chains over one axis of which none needs another's result, or one statement."""
    together: list[Stmt] = []
    for k, s in enumerate(body):
        if together and not _joins(s, together):
            yield k - len(together), together
            together = []
        together.append(s)
    if together:
        yield len(body) - len(together), together


def _joins(s: Stmt, together: Sequence[Stmt]) -> bool:
    first = together[0]
    if not (is_chain(first) and is_chain(s) and s.axis == first.axis):
        return False
    names = {t.name for t in together if isinstance(t, nest.Reduce)}
    return not any_part(s.value, lambda e: e.op == "ref" and e.attr in names, {})


def is_chain(s: Stmt) -> TypeGuard[nest.Reduce]:
    """Whether the statement is a reduction in order and nothing else."""
    return isinstance(s, nest.Reduce) and s.axis.kind == "serial" and s.axis.extent > 0 and not s.body and not s.after


def values(body: Sequence[Stmt], *more: Expr) -> list[Expr]:
    """Every expression that is part of a value or guard, addresses left out."""
    seen: dict[Expr, None] = {}
    stack = [x for s in statements(body) for x in own_roots(s)[1 if isinstance(s, nest.Store) else 0 :]] + list(more)
    while stack:
        x = stack.pop()
        if x not in seen:
            seen[x] = None
            stack.extend(x.args[1:] if x.op == "load" else x.args)
    return list(seen)


def element_bits(body: Sequence[Stmt], *more: Expr) -> int:
    """Width of the widest type that values have; positions (64-bit integers that are not in memory) do not count."""
    results = [s.value for s in statements(body) if isinstance(s, nest.Store | nest.Reduce)] + list(more)
    widths = [x.dtype.bits for x in values(body, *more) if x.dtype not in _POSITIONS or x.op == "load"]
    widths += [x.dtype.bits for x in results if x.dtype in _POSITIONS]
    return max((w for w in widths if w), default=32)


def narrowest(body: Sequence[Stmt]) -> int:
    """Width of the narrowest elements that are loaded or stored."""
    found = [x.dtype for x in values(body) if x.op == "load"]
    found += [s.value.dtype for s in statements(body) if isinstance(s, nest.Store)]
    return min((8 * d.itemsize if d.kind != "b" else 8 for d in found), default=64)


def instructions(expressions: Iterable[Expr]) -> int:
    """Vector instructions that the expressions take, roughly."""
    return sum(_EXPENSIVE_COST if x.op in nest.EXPENSIVE else 1 for x in expressions if x.op not in ("const", "axis", "ref"))


def nanoseconds(body: Sequence[Stmt], lanes: int) -> float:
    """Time of one turn of the body, roughly, on one thread with that many lanes."""
    total = 0.0
    for s in body:
        parts = values((dataless(s),)) if isinstance(s, nest.Loop | nest.Reduce) else values((s,))
        moved = sum(x.dtype.itemsize for x in parts if x.op == "load")
        if isinstance(s, nest.Store):
            moved += s.value.dtype.itemsize
        own = moved * _BYTE_TIME + instructions(parts) * _VECTOR_TIME / lanes
        if isinstance(s, nest.Loop):
            own = s.axis.extent * nanoseconds(s.body, lanes)
        elif isinstance(s, nest.Reduce):
            own = s.axis.extent * (own + nanoseconds((*s.body, *s.after), lanes)) + 10 * _VECTOR_TIME
        total += own
    return total


def dataless(s: nest.Loop | nest.Reduce) -> Stmt:
    """The statement without the ones inside it."""
    if isinstance(s, nest.Loop):
        return nest.Loop(s.axis, ())
    return nest.Reduce(s.name, s.how, s.axis, s.value)
