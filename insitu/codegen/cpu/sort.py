"""Stable argsort: keys in sortable integers, then runs of 16 by rank and merges, or a pass for each byte.

No branch depends on a key. For each unit:

1. Every key becomes a signed integer that orders as the key does: NaN is the largest (all NaN are
   equal), the two zeros are equal, and for a descending sort all bits are flipped, which puts NaN first.
2. In runs of 16, an element's place is the number of elements below it, plus the equal ones before it.
3. Neighbouring runs are merged, the left one winning ties, until one is left.

Many elements would take longer to merge: they are put in the order of their keys' last byte, of the one before, and so on, those with
equal bytes as they are. A byte that is the same in all keys needs no pass.

Where few positions of many are wanted, the first elements are sorted so, and of the others only those that come before the last one
wanted, whenever enough of them have been met.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

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
#: Fewest elements that are sorted at a time where few are wanted, and how many times as many there must be.
_ROOM, _MANY = 256, 4
#: Nanoseconds per element and merge or byte, roughly, and of an element that is only looked at.
_MERGE_TIME, _LOOK_TIME = 2.5, 0.5
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
        The code; a thread needs about ``2 * length * (itemsize + 4)`` bytes of scratch, less if few positions are wanted.

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
    room, layout = _room(sort), _Scratch.of(sort)
    time = max(1, room) * _MERGE_TIME * (2 + (layout.passes or _merges(room))) + (sort.length - room) * _LOOK_TIME
    code = Code(key, symbol, lambda: _Sort(kernel, sort, target).module(symbol), target)
    return Generated(code, (), kernel.units, max(1, int(_GRAIN_TIME / time)), layout.total)


def _room(sort: nest.ArgSort) -> int:
    """How many elements are sorted at a time: all, or at least twice as many as are wanted."""
    room = max(_ROOM, 1 << (2 * sort.kept - 1).bit_length())
    return room if sort.kept and _MANY * room <= sort.length else sort.length


def _merges(room: int) -> int:
    """How many times runs are merged."""
    return max(0, (room - 1) // _RUN).bit_length()


@dataclasses.dataclass(frozen=True)
class _Scratch:
    """Where keys and positions are in a thread's memory, twice each, and whose numbers they are (bytes).

    Where keys are sorted byte by byte, ``passes`` says how many they have, and counts of them come last; else it is 0.
    """

    key: DType
    position: DType
    places: tuple[int, ...]
    total: int
    passes: int

    @staticmethod
    def of(sort: nest.ArgSort) -> _Scratch:
        key = dt.from_kind("i", sort.dtype.bits)
        position = dt.int32 if sort.length < 1 << 31 else _I64
        room = _room(sort)
        each = -(-(room + _RUN) // 64) * 64  # a merge may look at one key past the end
        ends = [0]
        for d in (key, key, *[position] * (4 if room < sort.length else 2)):
            ends.append(ends[-1] + each * d.itemsize)
        size = key.itemsize if _merges(room) > key.itemsize // 2 + 1 else 0  # a merge takes about as long as two bytes
        return _Scratch(key, position, tuple(ends), ends[-1] + size * 256 * _I64.itemsize, size)


class _Sort:
    def __init__(self, kernel: nest.Kernel, sort: nest.ArgSort, target: Target) -> None:
        self.kernel, self.sort, self.target = kernel, sort, target
        self.b = Emitter(target)
        self.layout, self.n = _Scratch.of(sort), _room(sort)

    def module(self, symbol: str) -> str:
        """The LLVM module with the kernel's function."""
        b, sort = self.b, self.sort
        with b.function(symbol, PARAMETERS) as (args, begin, end, scratch, _):
            buffers = pointers(b, self.kernel, args, scratch)
            areas = [b.offset(scratch, at, dt.uint8) for at in self.layout.places]
            cells = b.alloca(_I64, 2)
            with b.loop(begin, end) as unit:
                scope = ScalarEmitter(b, buffers, {self.kernel.unit: unit.index})
                memory = dt.from_kind("u", sort.dtype.bits)
                source = b.offset(buffers[sort.source], scope.value(sort.source_base), memory)
                target = b.offset(buffers[sort.target], scope.value(sort.target_base), _I64)
                self._read(source, areas[0])
                if self.n == sort.length:
                    self._write(self._sorted(areas)[1], target)
                else:
                    self._select(source, areas, cells)
                    self._write(areas[4], target)
        return b.module()

    def _sorted(self, areas: list[Value]) -> tuple[Value, Value]:
        """The keys in the first area in order, and their numbers."""
        keys, other_keys, numbers, other_numbers = areas[:4]
        if self.layout.passes:
            return self._by_bytes([keys, other_keys, numbers, other_numbers], areas[-1])
        self._rank_runs(keys, other_keys, other_numbers)
        return self._merge_runs([other_keys, keys, other_numbers, numbers])

    # -- few of many -----------------------------------------------------------------------
    def _select(self, source: Value, areas: list[Value], cells: Value) -> None:
        """The positions of the first elements in order, into the fifth area; of those read already ``n`` keys are there.

        The cells hold how many keys there are, and the last one that is wanted.
        """
        b, key, position = self.b, self.layout.key, self.layout.position
        keys, positions = areas[0], areas[4]
        count, limit = cells, b.offset(cells, 1, _I64)
        with b.loop(0, self.n) as turn:
            b.store(b.cast(turn.index, position), b.offset(positions, turn.index, position))
        b.store(b.const(self.n, _I64), count)
        self._keep(areas, cells)
        for number, at, lanes in self._pieces(self.n, self.sort.length, self.sort.source_stride, key):
            found = self._key(b.load(b.offset(source, at, key), key, lanes))
            word = self._word(b.cmp("lt", found, b.splat(b.load(limit, key), lanes)))
            with b.when(b.cmp("ne", word, b.zero(word))):
                old = b.load(count, _I64)
                new = b.add(old, b.intrinsic("llvm.ctpop.i64", (word,), _I64))
                with b.loop(old, new, 1, [word]) as place:
                    (left,) = place.values
                    lane = b.intrinsic("llvm.cttz.i64", (left, b.const(True, dt.bool_)), _I64)
                    b.store(b.extract(found, lane), b.offset(keys, place.index, key))
                    b.store(b.cast(b.add(number, lane), position), b.offset(positions, place.index, position))
                    place.next = [b.and_(left, b.sub(left, b.const(1, _I64)))]
                b.store(new, count)
                with b.when(b.cmp("gt", new, b.const(self.n - lanes, _I64))):
                    self._keep(areas, cells)
        self._keep(areas, cells)

    def _word(self, mask: Value) -> Value:
        """A bit for each lane."""
        b, lanes = self.b, mask.lanes
        bits = b.emit(f"bitcast {mask!r} to i{lanes}", _I64)
        return bits if lanes == 64 else b.emit(f"zext i{lanes} {bits.text} to i64", _I64)

    def _keep(self, areas: list[Value], cells: Value) -> None:
        """Sort what has been met, and keep what is wanted of it."""
        b, key, position, kept = self.b, self.layout.key, self.layout.position, self.sort.kept
        keys, positions, moved = areas[0], areas[4], areas[5]
        with b.loop(b.load(cells, _I64), self.n) as turn:
            b.store(b.const(key.max, key), b.offset(keys, turn.index, key))
        in_order, numbers = self._sorted(areas)
        with b.loop(0, kept) as turn:
            number = b.cast(b.load(b.offset(numbers, turn.index, position), position), _I64)
            b.store(b.load(b.offset(positions, number, position), position), b.offset(moved, turn.index, position))
        with b.loop(0, kept) as turn:
            b.store(b.load(b.offset(moved, turn.index, position), position), b.offset(positions, turn.index, position))
            b.store(b.load(b.offset(in_order, turn.index, key), key), b.offset(keys, turn.index, key))
        b.store(b.load(b.offset(keys, kept - 1, key), key), b.offset(cells, 1, _I64))
        b.store(b.const(kept, _I64), cells)

    # -- keys ------------------------------------------------------------------------------
    def _read(self, source: Value, keys: Value) -> None:
        """Sortable keys of as many elements as are sorted, and the largest key up to a whole run."""
        b, n, key = self.b, self.n, self.layout.key
        for number, at, lanes in self._pieces(0, n, self.sort.source_stride, key):
            b.store(self._key(b.load(b.offset(source, at, key), key, lanes)), b.offset(keys, number, key))
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
        with b.loop(0, self.n, _RUN) as run:
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

    def _merge_runs(self, buffers: list[Value]) -> tuple[Value, Value]:
        """Keys and positions in order; ``buffers``: keys and room for keys, positions and room for positions."""
        b, n = self.b, self.n
        levels = _merges(n)
        if not levels:
            return buffers[0], buffers[2]
        with b.loop(0, levels, 1, [b.const(_RUN, _I64), *buffers]) as level:
            width, keys, room, positions, positions_room = level.values
            pair = b.shl(width, 1)
            with b.loop(0, n, pair) as turn:
                self._merge(turn.index, width, (keys, room, positions, positions_room))
            level.next = [pair, room, keys, positions_room, positions]
        return level.results[1], level.results[3]

    def _merge(self, start: Value, width: Value, buffers: tuple[Value, Value, Value, Value]) -> None:
        b, key, position = self.b, self.layout.key, self.layout.position
        keys, room, positions, positions_room = buffers
        n, one = b.const(self.n, _I64), b.const(1, _I64)
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

    # -- bytes -----------------------------------------------------------------------------
    def _by_bytes(self, buffers: list[Value], counts: Value) -> tuple[Value, Value]:
        """As `_merge_runs`, from keys in the order of their positions; ``counts``: room for 256 numbers for each byte of a key."""
        b, n, key, position = self.b, self.b.const(self.n, _I64), self.layout.key, self.layout.position
        keys, _, positions, _ = buffers
        with b.loop(0, 256 * self.layout.passes) as turn:
            b.store(b.const(0, _I64), b.offset(counts, turn.index, _I64))
        with b.loop(0, n) as turn:
            b.store(b.cast(turn.index, position), b.offset(positions, turn.index, position))
            for k in range(self.layout.passes):
                value = self._byte(b.offset(keys, turn.index, key), b.const(k, _I64))
                place = b.offset(counts, b.add(value, b.const(256 * k, _I64)), _I64)
                b.store(b.add(b.load(place, _I64), b.const(1, _I64)), place)
        with b.loop(0, self.layout.passes, 1, buffers) as number:
            keys, room, positions, positions_room = number.values
            places = b.offset(counts, b.shl(number.index, 8), _I64)
            with b.loop(0, 256, 1, [b.const(0, _I64)] * 2) as turn:
                before, most = turn.values
                place = b.offset(places, turn.index, _I64)
                count = b.load(place, _I64)
                b.store(before, place)
                turn.next = [b.add(before, count), b.max(most, count)]
            moves = b.cmp("lt", turn.results[1], n)
            with b.loop(0, b.select(moves, n, b.const(0, _I64))) as turn:
                start = b.offset(keys, turn.index, key)
                place = b.offset(places, self._byte(start, number.index), _I64)
                to = b.load(place, _I64)
                b.store(b.add(to, b.const(1, _I64)), place)
                b.store(b.load(start, key), b.offset(room, to, key))
                b.store(b.load(b.offset(positions, turn.index, position), position), b.offset(positions_room, to, position))
            pairs = ((room, keys), (keys, room), (positions_room, positions), (positions, positions_room))
            number.next = [b.select(moves, moved, stayed) for moved, stayed in pairs]
        return number.results[0], number.results[2]

    def _byte(self, key: Value, number: Value) -> Value:
        """A byte of a key, the last one first; that with the sign so that negative keys come before others."""
        b = self.b
        value = b.cast(b.load(b.offset(key, number, dt.uint8), dt.uint8), _I64)
        signed = b.cmp("eq", number, b.const(self.layout.passes - 1, _I64))
        return b.xor(value, b.select(signed, b.const(128, _I64), b.const(0, _I64)))

    def _write(self, positions: Value, target: Value) -> None:
        b, position = self.b, self.layout.position
        for number, at, lanes in self._pieces(0, self.sort.kept, self.sort.target_stride, _I64):
            b.store(b.cast(b.load(b.offset(positions, number, position), position, lanes), _I64), b.offset(target, at, _I64))

    def _pieces(self, first: int, stop: int, stride: int, dtype: DType) -> Iterator[tuple[Value, Value, int]]:
        """Loops over elements: the first one's number and place in memory, and how many there are: whole vectors of neighbours, then one by one."""
        b, lanes = self.b, self.target.lanes(dtype.bits) if stride == 1 else 1
        whole = first + (stop - first) // lanes * lanes
        for start, end, step in ((first, whole, lanes), (whole, stop, 1)):
            if start < end:
                with b.loop(start, end, step) as turn:
                    yield turn.index, turn.index if stride == 1 else b.mul(turn.index, b.const(stride, _I64)), step
