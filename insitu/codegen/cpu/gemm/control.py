"""Branches and loops in the form that LLVM's code generator turns into tight code by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Loop, Value, llvm_type
from insitu.errors import InternalError

i64 = dt.int64


@contextlib.contextmanager
def either(b: Emitter, condition: Value) -> Iterator[Callable[[], None]]:
    """Emit both branches of a condition: the body up to the call of what is yielded, and the rest."""
    yes, no, joined = b.name("yes"), b.name("no"), b.name("joined")
    b.branch(yes, condition, no)
    b.block(yes)

    def otherwise() -> None:
        b.branch(joined)
        b.block(no)

    yield otherwise
    b.branch(joined)
    b.block(joined)


@contextlib.contextmanager
def loop(b: Emitter, start: Value | int, stop: Value | int, step: int | Value = 1, carried: Sequence[Value] = ()) -> Iterator[Loop]:
    """What `Emitter.loop` is, with the test at the end of a turn (and once before the first).

    A test at the head costs a second jump in each turn, and it was seen to make the register
    allocator spill accumulators.
    """
    first, last, by = (b.const(v, i64) if isinstance(v, int) else v for v in (start, stop, step))
    body, done = b.name("body"), b.name("done")
    before, some = b.block_name, b.cmp("lt", first, last)
    b.branch(body, some, done)
    b.block(body)
    index = Value(f"%{b.name('i')}", i64)
    values = [Value(f"%{b.name('c')}", v.dtype, v.lanes) for v in carried]
    phi_at = len(b.lines)
    b.lines += [""] * (1 + len(values))
    state = Loop(b.opaque(index), values)
    yield state
    if len(state.next) != len(values):
        raise InternalError(f"loop carries {len(values)} values but {len(state.next)} were given for the next turn")
    after, end = b.add(state.index, by), b.block_name
    b.branch(body, b.cmp("lt", after, last), done)
    for at, (phi, initial, following) in enumerate([(index, first, after), *zip(values, carried, state.next, strict=True)]):
        b.lines[phi_at + at] = _phi(phi, initial, before, following, end)
    b.block(done)
    state.results = [Value(f"%{b.name('r')}", v.dtype, v.lanes) for v in carried]
    b.lines += [_phi(out, initial, before, value, end) for out, initial, value in zip(state.results, carried, state.next, strict=True)]


def _phi(out: Value, x: Value, x_from: str, y: Value, y_from: str) -> str:
    return f"  {out.text} = phi {llvm_type(out.dtype, out.lanes)} [ {x.text}, %{x_from} ], [ {y.text}, %{y_from} ]"
