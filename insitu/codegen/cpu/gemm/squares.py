"""Convolutions by Winograd's algorithm: squares of a grid are mixed, multiplied matrix by matrix, and the sums mixed again.

Some squares go through all steps at once, so that what is mixed stays in the caches. The sums are those of `insitu.codegen.nest.Squares`
and `Contract` however they are grouped. A convolution takes a block of squares and all of k, its gradient by the kernel one row of
mixed elements and a block of k, which there runs over squares.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu.access import advance
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import micro, pack
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.epilogue import EpilogueCalls, Span, touched
from insitu.codegen.cpu.gemm.schedule import GRAIN_OPS, Schedule, Side, Variant, others, tiles_of, uneven, unusual
from insitu.codegen.cpu.scalar import ScalarEmitter
from insitu.codegen.nest import K_BLOCK, Contract, Matrix
from insitu.codegen.target import LINE, Target
from insitu.errors import InternalError

DType = dt.DType
i64 = dt.int64

_SIDE = ("grid_y", "grid_x", "pixel", "step", "before_y", "before_x")
#: Runtime words of the loops; the first two are numbers of buffers.
WORDS = (
    "row_buffer", "lane_buffer",
    "squares", "tall", "wide", *[f"{name}_{side}" for side in "ab" for name in _SIDE], "out_y", "out_x", "parts", "block", "part", "columns",
    "k", "lane_leading", "matrix", "pitch", "seen_step", "deep_step", "given_at", "given_step", "given_pitch", "sums_at", "sums_step",
    "sliver_step", "sums_pitch", "edge_at", "made_at", "ahead",
)  # fmt: skip
#: Fewest and most squares of a block, and the bytes of a mixed kernel that one square more should share.
FEW, MANY, KERNEL_BYTES = 28, 224, 75_000
#: Squares whose outputs are put together at a time.
PIECE = 8
#: Bytes of a mixed kernel from which on it comes from afar each time, so that tiles fetch what later ones read.
_FAR_KERNEL = 1 << 20
#: The usual tiles (grids are often multiples of 7), and that of gradients.
USUAL, GRADIENT = ((14, 2), (6, 4)), (6, 4)


@dataclasses.dataclass(frozen=True)
class Plan(Schedule):
    """A schedule whose units are ``count`` blocks of ``work`` multiply-adds each.

    Of a convolution ``run`` is the squares of a block, and ``panels_per_block`` the tiles of outputs of a unit; of a gradient ``run`` is
    the channels of a unit.
    """

    count: int = 0
    work: int = 0

    @property
    def units(self) -> int:
        return self.count

    @property
    def shared(self) -> float:
        return 0

    def grain(self, epilogue: int) -> int:
        return max(1, min(-(-GRAIN_OPS * self.variant.lanes // (16 * max(1, self.work))), self.count))


def plan(c: Contract, target: Target) -> Plan:
    """How a contraction of mixed squares is run on one CPU."""
    if isinstance(c.b, nest.Squares):
        return _plan_gradient(c, c.b, target)
    shown, lanes = c.a, target.lanes(32)
    if not isinstance(shown, nest.Squares) or c.outputs is None:
        raise InternalError("no squares")
    total, matrices, width = shown.items * math.prod(shown.count), len(shown.matrix) ** 2, c.b.panel or c.n
    wanted = max(FEW, min(matrices * c.k * c.n * c.dtype.itemsize // KERNEL_BYTES, MANY))
    best, least = None, math.inf
    for rows, vectors in dict.fromkeys((*tiles_of(target), *USUAL)):
        columns = vectors * lanes
        if rows * vectors + vectors + 1 > target.registers or c.n % columns or (width % columns and columns % width):
            continue
        slivers, tiles = -(-total // rows), c.n // columns
        block = -(-slivers // -(-slivers // max(1, wanted // rows))) * rows if slivers else rows
        for parts in [p for p in (1, 2, 4) if tiles % p == 0]:
            cost = _tile(rows, vectors, c.k, target) * tiles * slivers * uneven(-(-total // block) * parts) * (1 + 0.02 * parts)
            cost *= unusual(rows, vectors, USUAL)
            if cost < least:
                best, least = (rows, vectors, parts, block), cost
    if best is None:
        raise InternalError(f"no tile fits {c.n} outputs in panels of {width}")
    rows, vectors, parts, block = best
    variant = Variant(
        False, rows, vectors, lanes, False, False, False, fetch=touched(c), squares=(shown.matrix, c.outputs.matrix),
        panel=c.b.panel,
    )  # fmt: skip
    lane_side = Side(c.b.buffer, c.b.dtype, c.b.batch_stride, 1, c.b.row_stride, panel=c.b.panel)
    tiles, blocks = c.n // variant.columns, -(-total // block)
    work = matrices * block * c.k * c.n // parts
    return Plan(
        variant, Side(shown.buffer, shown.dtype, 0, 1, 1), lane_side, 1, c.m, c.n, c.k, block // rows, tiles, tiles // parts, blocks, block,
        count=blocks * parts if c.n else 0, work=work,
    )  # fmt: skip


def _plan_gradient(c: Contract, given: nest.Squares, target: Target) -> Plan:
    shown, lanes = c.a, target.lanes(32)
    if not isinstance(shown, nest.Squares):
        raise InternalError("no squares")
    best, least = None, math.inf
    side = len(shown.matrix)
    for rows, vectors in [(r, v) for r in range(4, 15) for v in (1, 2, 3, 4)]:
        if rows * vectors + vectors + 1 > target.registers or c.n % (vectors * lanes):
            continue
        for parts in [p for p in (1, 2, 4, 8) if c.m % (p * lanes) == 0 and c.m >= p * rows]:
            slivers, tiles = -(-c.m // (parts * rows)), c.n // (vectors * lanes)
            products = side * slivers * tiles * _tile(rows, vectors, min(c.k, K_BLOCK), target) / min(max(1, c.k), K_BLOCK)
            mixing = (c.m // parts + c.n) / lanes * 3 * side + 60
            cost = (products + mixing) * parts * uneven(side * parts) * unusual(rows, vectors, (GRADIENT,))
            if cost < least:
                best, least = (rows, vectors, parts), cost
    if best is None:
        raise InternalError(f"no tile fits a gradient of {c.m}x{c.n}")
    rows, vectors, parts = best
    variant = Variant(False, rows, vectors, lanes, False, False, False, fetch=touched(c), squares=(shown.matrix, given.matrix), gradient=True)
    sides = [Side(o.buffer, o.dtype, 0, 1, 1) for o in (shown, given)]
    part, tiles = c.m // parts, c.n // variant.columns
    return Plan(
        variant, sides[0], sides[1], c.batch, c.m, c.n, c.k, -(-part // rows), tiles, tiles, parts, part,
        count=side * parts if c.n else 0, work=side * part * c.n * c.k,
    )  # fmt: skip


def _tile(rows: int, vectors: int, k: int, target: Target) -> float:
    """Cycles of one tile, roughly."""
    step = max(rows * vectors * 0.5, (rows + vectors) * 0.5, 4.5) + 0.4 + others(rows, vectors, False, target) / 2
    return k * step + 25 + 2 * rows * vectors


def placed(s: Schedule, c: Contract) -> tuple[dict[str, int], int]:
    """The values of `WORDS` and the bytes of scratch."""
    v, shown = s.variant, c.a
    if not isinstance(shown, nest.Squares):
        raise InternalError("no squares")
    size, line = s.row_side.dtype.itemsize, LINE // s.row_side.dtype.itemsize
    side, width = len(shown.matrix), len(shown.matrix[0])
    words = {"squares": shown.items * math.prod(shown.count), "tall": shown.count[0], "wide": shown.count[1], "columns": s.n, "k": s.k}
    for name, o in zip("ab", (c.a, c.b), strict=True):
        if isinstance(o, nest.Squares):
            words |= {f"{word}_{name}": value for word, value in zip(_SIDE, (*o.grid, o.pixel, o.step, *o.before), strict=True)}
    if isinstance(c.b, nest.Squares):
        depth, pitch, given_pitch, sums_pitch = min(s.k, K_BLOCK), *[pack.odd_lines(n, size) for n in (s.run, s.n, s.n)]
        words |= {"parts": s.m // s.run, "part": s.run, "seen_step": depth * pitch + line, "lane_leading": pitch,
                  "given_pitch": given_pitch, "given_step": depth * given_pitch + line, "sums_pitch": sums_pitch,
                  "sliver_step": v.rows * sums_pitch if s.k > K_BLOCK else 0}  # fmt: skip
        words["sums_step"] = s.slivers * words["sliver_step"]
        words["given_at"] = words["seen_step"] * side
        words["sums_at"] = words["given_at"] + words["given_step"] * side
        words["edge_at"] = words["sums_at"] + max(words["sums_step"] * side, v.rows * sums_pitch)
        end = words["edge_at"] + max(width * width * s.run, 4 * s.n)
    else:
        positions = c.outputs.positions if c.outputs else (0, 0)
        pitch, sums_pitch = pack.odd_lines(min(s.k, K_BLOCK), size), pack.odd_lines(s.panels_per_block * v.columns, size)
        words |= {"out_y": positions[0], "out_x": positions[1], "parts": s.panels // s.panels_per_block, "block": s.run,
                  "part": s.panels_per_block * v.columns, "lane_leading": s.lane_side.leading, "matrix": s.lane_side.batch_stride,
                  "pitch": pitch, "seen_step": s.run * pitch + line, "sums_pitch": sums_pitch,
                  "sums_step": s.run * sums_pitch + 2 * line}  # fmt: skip
        words["deep_step"] = words["seen_step"] * side * side
        words["sums_at"] = words["deep_step"] * max(1, -(-s.k // K_BLOCK))
        words["edge_at"] = words["sums_at"] + words["sums_step"] * side * side
        words["ahead"] = 1 << 16 if side * side * s.k * s.n * size > _FAR_KERNEL else 0
        words["made_at"] = words["edge_at"] + width * width * s.k
        end = words["made_at"] + 4 * PIECE * sums_pitch
    return {name: words.get(name, 0) for name in WORDS[2:]}, (end + v.lanes) * size


@dataclasses.dataclass(frozen=True)
class _Shown:
    """A grid in memory from some channel on, so many of which are seen; ``lines``: the first and last line of its squares that matter."""

    start: Value
    name: str
    size: int
    channels: Value
    lines: tuple[Value, Value]


@dataclasses.dataclass(frozen=True)
class _Line:
    """Squares beside one another, ``low`` to ``high``: the item, the line's number in it, its first square of all."""

    item: Value
    y: Value
    start: Value
    low: Value
    high: Value


@dataclasses.dataclass(frozen=True)
class _Square:
    """A square's number, where its channels lie, and the steps from line to line and from pixel to pixel."""

    number: Value
    start: Value
    down: Value
    across: Value


class _Mixing:
    """What both kinds of loops are made of."""

    def __init__(
        self, b: Emitter, s: Schedule, dtype: DType, words: Mapping[str, Value], args: Value, scratch: Value, epilogue: EpilogueCalls
    ) -> None:
        if s.variant.squares is None:
            raise InternalError("no squares")
        self.b, self.v, self.dtype, self.w, self.epilogue = b, s.variant, dtype, words, epilogue
        self.first, self.second = s.variant.squares
        self.row_start, self.lane_start = (b.pointer(args, words[name]) for name in ("row_buffer", "lane_buffer"))
        self.seen = scratch
        self.given, self.sums, self.edge, self.made = (
            b.offset(scratch, words[name], dtype) for name in ("given_at", "sums_at", "edge_at", "made_at")
        )

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def _at(self, pointer: Value, *terms: tuple[Value | int, Value | int]) -> Value:
        """The pointer moved by products of numbers and steps."""
        b = self.b
        for number, step in terms:
            x, y = (self._c(v) if isinstance(v, int) else v for v in (number, step))
            pointer = b.offset(pointer, b.mul(x, y), self.dtype)
        return pointer

    def _all(self, *conditions: Value) -> Value:
        made = conditions[0]
        for other in conditions[1:]:
            made = self.b.and_(made, other)
        return made

    @contextlib.contextmanager
    def _blocks(self) -> Iterator[tuple[Value, Value, Value]]:
        """All blocks of k, one at least: number, first k, length."""
        b, k = self.b, self.w["k"]
        with loop(b, 0, b.max(b.div(b.add(k, self._c(K_BLOCK - 1)), self._c(K_BLOCK)), self._c(1))) as block:
            start = b.mul(block.index, self._c(K_BLOCK))
            yield block.index, start, b.min(b.sub(k, start), self._c(K_BLOCK))

    @contextlib.contextmanager
    def _lines(self, first: Value, stop: Value) -> Iterator[_Line]:
        """The lines of squares ``first`` to ``stop``."""
        b, w = self.b, self.w
        with loop(b, b.div(first, w["wide"]), b.add(b.div(b.sub(stop, self._c(1)), w["wide"]), self._c(1))) as line:
            item, start = b.div(line.index, w["tall"]), b.mul(line.index, w["wide"])
            y = b.sub(line.index, b.mul(item, w["tall"]))
            yield _Line(item, y, start, b.max(first, start), b.min(stop, b.add(start, w["wide"])))

    @contextlib.contextmanager
    def _each(self, shown: _Shown, first: Value, stop: Value) -> Iterator[_Square]:
        """Squares ``first`` to ``stop`` of a grid; one that reaches over the edge is copied with zeros outside."""
        b, size = self.b, self._c(shown.size)
        tall, wide, pixel, step, before_y, before_x = (self.w[f"{name}_{shown.name}"] for name in _SIDE)
        with self._lines(first, stop) as line:
            top = b.sub(b.mul(line.y, step), before_y)
            whole = self._all(b.cmp("ge", top, self._c(0)), b.cmp("le", b.add(top, size), tall))
            begin = b.mul(b.add(b.mul(line.item, tall), top), wide)
            with loop(b, line.low, line.high) as square:
                left = b.sub(b.mul(b.sub(square.index, line.start), step), before_x)
                inside = self._all(whole, b.cmp("ge", left, self._c(0)), b.cmp("le", b.add(left, size), wide))
                here = advance(b, shown.start, b.mul(b.add(begin, left), pixel), self.dtype)
                with b.when(b.not_(inside)):
                    self._copy_edge(shown, here, top, left)
                down = b.select(inside, b.mul(wide, pixel), b.mul(size, shown.channels))
                across = b.select(inside, pixel, shown.channels)
                yield _Square(b.sub(square.index, first), b.select(inside, here, self.edge), down, across)

    def _copy_edge(self, shown: _Shown, source: Value, top: Value, left: Value) -> None:
        """Copy a square that reaches over the edge of its grid, with zeros outside."""
        b, lanes = self.b, self.v.lanes
        tall, wide, pixel = (self.w[f"{name}_{shown.name}"] for name in _SIDE[:3])
        low, high = shown.lines
        with loop(b, low, b.add(high, self._c(1))) as row, loop(b, 0, shown.size) as column:
            y, x = b.add(top, row.index), b.add(left, column.index)
            target = self._at(self.edge, (b.add(b.mul(row.index, self._c(shown.size)), column.index), shown.channels))
            here = advance(b, source, b.mul(b.add(b.mul(row.index, wide), column.index), pixel), self.dtype)
            exists = self._all(*[test for at, extent in ((y, tall), (x, wide)) for test in (b.cmp("ge", at, self._c(0)), b.cmp("lt", at, extent))])
            with b.when(exists), loop(b, 0, shown.channels, lanes) as vector:
                b.store(b.load(b.offset(here, vector.index, self.dtype), self.dtype, lanes), b.offset(target, vector.index, self.dtype))
            with b.when(b.not_(exists)), loop(b, 0, shown.channels, lanes) as vector:
                b.store(Value("zeroinitializer", self.dtype, lanes), b.offset(target, vector.index, self.dtype))

    def _mix(self, matrix: Matrix, source: Value, down: Value, across: Value, lines: range, put: Callable[[int, int, Value], None]) -> None:
        """Some lines of ``matrix @ x @ matrix.T`` of vectors whose rows lie ``down`` and columns ``across`` apart, one line after the other."""
        b, columns = self.b, range(len(matrix[0]))
        starts, far = [source], [self._c(0)]
        for _ in columns[1:]:
            starts.append(b.offset(starts[-1], down, self.dtype))
            far.append(b.add(far[-1], across))
        for i in lines:
            row = matrix[i]
            scope = ScalarEmitter(b, {}, {}, lanes=self.v.lanes)
            for column in columns:
                for k in [k for k, factor in enumerate(row) if factor]:
                    scope.refs[f"x{k}_{column}"] = b.load(b.offset(starts[k], far[column], self.dtype), self.dtype, self.v.lanes)
            once = [nest.weighted(row, lambda k, column=column: nest.ref(f"x{k}_{column}", self.dtype)) for column in columns]  # type: ignore[misc]
            for j, other in enumerate(matrix):
                put(i, j, scope.value(nest.weighted(other, once.__getitem__)))

    def _scattered(self, target: Value, step: Value) -> Callable[[int, int, Value], None]:
        """Store mixed elements one ``step`` apart, in order."""
        places = [target]

        def put(i: int, j: int, value: Value) -> None:
            self.b.store(value, places[-1])
            places.append(self.b.offset(places[-1], step, self.dtype))

        return put


class Squares(_Mixing):
    """Emits the loops of a convolution; a unit is a block of squares, or a part of its outputs."""

    def units(self, begin: Value, end: Value) -> None:
        """Units begin..end-1; those of one block of squares follow one another and share what is mixed."""
        b, w = self.b, self.w
        parts, size = w["parts"], len(self.first[0])
        shown = _Shown(self.row_start, "a", size, w["k"], (self._c(0), self._c(size - 1)))
        with loop(b, b.div(begin, parts), b.div(b.add(end, b.sub(parts, self._c(1))), parts)) as block:
            base = b.mul(block.index, parts)
            low, high = b.max(b.sub(begin, base), self._c(0)), b.min(b.sub(end, base), parts)
            first = b.mul(block.index, w["block"])
            stop = b.min(b.add(first, w["block"]), w["squares"])
            slivers = b.div(b.add(b.sub(stop, first), self._c(self.v.rows - 1)), self._c(self.v.rows))
            with self._each(shown, first, stop) as square:
                self._mixed(square)
            self._fill(b.sub(stop, first), b.mul(slivers, self._c(self.v.rows)))
            with loop(b, low, high) as part:
                n = b.mul(part.index, w["part"])
                width = b.min(w["part"], b.sub(w["columns"], n))
                self._multiply(first, stop, n, width, slivers)
                self._write(first, stop, n, width)

    def _mixed(self, square: _Square) -> None:
        """Mix all channels of a square."""
        b, w = self.b, self.w
        with self._blocks() as (number, channel, length):
            source, target = b.offset(square.start, channel, self.dtype), self._at(self.seen, (number, w["deep_step"]), (square.number, w["pitch"]))
            with loop(b, 0, length, self.v.lanes) as vector:
                put = self._scattered(b.offset(target, vector.index, self.dtype), w["seen_step"])
                self._mix(self.first, b.offset(source, vector.index, self.dtype), square.down, square.across, range(len(self.first)), put)

    def _fill(self, first: Value, stop: Value) -> None:
        """Fill up the last tile with zeros: numbers that happen to lie there could be slow."""
        b, w = self.b, self.w
        with self._blocks() as (number, _, length), loop(b, first, stop) as local, loop(b, 0, len(self.first) ** 2) as matrix:
            target = self._at(self.seen, (number, w["deep_step"]), (matrix.index, w["seen_step"]), (local.index, w["pitch"]))
            with loop(b, 0, length, self.v.lanes) as vector:
                b.store(Value("zeroinitializer", self.dtype, self.v.lanes), b.offset(target, vector.index, self.dtype))

    # -- the products ----------------------------------------------------------------------------
    def _multiply(self, first: Value, stop: Value, n: Value, width: Value, slivers: Value) -> None:
        b, w, v = self.b, self.w, self.v
        matrices = len(self.first) ** 2
        tiles = b.div(width, self._c(v.columns))
        touched = self._touched(first, stop, n, b.mul(b.mul(tiles, slivers), self._c(matrices)))
        apart = b.mul(w["k"], self._c(v.panel)) if 0 < v.panel < v.columns else None
        pace = b.div(w["ahead"], slivers)
        with loop(b, 0, matrices) as matrix:
            seen, kernel, sums = (
                self._at(start, (matrix.index, step))
                for start, step in ((self.seen, w["seen_step"]), (self.lane_start, w["matrix"]), (self.sums, w["sums_step"]))
            )
            with loop(b, 0, tiles) as tile:
                column = b.mul(tile.index, self._c(v.columns))
                lane_at, step = self._lanes(kernel, b.add(n, column))
                coming = self._next_lanes(matrix.index, n, column, width)
                number = b.mul(b.add(b.mul(matrix.index, tiles), tile.index), slivers)
                with loop(b, 0, slivers) as sliver:
                    rows_at = self._at(seen, (sliver.index, b.mul(w["pitch"], self._c(v.rows))))
                    place = self._at(b.offset(sums, column, self.dtype), (sliver.index, b.mul(w["sums_pitch"], self._c(v.rows))))
                    with self._blocks() as (block, k, length):
                        rows = micro.Rows(self._at(rows_at, (block, w["deep_step"])), (), 1, w["pitch"])
                        lanes = micro.Lanes(self._at(lane_at, (k, step)), step, None, v.panel, apart)
                        far = dataclasses.replace(lanes, start=self._at(coming, (k, step)))
                        fetched = micro.lanes_ahead(b, v, self.dtype, far, b.mul(sliver.index, length), pace)
                        made = micro.tile(b, v, self.dtype, rows, lanes, length, [touched(b.add(number, sliver.index)), fetched])
                        micro.store_tile(b, v, made, place, w["sums_pitch"], b.cmp("eq", block, self._c(0)))

    def _next_lanes(self, matrix: Value, n: Value, column: Value, width: Value) -> Value:
        """Where the tile after one at ``column`` finds its columns of the kernel; after the last one, the first."""
        b = self.b
        further, following = b.add(column, self._c(self.v.columns)), b.add(matrix, self._c(1))
        inside = b.cmp("lt", further, width)
        following = b.select(b.cmp("lt", following, self._c(len(self.first) ** 2)), following, self._c(0))
        kernel = self._at(self.lane_start, (b.select(inside, matrix, following), self.w["matrix"]))
        return self._lanes(kernel, b.add(n, b.select(inside, further, self._c(0))))[0]

    def _lanes(self, kernel: Value, n: Value) -> tuple[Value, int | Value]:
        """Where a tile finds its columns of the kernel, and the step from one k to the next."""
        b = self.b
        if not self.v.panel:
            return b.offset(kernel, n, self.dtype), self.w["lane_leading"]
        panel = b.div(n, self._c(self.v.panel))
        inside = b.sub(n, b.mul(panel, self._c(self.v.panel)))
        return self._at(b.offset(kernel, inside, self.dtype), (panel, b.mul(self.w["k"], self._c(self.v.panel)))), self.v.panel

    def _touched(self, first: Value, stop: Value, n: Value, count: Value) -> Callable[[Value], micro.Ahead]:
        """What each tile of a block, by its number of ``count``, fetches of what the epilogue reads and writes.

        Where squares lie side by side, to each quarter of one belongs an output.
        """
        b, w = self.b, self.w
        rows, length = b.shl(b.sub(stop, first), 2), b.min(w["k"], self._c(K_BLOCK))
        paces = []
        for start, step in self.epilogue.places(self._c(0), b.shl(first, 2), n):
            share = b.div(b.mul(rows, step), count)
            paces.append((start, share, micro.pace(b, share, length)))

        def of_tile(number: Value) -> micro.Ahead:
            here = [(b.offset(start, b.mul(number, share), dt.int8), pace) for start, share, pace in paces]

            def fetch(k: Value, stop: Value) -> None:
                for start, pace in here:
                    with loop(b, *micro.share(b, pace, k, stop), LINE) as line:
                        b.prefetch(b.offset(start, line.index, dt.int8))

            return fetch

        return of_tile

    # -- the outputs -----------------------------------------------------------------------------
    def _write(self, first: Value, stop: Value, n: Value, width: Value) -> None:
        """Mix the products and run the epilogue on their positions, some squares of a line at a time."""
        b, w = self.b, self.w
        with self._lines(first, stop) as line, loop(b, line.low, line.high, PIECE) as piece:
            count = b.min(b.sub(line.high, piece.index), self._c(PIECE))
            with loop(b, 0, count) as square:
                sums = self._at(self.sums, (b.add(b.sub(piece.index, first), square.index), w["sums_pitch"]))
                made = self._at(self.made, (b.shl(square.index, 1), w["sums_pitch"]))
                with loop(b, 0, width, self.v.lanes) as column:
                    self._outputs(b.offset(sums, column.index, self.dtype), b.offset(made, column.index, self.dtype))
            y, x = b.shl(line.y, 1), b.shl(b.sub(piece.index, line.start), 1)
            across = b.min(b.shl(count, 1), b.sub(w["out_x"], x))
            with loop(b, 0, b.min(self._c(2), b.sub(w["out_y"], y))) as down:
                m = b.add(b.mul(b.add(b.mul(line.item, w["out_y"]), b.add(y, down.index)), w["out_x"]), x)
                here = self._at(self.made, (down.index, b.mul(w["sums_pitch"], self._c(2 * PIECE))))
                self.epilogue.write(Span(here, w["sums_pitch"], m, n, (self._c(0), across), (self._c(0), width)), self._c(0))

    def _outputs(self, sums: Value, made: Value) -> None:
        """Mix the products of one square into two by two outputs."""
        step = self.w["sums_step"]

        def put(i: int, j: int, value: Value) -> None:
            self.b.store(value, self._at(made, (i * 2 * PIECE + j, self.w["sums_pitch"])))

        self._mix(self.second, sums, self.b.mul(step, self._c(len(self.first))), step, range(2), put)


class Gradient(_Mixing):
    """Emits the loops of a gradient by the kernel; a unit is one line of mixed elements and some channels."""

    def units(self, begin: Value, end: Value) -> None:
        b, w, side = self.b, self.w, len(self.first)
        with loop(b, begin, end) as unit:
            line = b.div(unit.index, w["parts"])
            channel = b.mul(b.sub(unit.index, b.mul(line, w["parts"])), w["part"])
            seen = self._shown(self.row_start, "a", self.first, channel, w["part"], line)
            given = self._shown(self.lane_start, "b", self.second, self._c(0), w["columns"], line)
            with self._blocks() as (_, first, length):
                stop = b.add(first, length)
                self._mix_line(line, seen, self.first, self.seen, (w["lane_leading"], w["seen_step"]), first, stop)
                self._mix_line(line, given, self.second, self.given, (w["given_pitch"], w["given_step"]), first, stop)
                ends = b.cmp("eq", first, self._c(0)), b.cmp("ge", stop, w["k"])
                with loop(b, 0, side) as element:
                    self._multiply((line, element.index), channel, length, ends)

    def _shown(self, start: Value, name: str, matrix: Matrix, channel: Value, channels: Value, line: Value) -> _Shown:
        """A grid, of whose squares those lines matter that the line of mixed elements is made of."""
        low = high = self._c(0)
        for i, row in enumerate(matrix):
            here = self.b.cmp("eq", line, self._c(i))
            terms = [k for k, factor in enumerate(row) if factor]
            low, high = self.b.select(here, self._c(terms[0]), low), self.b.select(here, self._c(terms[-1]), high)
        return _Shown(self.b.offset(start, channel, self.dtype), name, len(matrix[0]), channels, (low, high))

    def _mix_line(self, line: Value, shown: _Shown, matrix: Matrix, start: Value, steps: tuple[Value, Value], first: Value, stop: Value) -> None:
        """Mix one line of some squares of a grid; ``steps``: from one square to the next, and from one element to the next."""
        b, (pitch, step) = self.b, steps
        with self._each(shown, first, stop) as square:
            target = self._at(start, (square.number, pitch))
            for i in range(len(matrix)):
                with b.when(b.cmp("eq", line, self._c(i))), loop(b, 0, shown.channels, self.v.lanes) as vector:
                    put = self._scattered(b.offset(target, vector.index, self.dtype), step)
                    self._mix(matrix, b.offset(square.start, vector.index, self.dtype), square.down, square.across, range(i, i + 1), put)

    def _multiply(self, place: tuple[Value, Value], channel: Value, length: Value, ends: tuple[Value, Value]) -> None:
        """Add the products of a block of k to the sums of one element; ``ends``: whether it is the first block, and the last one."""
        b, w, v = self.b, self.w, self.v
        line, element = place
        seen, given, sums = (
            self._at(start, (element, w[step])) for start, step in ((self.seen, "seen_step"), (self.given, "given_step"), (self.sums, "sums_step"))
        )
        batch = b.add(b.mul(line, self._c(len(self.first))), element)
        with loop(b, 0, b.div(b.add(w["part"], self._c(v.rows - 1)), self._c(v.rows))) as sliver:
            done = b.mul(sliver.index, self._c(v.rows))
            row = b.min(done, b.sub(w["part"], self._c(v.rows)))  # the last sliver is moved back so that it is full
            m = b.add(channel, row)
            here = self._at(sums, (sliver.index, w["sliver_step"]))
            rows = micro.Rows(b.offset(seen, row, self.dtype), tuple(range(v.rows)), w["lane_leading"])
            with loop(b, 0, w["columns"], v.columns) as column:
                lanes = micro.Lanes(b.offset(given, column.index, self.dtype), w["given_pitch"], None)
                ahead = micro.rows_ahead(b, v, self.dtype, self.epilogue.places(batch, m, column.index), self.sums, length, ends[1])
                made = micro.tile(b, v, self.dtype, rows, lanes, length, [ahead])
                micro.store_tile(b, v, made, b.offset(here, column.index, self.dtype), w["sums_pitch"], ends[0])
            with b.when(ends[1]):
                span = Span(here, w["sums_pitch"], m, self._c(0), (b.sub(done, row), self._c(v.rows)), (self._c(0), w["columns"]))
                self.epilogue.write(span, batch)
