"""Products of few rows with a lane side whose neighbours in memory differ in k: a matrix times one or a few vectors.

Every element of the lane side is used once or a few times, so a packed copy would cost more than
the products. As many of its rows as there are lanes are turned in registers instead, right before
they are multiplied; the sums are the same chains over k as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Value
from insitu.codegen.cpu.gemm import micro, pack
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.target import LINE
from insitu.errors import InternalError

i64 = dt.int64


class Turned(Driver):
    """Emits the loops for few rows; a unit is one panel."""

    def _tile(self, rows: micro.Rows | micro.Runs, lane_at: Value, panel: Value, local: Value, length: Value) -> list[Value]:
        if isinstance(rows, micro.Runs):
            raise InternalError("windows of a grid are no rows of a turned product")
        b, v, side = self.b, self.v, self.lane_side
        start = b.offset(lane_at, b.mul(self._column(panel), self.w["lane_leading"]), side.dtype)
        width = pack.group(self.dtype, v.lanes)
        # whole lines of each row where registers suffice: rows whose distance is a power of two push each other's out of the nearest cache
        step = max(self._piece, LINE // self.dtype.itemsize if b.target.registers >= 32 else 0)
        zero = Value("zeroinitializer", self.dtype, v.lanes) if v.lanes > 1 else b.const(0, self.dtype)
        near = [b.offset(start, self._at(self.w["lane_leading"], r) if r else 0, side.dtype) for r in range(width)]
        carried = [rows.start, *near] + [zero] * (v.rows * v.vectors)
        done = self._c(0)
        if step > self._piece:
            done = b.min(self._to_line(start, width), b.and_(length, self._c(-width)))
            carried = self._loop(self._c(0), done, width, rows, carried)
        for turns in sorted({1, width, step}, reverse=True):
            stop = b.add(done, b.and_(b.sub(length, done), self._c(-turns)))
            carried = self._loop(done, stop, turns, rows, carried)
            done = stop
        return carried[1 + width :]

    def _loop(self, first: Value, last: Value, turns: int, rows: micro.Rows, carried: list[Value]) -> list[Value]:
        """Run over k from ``first`` to ``last``, ``turns`` at a time."""
        with loop(self.b, first, last, turns, carried) as turn:
            turn.next = self._turns(rows, turn.values, turns)
        return turn.results

    def _to_line(self, start: Value, width: int) -> Value:
        """Elements, a multiple of ``width``, to the next line of the cache; where that matters it is the same for every row."""
        b = self.b
        left = b.and_(b.sub(self._c(0), b.emit(f"ptrtoint {start!r} to i64", i64)), self._c(LINE - 1))
        return b.and_(b.div(left, self._c(self.dtype.itemsize)), self._c(-width))

    @property
    def _piece(self) -> int:
        """Elements of a row that are taken at once: what fills a vector, or half of it where it has more than two parts of 128 bits."""
        return min(self.v.lanes, 2 * pack.group(self.dtype, self.v.lanes))

    def _turns(self, rows: micro.Rows, values: list[Value], turns: int) -> list[Value]:
        """Add ``turns`` products to each sum; the values are a pointer to the row side, some to the lane side, and the sums."""
        b, v, d, width = self.b, self.v, self.dtype, pack.group(self.dtype, self.v.lanes)
        row_at, *near = (b.opaque(p) for p in values[: 1 + width])
        sums = values[1 + width :]
        points = [row_at]
        for k in range(1, turns):
            points.append(b.offset(row_at, rows.step * k, d) if isinstance(rows.step, int) else b.offset(points[-1], rows.step, d))
        for group in range(v.vectors):
            # loads stay in their group: the scheduler would mix those of all groups and spill
            b.void('call void asm sideeffect "", "~{memory}"()')
            lines = [b.offset(near[r % width], self._far(group * v.lanes + r - r % width), d) for r in range(v.lanes)]
            for point, vector in zip(points, self._vectors(lines, turns, width), strict=True):
                for r in range(v.rows):
                    x = b.splat(b.load(b.offset(point, rows.offsets[r], d), d), v.lanes)
                    at = r * v.vectors + group
                    sums[at] = micro.multiply_add(b, x, vector, sums[at])
        return [micro.advance(b, row_at, rows.step, turns, d), *[b.offset(p, turns, d) for p in near], *sums]

    def _far(self, row: int) -> Value | int:
        return self._at(self.w["lane_leading"], row) if row else 0

    def _vectors(self, lines: Sequence[Value], turns: int, width: int) -> list[Value]:
        """The next ``turns`` elements of each row, as vectors over the rows."""
        b, lanes, d, piece = self.b, self.v.lanes, self.dtype, self._piece
        if turns == 1:
            vector = Value("poison", d, lanes)
            for r, line in enumerate(lines):
                vector = b.insert(vector, b.load(line, d), r) if lanes > 1 else b.load(line, d)
            return [vector]
        if turns < piece or lanes == piece:  # small pieces are joined while they are loaded: fewer shuffles
            return [vector for at in range(0, turns, width) for vector in self._square([b.offset(line, at, d) for line in lines], width)]
        pairs = [(first + r, first + width + r) for first in range(0, lanes, 2 * width) for r in range(width)]
        loaded = [[self._pair(b.offset(lines[x], at, d), b.offset(lines[y], at, d)) for at in range(0, turns, piece)] for x, y in pairs]
        return [vector for square in zip(*loaded, strict=True) for vector in self._turned(square, width)]

    def _square(self, lines: Sequence[Value], width: int) -> list[Value]:
        """``width`` elements of each row, as vectors over the rows."""
        return pack.transpose(self.b, lambda r: self.b.load(lines[r], self.dtype, width), self.dtype, self.v.lanes)

    def _pair(self, low: Value, high: Value) -> Value:
        """Pieces of two rows as one vector."""
        b, piece = self.b, self._piece
        return b.shuffle(b.load(low, self.dtype, piece), b.load(high, self.dtype, piece), range(2 * piece))

    def _turned(self, loaded: Sequence[Value], width: int) -> list[Value]:
        """Transpose: inside each 128 bits first, then every second part of two vectors makes one."""
        b, lanes = self.b, self.v.lanes
        first, second = (pack.turned(b, some, lanes, width) for some in (loaded[:width], loaded[width:]))
        parts = [at + k for at in range(0, 2 * lanes, 2 * width) for k in range(width)]
        return [b.shuffle(x, y, [k + odd for k in parts]) for odd in (0, width) for x, y in zip(first, second, strict=True)]
