"""Stable argsort: keys in sortable integers, runs of 16 by rank, then merges from one buffer to another.

No branch depends on a key. For each unit:

1. Every key becomes a signed integer that orders as the key does: NaN is the largest (all NaN are
   equal), the two zeros are equal, and for a descending sort all bits are flipped, which puts NaN first.
2. In runs of 16, an element's place is the number of elements below it, plus the equal ones before it.
3. Neighbouring runs are merged, the left one winning ties, until one is left.
"""

from __future__ import annotations

import dataclasses

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu.abi import PARAMETERS, kernel_key, pointers
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.scalar import ScalarEmitter
from insitu.codegen.generated import Code, Generated
from insitu.codegen.target import Target
from insitu.dtypes import DType
from insitu.errors import InternalError

_RUN = 16
#: Nanoseconds per element and merge, roughly.
_MERGE_TIME = 2.5
_GRAIN_TIME = 25_000
_I64 = dt.int64


def generate(kernel: nest.Kernel, target: Target) -> Generated:
    """Machine code of a kernel whose only statement is an `ArgSort`.

    Parameters
    ----------
    kernel : nest.Kernel
        The kernel; its units are the rows to sort.
    target : Target
        The CPU.

    Returns
    -------
    Generated
        The code; a thread needs about ``2 * length * (itemsize + 4)`` bytes of scratch.

    Raises
    ------
    InternalError
        If the kernel has other statements or scratch of its own.
    """
    if len(kernel.body) != 1 or not isinstance(kernel.body[0], nest.ArgSort) or any(b.role == "scratch" for b in kernel.buffers):
        raise InternalError("code generator: an argsort must be its kernel's only statement, without scratch buffers")
    sort = kernel.body[0]
    key = kernel_key(kernel, target)
    symbol = f"k_{key[:24]}"
    time = max(1, sort.length) * _MERGE_TIME * (2 + max(0, (sort.length - 1) // _RUN).bit_length())
    code = Code(key, symbol, lambda: _Sort(kernel, sort, target).module(symbol), target)
    return Generated(code, (), kernel.units, max(1, int(_GRAIN_TIME / time)), _Scratch.of(sort).total)


@dataclasses.dataclass(frozen=True)
class _Scratch:
    """Where keys and positions are in a thread's memory, twice each (bytes)."""

    key: DType
    position: DType
    places: tuple[int, int, int, int]
    total: int

    @staticmethod
    def of(sort: nest.ArgSort) -> _Scratch:
        key = dt.from_kind("i", sort.dtype.bits)
        position = dt.int32 if sort.length < 1 << 31 else _I64
        room = -(-(sort.length + _RUN) // 64) * 64  # a merge may look at one key past the end
        ends = [0]
        for d in (key, key, position, position):
            ends.append(ends[-1] + room * d.itemsize)
        return _Scratch(key, position, (ends[0], ends[1], ends[2], ends[3]), ends[4])


class _Sort:
    def __init__(self, kernel: nest.Kernel, sort: nest.ArgSort, target: Target) -> None:
        self.kernel, self.sort, self.target = kernel, sort, target
        self.b = Emitter(target)
        self.layout = _Scratch.of(sort)

    def module(self, symbol: str) -> str:
        """The LLVM module with the kernel's function."""
        b, sort = self.b, self.sort
        with b.function(symbol, PARAMETERS) as (args, begin, end, scratch, _):
            buffers = pointers(b, self.kernel, args, scratch)
            keys, other_keys, positions, other_positions = (b.offset(scratch, at, dt.uint8) for at in self.layout.places)
            with b.loop(begin, end) as unit:
                scope = ScalarEmitter(b, buffers, {self.kernel.unit: unit.index})
                memory = dt.from_kind("u", sort.dtype.bits)
                source = b.offset(buffers[sort.source], scope.value(sort.source_base), memory)
                target = b.offset(buffers[sort.target], scope.value(sort.target_base), _I64)
                self._read(source, keys)
                self._rank_runs(keys, other_keys, other_positions)
                self._write(self._merge_runs([other_keys, keys, other_positions, positions]), target)
        return b.module()

    # -- keys ------------------------------------------------------------------------------
    def _read(self, source: Value, keys: Value) -> None:
        """Sortable keys of all elements, and the largest key up to a whole run."""
        b, n, stride, key = self.b, self.sort.length, self.sort.source_stride, self.layout.key
        lanes = self.target.lanes(key.bits) if stride == 1 else 1
        whole = n // lanes * lanes
        for start, stop, step in ((0, whole, lanes), (whole, n, 1)):
            if start < stop:
                with b.loop(start, stop, step) as turn:
                    at = turn.index if stride == 1 else b.mul(turn.index, b.const(stride, _I64))
                    b.store(self._key(b.load(b.offset(source, at, key), key, step)), b.offset(keys, turn.index, key))
        with b.loop(n, -(-n // _RUN) * _RUN) as turn:
            b.store(b.const(key.max, key), b.offset(keys, turn.index, key))

    def _key(self, bits: Value) -> Value:
        b, key, dtype = self.b, self.layout.key, self.sort.dtype
        if dtype.kind == "f":
            size = b.and_(bits, b.const(key.max, key, bits.lanes))
            infinity = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF0 << 48}[dtype.name]
            ordered = b.select(b.cmp("lt", bits, b.zero(bits)), b.sub(b.zero(bits), size), size)  # -0.0 becomes 0
            bits = b.select(b.cmp("gt", size, b.const(infinity, key, bits.lanes)), b.const(key.max, key, bits.lanes), ordered)
        elif dtype.kind in "ub":
            bits = b.xor(bits, b.const(key.min, key, bits.lanes))
        return b.not_(bits) if self.sort.descending else bits

    # -- runs and merges -------------------------------------------------------------------
    def _rank_runs(self, keys: Value, sorted_keys: Value, positions: Value) -> None:
        b, key, position = self.b, self.layout.key, self.layout.position
        ids = b.lane_ids(_I64, _RUN) if key.bits == 64 else b.lane_ids(key, _RUN)
        with b.loop(0, self.sort.length, _RUN) as run:
            start = b.offset(keys, run.index, key)
            row = b.load(start, key, _RUN)
            with b.loop(0, _RUN) as turn:
                mine = b.load(b.offset(start, turn.index, key), key)
                equal_before = b.and_(b.cmp("eq", row, mine), b.cmp("lt", ids, b.cast(turn.index, key)))
                before = b.or_(b.cmp("lt", row, mine), equal_before)
                word = b.emit(f"bitcast {before!r} to i{_RUN}", dt.uint16)
                rank = b.cast(b.intrinsic(f"llvm.ctpop.i{_RUN}", (word,), dt.uint16), _I64)
                place = b.add(run.index, rank)
                b.store(mine, b.offset(sorted_keys, place, key))
                b.store(b.cast(b.add(run.index, turn.index), position), b.offset(positions, place, position))

    def _merge_runs(self, buffers: list[Value]) -> Value:
        """Positions in order; ``buffers``: keys and room for keys, positions and room for positions."""
        b, n = self.b, self.sort.length
        levels = max(0, (n - 1) // _RUN).bit_length()
        if not levels:
            return buffers[2]
        with b.loop(0, levels, 1, [b.const(_RUN, _I64), *buffers]) as level:
            width, keys, room, positions, positions_room = level.values
            pair = b.shl(width, 1)
            with b.loop(0, n, pair) as turn:
                self._merge(turn.index, width, (keys, room, positions, positions_room))
            level.next = [pair, room, keys, positions_room, positions]
        return level.results[3]

    def _merge(self, start: Value, width: Value, buffers: tuple[Value, Value, Value, Value]) -> None:
        b, key, position = self.b, self.layout.key, self.layout.position
        keys, room, positions, positions_room = buffers
        n, one = b.const(self.sort.length, _I64), b.const(1, _I64)
        middle = b.min(b.add(start, width), n)
        stop = b.min(b.add(middle, width), n)
        with b.loop(start, stop, 1, [start, middle]) as turn:
            left, right = turn.values
            low, high = (b.load(b.offset(keys, k, key), key) for k in (left, right))
            first = b.or_(b.cmp("ge", right, stop), b.cmp("le", low, high))
            first = b.and_(b.cmp("lt", left, middle), first)
            chosen = b.load(b.offset(positions, b.select(first, left, right), position), position)
            b.store(b.select(first, low, high), b.offset(room, turn.index, key))
            b.store(chosen, b.offset(positions_room, turn.index, position))
            step = b.cast(first, _I64)
            turn.next = [b.add(left, step), b.add(right, b.sub(one, step))]

    def _write(self, positions: Value, target: Value) -> None:
        b, n, stride, position = self.b, self.sort.length, self.sort.target_stride, self.layout.position
        lanes = self.target.lanes(64) if stride == 1 else 1
        whole = n // lanes * lanes
        for start, stop, step in ((0, whole, lanes), (whole, n, 1)):
            if start < stop:
                with b.loop(start, stop, step) as turn:
                    at = turn.index if stride == 1 else b.mul(turn.index, b.const(stride, _I64))
                    value = b.cast(b.load(b.offset(positions, turn.index, position), position, step), _I64)
                    b.store(value, b.offset(target, at, _I64))
