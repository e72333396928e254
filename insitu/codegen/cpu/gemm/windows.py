"""Row sides that show windows of a grid.

Of a convolution the rows are positions, and k runs over the elements of their windows; of a gradient by a kernel the rows are
elements, and k runs over positions. Both are read where they lie. The elements of a window are cut into *runs* that are
neighbours in memory: where taps along the last axis lie side by side a run holds all of them, else one. `Slab` tells where each
row and each run of k starts. A grid with padding is first copied to scratch, some rows of it at a time, with its zeros; as
each element is used for many products this costs next to nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import pack
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.nest import K_BLOCK, Windows

DType = dt.DType
i64 = dt.int64

_AXES = "zyx"
_NUMBERS = ("grid", "out", "taps", "stride", "dilation", "before")
#: Runtime words of a row side of windows.
WORDS = (
    "copies", "pixel", "channels", "span", "length", *[f"{name}_{axis}" for axis in _AXES for name in _NUMBERS], "tiles", "lines", "last", "wide",
    "tall", "part", "plane", "side", "step_x", "step_y", "step_z", "step_item", "step_line", "tap_x", "tap_y", "tap_z",
)  # fmt: skip
#: Bytes of a slab, which should stay in the level-2 cache.
SLAB_BYTES = 300_000


def runtime_words(w: Windows, slab: Plan) -> dict[str, int]:
    """The values of `WORDS`."""
    span = _span(w, slab.copies)
    found = {"copies": int(slab.copies), "pixel": w.pixel, "channels": w.channels, "span": span, "length": max(1, span * w.channels)}
    taps = (*w.taps[:2], w.taps[2] // max(1, span))
    for axis, *numbers in zip(_AXES, w.grid, w.positions, taps, w.strides, w.dilation, w.before, strict=True):
        found |= dict(zip((f"{name}_{axis}" for name in _NUMBERS), numbers, strict=True))
    found |= slab.words
    return {name: found.get(name, 0) for name in WORDS}


def _span(w: Windows, copies: bool) -> int:
    """Taps along the last axis in a run."""
    return w.taps[2] if w.dilation[2] == 1 and (w.channels == w.pixel or copies) else 1


def runs(w: Windows, copies: bool) -> tuple[int, int]:
    """Elements of a run of a window, and how many runs in a row are evenly apart."""
    span = _span(w, copies)
    across = w.taps[2] // max(1, span)
    return max(1, span * w.channels), across if across > 1 else w.taps[1]


def copied(w: Windows, dtype_fits: bool) -> bool:
    """Whether the grid is copied: in place where no padding is needed and the dtype is that of the sums."""
    return not dtype_fits or not all(
        b == 0 and (o - 1) * s + d * (k - 1) < n
        for b, o, s, d, k, n in zip(w.before, w.positions, w.strides, w.dilation, w.taps, w.grid, strict=True)
    )


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a row side is read.

    Attributes
    ----------
    copies : bool
        Whether the grid is copied with its padding.
    tiles : int
        Tiles.
    positions : int
        Most positions that one slab serves; where rows are elements those of a block of k.
    size : int
        Elements of the slab, or 0.
    words : dict of str to int
        Its runtime words.
    """

    copies: bool
    tiles: int
    positions: int
    size: int
    words: dict[str, int]


@functools.lru_cache(maxsize=4096)
def plan(w: Windows, rows: int, lines: int, itemsize: int, dtype_fits: bool, most_bytes: int, least: int = 0) -> Plan:
    """The plan for tiles of ``rows`` rows; a slab has at most ``most_bytes``, or what one tile, ``least`` positions or one block of k needs.

    Rows that are positions lie in one row of the result, or are ``lines`` whole rows of it; those that are elements lie in
    one run, or are ``lines`` whole ones.

    The slab holds the padded grid as one long line of pixels: rows ``wide`` pixels long, planes ``tall`` rows high. For
    taps along z, which are planes apart, it has as many parts.
    """
    oz, oy, ox = w.positions
    each, copies = rows // lines, copied(w, dtype_fits)
    length, _ = runs(w, copies)
    across, rest = (ox, w.items * oz * oy) if w.positions_first else (length, math.prod(w.taps) * w.channels // length)
    tiles = -(-across // each)
    known = {"tiles": tiles, "lines": lines * across, "last": across - each}
    count = tiles * (rest // lines)
    (sz, sy, sx), (dz, dy, dx) = w.strides, w.dilation
    wide, tall = (max(1, (o - 1) * s + d * (k - 1) + 1) for o, s, d, k in ((ox, sx, dx, w.taps[2]), (oy, sy, dy, w.taps[1])))

    def distances(pixel: int, line: int, plane: int, item: int, tap_z: int) -> dict[str, int]:
        """From one position to the next and from one tap to the next, in elements."""
        taps = {"tap_x": dx * pixel, "tap_y": dy * line, "tap_z": tap_z}
        lines_apart = sy * line if w.positions_first else taps["tap_x" if length < w.taps[2] * w.channels else "tap_y"]
        return {"step_x": sx * pixel, "step_y": sy * line, "step_z": sz * plane, "step_item": item, "step_line": lines_apart, **taps}

    if not copies:
        line = w.grid[2] * w.pixel
        plane = w.grid[1] * line
        return Plan(False, count, 1 << 40, 0, known | distances(w.pixel, line, plane, w.grid[0] * plane, dz * plane))
    reach = (w.taps[1] - 1) * dy * wide + (w.taps[2] - 1) * dx + 1

    # pixels more than usual to the next position, at the end of a row of positions and of a plane; and how often that can be
    wrap, turn = max(0, sy * wide - ox * sx), max(0, (tall - oy * sy) * wide)
    row, plane, planes = max(ox, 1), max(1, ox * oy), w.items * oz

    def pixels(positions: int) -> int:
        wraps, turns = (min((positions - 1) // n + 1, most - 1) for n, most in ((row, planes * oy), (plane, planes)))
        return positions * sx + wraps * wrap + turns * turn + reach

    positions = K_BLOCK
    if w.positions_first:
        most = most_bytes // itemsize // max(1, w.channels * w.taps[0])
        fits = int((most - reach - wrap - min(turn, (planes - 1) * turn)) / (sx + wrap / row + turn / plane)) // rows * rows
        positions = max(rows, least, min(fits, -(-planes * plane // rows) * rows))
    part = pixels(positions) * w.channels
    line = wide * w.channels
    # the planes of positions lie one after the other; what taps along z see lies in parts of its own
    steps = distances(w.channels, line, tall * line, oz * tall * line, part) | {"step_z": tall * line}
    side = wide if w.channels == w.pixel else 1
    return Plan(True, count, positions, part * w.taps[0], known | steps | {"wide": wide, "tall": tall, "part": part, "side": side})


def planes(w: Windows, columns: int, itemsize: int) -> Plan:
    """The plan for tiles of ``columns`` positions of one row; the slab holds a plane for each channel, and serves whole rows."""
    made = plan(dataclasses.replace(w, channels=1, pixel=1), columns, 1, itemsize, False, 3 * SLAB_BYTES // w.channels, w.positions[2])
    plane = pack.odd_lines(made.size, itemsize)
    words = made.words | {"plane": plane, "taps_x": w.taps[2], "span": 1, "length": w.channels}
    return dataclasses.replace(made, size=plane * w.channels, words=words)


class Slab:
    """Emits the reading of a row side; one instance for one function.

    ``runs`` is scratch for start and length of each run of a block of k (64-bit numbers), ``slab`` for the copy.
    """

    def __init__(self, b: Emitter, words: Mapping[str, Value], kind: str, source: DType, dtype: DType, lanes: int, runs: Value, slab: Value) -> None:
        self.b, self.w, self.source, self.dtype, self.lanes = b, words, source, dtype, lanes
        self.positions_first = kind == "positions"
        self.runs, self.slab = runs, slab
        self.base: Value = self._c(0)
        self.unit, self.k_step = words["channels"], self._c(1) if self.positions_first else words["step_x"]

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def _moved(self, position: Value) -> Value:
        """Where the window of a position starts, from the start of the grid or its copy."""
        return self._distance("step", _decoded(self.b, position, self.w, "out", ("x", "y", "z", "item")))

    def _seen(self, run: Value) -> Value:
        """Where a run of a window starts, from the start of the window."""
        return self._distance("tap", _decoded(self.b, run, self.w, "taps", ("x", "y", "z")))

    def _distance(self, each: str, at: Mapping[str, Value]) -> Value:
        total = self._c(0)
        for axis, value in at.items():
            total = self.b.add(total, self.b.mul(value, self.w[f"{each}_{axis}"]))
        return total

    def fill(self, start: Value, first: Value, last: Value) -> Value:
        """Copy what the positions from ``first`` to ``last`` see, unless it is read in place; returns where it lies."""
        b, copies = self.b, self.b.cmp("ne", self.w["copies"], self._c(0))
        low = b.select(copies, self._moved(first), self._c(0))
        with b.when(copies):
            self._copy(start, low, last)
        self.base = low
        return b.select(copies, self.slab, start)

    def _copy(self, start: Value, low: Value, last: Value) -> None:
        """Copy the padded grid from ``low`` on up to what the position ``last`` sees."""
        b, w, channels = self.b, self.w, self.unit
        reach = b.add(b.mul(b.sub(w["taps_y"], self._c(1)), w["tap_y"]), b.mul(b.sub(b.mul(w["taps_x"], w["span"]), self._c(1)), w["tap_x"]))
        high = b.add(b.add(self._moved(last), reach), channels)
        from_pixel, to_pixel = b.div(low, channels), b.div(high, channels)
        from_row, to_row = b.div(from_pixel, w["wide"]), b.add(b.div(b.sub(to_pixel, self._c(1)), w["wide"]), self._c(1))
        with loop(b, 0, w["taps_z"]) as tap, loop(b, from_row, to_row) as row:
            plane, y = b.div(row.index, w["tall"]), b.sub(b.rem(row.index, w["tall"]), w["before_y"])
            item, oz = b.div(plane, w["out_z"]), b.rem(plane, w["out_z"])
            z = b.sub(b.add(b.mul(oz, w["stride_z"]), b.mul(tap.index, w["dilation_z"])), w["before_z"])
            inside = b.and_(_within(b, z, w["grid_z"]), _within(b, y, w["grid_y"]))
            begin = b.mul(row.index, w["wide"])
            left, right = b.max(b.sub(from_pixel, begin), self._c(0)), b.min(b.sub(to_pixel, begin), w["wide"])
            some = b.min(b.max(left, w["before_x"]), right)
            stop = b.select(inside, b.max(b.min(b.add(w["before_x"], w["grid_x"]), right), some), some)
            moved = b.sub(b.mul(begin, channels), low)
            line = b.offset(b.offset(self.slab, b.mul(tap.index, w["part"]), self.dtype), moved, self.dtype)
            at = b.add(b.mul(b.add(b.mul(b.add(b.mul(item, w["grid_z"]), z), w["grid_y"]), y), w["grid_x"]), b.sub(some, w["before_x"]))
            source = b.offset(start, b.mul(at, w["pixel"]), self.source)
            self._copy_line(source, line, (left, some, stop, right))

    def _copy_line(self, source: Value, line: Value, ends: Sequence[Value]) -> None:
        """Write a row's pixels: zeros from the first of the ``ends`` to the second, what there is up to the third, zeros up to the last."""
        b, w, channels, (left, some, stop, right) = self.b, self.w, self.unit, ends
        zero(b, b.offset(line, b.mul(left, channels), self.dtype), b.mul(b.sub(some, left), channels), self.dtype, self.lanes)
        with loop(b, some, stop, w["side"]) as piece:
            count = b.mul(b.min(b.sub(stop, piece.index), w["side"]), channels)
            here = b.offset(source, b.mul(b.sub(piece.index, some), w["pixel"]), self.source)
            pack.copy_row(b, here, b.offset(line, b.mul(piece.index, channels), self.dtype), count, self.source, self.dtype, self.lanes)
        zero(b, b.offset(line, b.mul(stop, channels), self.dtype), b.mul(b.sub(right, stop), channels), self.dtype, self.lanes)

    def cut(self, k_first: Value, length: Value) -> Value:
        """Write the runs of a block of k to their table; returns their number."""
        b, w = self.b, self.w
        run = w["length"] if self.positions_first else w["out_x"]
        first, stop = b.div(k_first, run), b.add(b.div(b.sub(b.add(k_first, length), self._c(1)), run), self._c(1))
        stop = b.select(b.cmp("gt", length, self._c(0)), stop, first)
        with loop(b, first, stop) as part:
            begin = b.mul(part.index, run)
            start = self._seen(part.index) if self.positions_first else b.sub(self._moved(begin), self.base)
            low, high = b.max(b.sub(k_first, begin), self._c(0)), b.min(b.sub(b.add(k_first, length), begin), run)
            entry = b.offset(self.runs, b.mul(b.sub(part.index, first), self._c(2)), i64)
            b.store(b.add(start, b.mul(low, self.k_step)), entry)
            b.store(b.sub(high, low), b.offset(entry, 1, i64))
        return b.sub(stop, first)

    def at(self, start: Value, row: Value) -> Value:
        """Where the window of a position starts, or where an element lies in the window of the first position of all."""
        b, w = self.b, self.w
        if self.positions_first:
            return b.offset(start, b.sub(self._moved(row), self.base), self.dtype)
        return b.offset(start, b.add(self._seen(b.div(row, w["length"])), b.rem(row, w["length"])), self.dtype)


def _decoded(b: Emitter, number: Value, w: Mapping[str, Value], extents: str, axes: tuple[str, ...]) -> dict[str, Value]:
    """A number's place on each axis, the first running fastest; the last takes what is left."""
    found = {}
    for axis in axes[:-1]:
        found[axis] = b.rem(number, w[f"{extents}_{axis}"])
        number = b.div(number, w[f"{extents}_{axis}"])
    return found | {axes[-1]: number}


def _within(b: Emitter, at: Value, extent: Value) -> Value:
    return b.and_(b.cmp("le", b.const(0, i64), at), b.cmp("lt", at, extent))


def zero(b: Emitter, target: Value, length: Value, dtype: DType, lanes: int) -> None:
    """Write ``length`` zeros."""
    with b.when(b.cmp("gt", length, b.const(0, i64))):
        whole = b.and_(length, b.const(-lanes, i64))
        if lanes > 1:
            with loop(b, 0, whole, lanes) as turn:
                b.store(Value("zeroinitializer", dtype, lanes), b.offset(target, turn.index, dtype))
        if b.target.masks and lanes > 1:
            b.store(Value("zeroinitializer", dtype, lanes), b.offset(target, whole, dtype), below(b, b.sub(length, whole), lanes))
        else:
            with loop(b, whole, length) as turn:
                b.store(b.const(0, dtype), b.offset(target, turn.index, dtype))
