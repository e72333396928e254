"""Copies of operand blocks in the order in which the micro-kernel reads them, converted on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.convert import convert
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm.control import either, loop
from insitu.codegen.target import LINE

DType = dt.DType
i64 = dt.int64


#: Vectors copied in a turn.
_COPIED = 4


def odd_lines(elements: int, itemsize: int) -> int:
    """At least so many elements, an odd number of lines of the cache: rows so far apart meet in no set of it."""
    line = LINE // itemsize
    return (-(-elements // line) | 1) * line


def read(b: Emitter, pointer: Value, dtype: DType, to: DType, lanes: int = 1, mask: Value | None = None) -> Value:
    """Elements of a memory type as values of the accumulation type."""
    memory = dt.uint16 if dtype.kind == "f" and dtype.bits == 16 else dtype
    return convert(b, b.bitcast(b.load(pointer, memory, lanes, mask), dtype), to)


def group(dtype: DType, lanes: int) -> int:
    """Elements of one 128-bit part of a vector, inside which shuffles are cheap."""
    return min(lanes, 2 if dtype.bits == 64 else 4)


def transpose(b: Emitter, load: Callable[[int], Value | None], dtype: DType, lanes: int) -> list[Value]:
    """Turn ``lanes`` rows of ``group`` elements into ``group`` vectors whose lane r is row r's element.

    Rows r, r + group, r + 2*group, ... are joined into one vector while they are loaded, so that only
    shuffles inside 128 bits remain. ``load`` gives a row, or None for one whose value does not matter.
    """
    width = group(dtype, lanes)
    joined = [join(b, [load(g * width + w) for g in range(lanes // width)], dtype, width) for w in range(width)]
    return turned(b, joined, lanes, width)


def turned(b: Emitter, joined: Sequence[Value], lanes: int, width: int) -> list[Value]:
    """Transpose inside each 128 bits."""
    if width == 1:
        return list(joined)
    low, high = ([b.shuffle(x, y, _mix(lanes, width, half)) for x, y in zip(joined[::2], joined[1::2], strict=True)] for half in (0, 1))
    if width == 2:
        return [*low, *high]
    return [b.shuffle(x, y, _mix_pairs(lanes, half)) for x, y in (low, high) for half in (0, 1)]


def join(b: Emitter, parts: Sequence[Value | None], dtype: DType, width: int) -> Value:
    """The parts side by side as one vector (their number is a power of two)."""
    values = [Value("poison", dtype, width) if p is None else p for p in parts]
    while len(values) > 1:
        lanes = values[0].lanes
        values = [_pair(b, x, y, lanes) for x, y in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _pair(b: Emitter, x: Value, y: Value, lanes: int) -> Value:
    if lanes > 1:
        return b.shuffle(x, y, range(2 * lanes))
    return b.insert(b.insert(Value("poison", x.dtype, 2), x, 0), y, 1)


def _mix(lanes: int, width: int, half: int) -> list[int]:
    """In each group: element of x, element of y, next of x, next of y, from its lower or upper half."""
    return [g + half * (width // 2) + k // 2 + (k % 2) * lanes for g in range(0, lanes, width) for k in range(width)]


def _mix_pairs(lanes: int, half: int) -> list[int]:
    """In each group of four: two elements of x, then two of y, from the lower or upper half."""
    return [g + half * 2 + k % 2 + (k // 2) * lanes for g in range(0, lanes, 4) for k in range(4)]


def copy_row(b: Emitter, source: Value, target: Value, length: Value, dtype: DType, to: DType, lanes: int) -> None:
    """Copy ``length`` (one or more) contiguous elements; the last vector overlaps the one before."""
    with either(b, b.cmp("ge", length, b.const(lanes, i64))) as otherwise:
        last, whole = b.sub(length, b.const(lanes, i64)), b.and_(length, b.const(-_COPIED * lanes, i64))
        for first, stop, count in ((b.const(0, i64), whole, _COPIED), (whole, length, 1)):
            with loop(b, first, stop, count * lanes) as turn:
                at = turn.index if count > 1 else b.min(turn.index, last)
                line, place = b.offset(source, at, dtype), b.offset(target, at, to)
                for n in range(count):
                    b.store(read(b, b.offset(line, n * lanes, dtype), dtype, to, lanes), b.offset(place, n * lanes, to))
        otherwise()
        if b.target.masks and lanes > 1:
            some = below(b, length, lanes)
            b.store(read(b, source, dtype, to, lanes, some), target, some)
        else:
            with loop(b, 0, length, 1) as turn:
                b.store(read(b, b.offset(source, turn.index, dtype), dtype, to), b.offset(target, turn.index, to))


#: Where a row starts: two distances to be added, so that rows share pointers and registers.
Step = tuple[Value, Value]


def steps(b: Emitter, leading: Value, dtype: DType, count: int) -> list[Step]:
    """Where each of ``count`` rows starts that are ``leading`` elements apart: few pointers for the rows of a group, few distances of groups."""
    width = group(dtype, count)
    near, far = ([b.mul(leading, b.const(r, i64)) for r in some] for some in (range(width), range(0, count, width)))
    return [(near[r % width], far[r // width]) for r in range(count)]


def rows(b: Emitter, line: Value, apart: Sequence[Step | None], dtype: DType) -> list[Value | None]:
    """Pointers into the rows whose first one is at ``line``."""
    pointers = {near: b.offset(line, near, dtype) for near in dict(step for step in apart if step)}
    return [b.offset(pointers[step[0]], step[1], dtype) if step else None for step in apart]


def turn_columns(
    b: Emitter, start: Value, apart: Sequence[Step | None], target: Value, pitch: int | Value, length: Value, dtype: DType, to: DType
) -> None:
    """Write column c of some rows as a vector to ``target + c*pitch``; the first row is at ``start``, and each has ``length`` elements.

    What is written where there is no row does not matter, as long as columns after it are written later.
    """
    lanes, step = len(apart), b.const(pitch, i64) if isinstance(pitch, int) else pitch
    width = group(to, lanes)
    with either(b, b.cmp("ge", length, b.const(width, i64))) as otherwise:
        last = b.sub(length, b.const(width, i64))
        with loop(b, 0, length, width) as turn:
            at = b.min(turn.index, last)
            places = rows(b, b.offset(start, at, dtype), apart, dtype)
            vectors = transpose(b, lambda r: None if (row := places[r]) is None else read(b, row, dtype, to, width), to, lanes)
            place = b.offset(target, b.mul(at, step), to)
            for c, vector in enumerate(vectors):
                b.store(vector, b.offset(place, c * pitch if isinstance(pitch, int) else b.mul(pitch, b.const(c, i64)), to))
        otherwise()
        with loop(b, 0, length, 1) as turn:
            place = b.offset(target, b.mul(turn.index, step), to)
            for r, line in enumerate(rows(b, b.offset(start, turn.index, dtype), apart, dtype)):
                if line is not None:
                    b.store(read(b, line, dtype, to), b.offset(place, r, to))
