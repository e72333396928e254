"""How a contraction is run: which axis goes in lanes, the register tile, what is packed, what a unit is.

Nothing here changes a bit of a result: each output element is the same chain whatever is chosen.

The generated code knows a *row side*, whose elements are broadcast one by one, and a *lane side*,
which is loaded in vectors. Usually they are A and B; with ``swap`` they are B and A transposed,
lanes run along m, and finished tiles are transposed before the epilogue. Where rows of the result are short,
a unit has them ``whole``, and the epilogue passes over all their elements as one row.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator

from insitu import dtypes as dt
from insitu.codegen.cpu.gemm import windows
from insitu.codegen.cpu.gemm.epilogue import matrices, touched
from insitu.codegen.nest import ANY_PANEL, K_BLOCK, Contract, Matrix, Operand, Squares, Windows
from insitu.codegen.target import LINE, Target
from insitu.errors import InternalError

DType = dt.DType

#: Bytes of the packed lane-side block, which should stay in the level-2 cache.
BLOCK_BYTES = 400_000
#: Bytes of an operand up to which it is read in place.
_IN_PLACE_BYTES = 300_000
#: Bytes of an operand from which on it comes from memory.
_FAR_BYTES = 4_000_000
#: Bytes of a matrix from which on it comes from beyond the level-2 cache.
_BEYOND_BYTES = 1_500_000
#: Most rows whose factors registers hold while a lane side is read in its order; most rows at all for which that is faster than packing it.
_HELD_ROWS, _STREAMED_ROWS = 4, 32
#: Bytes of a sliver of the row side that stay in the nearest cache while panels stream by.
_NEAR_BYTES = 26_000
#: Bytes in one cycle that come from the level-2 cache while the arithmetic goes on.
_FAR_RATE = 20
#: Bytes in one cycle that come from farther away, or are copied.
_COPY_RATE = 6
#: Bytes that an epilogue touches from which on they are taken to come from memory.
_FETCHED_BYTES = 500_000
#: Slivers that are enough to fetch what is packed next, a line or two in a turn of the loop over k; and rows that hide what packing costs.
_FETCHING_SLIVERS, _FETCHING_ROWS = 4, 512
#: Time of a tile that reads as rows what could lie in panels: it waits for what panels let it fetch.
_UNUSED_PANELS = 1.1
#: Tiles that layers should share, as each takes LLVM long to compile, and how much faster another one should be.
_USUAL_TILES, _OTHER_TILE = ((7, 2), (8, 2), (13, 2), (14, 2)), 1.02
#: Time of an instruction of the loop over k that is no multiply-add against one's. It is next to none, but where two threads share a core each
#: has room for half of the instructions, and there AVX-512, whose multiply-adds are few and wide, loses a fifth; a multiply-add that takes its
#: factor from memory, and what a loop needs anyway.
_OTHER, _OTHER_SHARED, _REPEATED, _LOOPING = 0.02, 0.25, 0.05, 2
#: Columns for each row of a product from which on its panels are so much more than its rows that each thread should read its own.
_WIDE = 8
#: Panels that do not pay for packing the row side.
_FEW_PANELS = 4
#: Outputs of a convolution that leave too many lanes empty.
_FEW_OUTPUTS = 8
#: Rows of one run of tiles whose partial sums are kept while later k blocks are packed.
RUN_ROWS = 1100
#: Columns of one unit of a product of few rows.
STREAM_UNIT = 256
#: Longest row of the result that a unit has as a whole where lanes run along m.
WHOLE_COLUMNS = 64
#: Work worth a second thread, in multiply-adds, where a vector has 16 lanes.
GRAIN_OPS = 500_000
#: Multiply-adds in the time of one instruction of an epilogue, most of which wait for the one before.
EPILOGUE_OPS = 3
#: Fewer units than this for each of two threads make halves that differ.
FEW_UNITS = 16
#: Rows that should share one packing of the lane side.
GRAIN_ROWS = 128


@dataclasses.dataclass(frozen=True)
class Side:
    """One operand as the generated code sees it: element (outer, k); where it shows ``windows`` their strides say it.

    ``panel`` is that of `nest.Operand`.
    """

    buffer: str
    dtype: DType
    batch_stride: int
    outer_stride: int
    k_stride: int
    windows: Windows | None = None
    panel: int = 0

    @property
    def along_k(self) -> bool:
        """Whether neighbours in memory differ in k (else in the outer index)."""
        return self.outer_stride != 1

    @property
    def leading(self) -> int:
        """The stride that is not 1."""
        return self.outer_stride if self.along_k else self.k_stride


@dataclasses.dataclass(frozen=True)
class Variant:
    """The part of a schedule that decides the machine code.

    Attributes
    ----------
    swap : bool
        Lanes run along m.
    rows, vectors, lanes : int
        The register tile: ``rows`` broadcasts by ``vectors`` vectors of ``lanes``.
    pack_rows, pack_lanes : bool
        Whether the row side and the lane side are copied first, so that what a tile reads of one k lies together.
    narrow : bool
        The lane side has fewer elements than one tile, so that loads need masks.
    stream : int
        If not 0, the few rows' sums are kept in memory while the lane side is read in the order in which it
        lies there, this many rows of it at a time; with more than one of ``vectors`` the factors are kept there, too.
    turn : bool
        Few rows, and a lane side whose neighbours in memory differ in k: it is turned in registers.
    whole : bool
        With ``swap``: a unit has all slivers of its panels, so that the epilogue runs over whole rows of the result.
    fetch : int
        How many of the matrices that the epilogue reads and writes are fetched while the sums are made.
    fetch_lanes : bool
        Whether what the next block of panels is packed from is fetched.
    fetch_rows : bool
        Whether rows of slivers to come are fetched.
    windows : str
        What rows that show windows of a grid are: ``"positions"`` or ``"elements"``.
    lines : int
        Whole rows of positions, or whole runs of elements, in a tile of such rows.
    in_panels : bool
        The lane side lies in memory in the panels that tiles read, and those to come are fetched.
    deep : bool
        What comes is the next block of k of the same panels; else the next block of panels.
    planar : bool
        With ``swap``: lanes run along positions, whose grid is copied plane by plane; the few outputs are the rows of one sliver.
    squares : tuple, optional
        The matrices of both mixings of an algorithm that multiplies mixed squares (`insitu.codegen.cpu.gemm.squares`).
    gradient : bool
        Both sides of it are squares.
    panel : int
        The width of the panels in which the mixed kernel lies, if it does.
    """

    swap: bool
    rows: int
    vectors: int
    lanes: int
    pack_rows: bool
    pack_lanes: bool
    narrow: bool
    stream: int = 0
    turn: bool = False
    whole: bool = False
    fetch: int = 0
    fetch_lanes: bool = False
    fetch_rows: bool = False
    windows: str = ""
    lines: int = 1
    in_panels: bool = False
    deep: bool = False
    planar: bool = False
    squares: tuple[Matrix, Matrix] | None = None
    gradient: bool = False
    panel: int = 0

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A `Variant` and what one shape needs to run it.

    Attributes
    ----------
    variant : Variant
        The machine code's part.
    row_side, lane_side : Side
        The operands in their roles.
    m, n, k : int
        Extents of the row side, the lane side and the contracted axis.
    slivers, panels, panels_per_block, blocks : int
        Tiles along the row side; tiles along the lane side, how many of them are packed together, and in how many blocks.
    run : int
        Slivers whose partial sums are kept at a time.
    slab : Plan, optional
        How a row side of windows is read.
    """

    variant: Variant
    row_side: Side
    lane_side: Side
    batch: int
    m: int
    n: int
    k: int
    slivers: int
    panels: int
    panels_per_block: int
    blocks: int
    run: int
    slab: windows.Plan | None = None

    @property
    def by_rows(self) -> bool:
        """Whether a unit is a sliver with all blocks of panels: a thread then meets the rows that it made in the layer before, and those
        of another one come more slowly than panels, which all threads then read.
        """
        return self.variant.in_panels and not self.variant.whole and self.n <= _WIDE * self.m

    @property
    def unit_panels(self) -> int:
        """Panels of a unit."""
        return self.panels if self.by_rows else self.panels_per_block

    @property
    def units(self) -> int:
        return self.batch * (1 if self.by_rows else self.blocks) * (1 if self.variant.whole else self.slivers) if self.m and self.n else 0

    @property
    def shared(self) -> float:
        """What all units of some panels share, in the time of one: the lane side, which is copied or comes from afar, and slabs of elements."""
        v = self.variant
        elements = self.unit_panels * v.columns * self.k if v.pack_lanes or v.in_panels or v.windows == "elements" else 0
        if self.slab is not None and v.windows == "elements":
            elements += self.slab.size * -(-self.k // K_BLOCK)
        work = v.rows * v.vectors * self.unit_panels * max(1, self.k) / 2
        return 0 if v.whole else round(elements * self.lane_side.dtype.itemsize / _COPY_RATE / work, 2)

    def grain(self, epilogue: int) -> int:
        """Units worth a thread's while; where the lane side is packed, enough of them to share the packing.

        ``epilogue``: instructions of the epilogue for one vector of elements.
        """
        v = self.variant
        tile_ops = v.rows * v.columns * self.unit_panels * (max(1, self.k) + EPILOGUE_OPS * epilogue)
        least = -(-GRAIN_OPS * v.lanes // (16 * tile_ops * (self.slivers if v.whole else 1)))
        if v.whole:
            return max(1, min(least, self.units))
        shared = -(-GRAIN_ROWS // v.rows) if v.pack_lanes and self.blocks * self.batch > 1 else 1
        return max(1, min(max(least, shared), self.slivers if shared >= least else self.units))


def choose(contract: Contract, target: Target) -> Schedule:
    """The schedule for one shape on one CPU: the cheapest of some tiles, by a rough model of their cycles."""
    best = _cheapest(contract, target)
    fetch, lanes, rows = _fetches(contract, best), _fetches_lanes(contract, best), _fetches_rows(contract, best, target)
    best = dataclasses.replace(best, fetch=fetch, fetch_lanes=lanes, fetch_rows=rows)
    return arrange(contract, dataclasses.replace(best, deep=_deep(contract, best)))


def _cheapest(c: Contract, target: Target) -> Variant:
    large = c.batch * c.m * c.n * max(1, c.k) >= 2 * GRAIN_OPS
    best, least = None, math.inf
    for v in _candidates(c, target):
        cost = _cost(c, v, target) * (unusual(v.rows, v.vectors, _USUAL_TILES) if v.windows else 1)
        if large and cost < least:  # else uneven halves, which only add to it, need not be looked at
            cost *= uneven(arrange(c, v).units)
        if cost < least:
            best, least = v, cost
    if best is None:
        raise InternalError(f"no tile can run a contraction of {c.m}x{c.k} by {c.k}x{c.n}")
    return best


def _deep(c: Contract, v: Variant) -> bool:
    """Whether two blocks of panels with all of k do not fit in the cache, or small blocks do not pay, as each copies the grid."""
    return v.in_panels and (bool(v.windows) or v.columns * c.k * c.dtype.itemsize > BLOCK_BYTES)


def _fetches(c: Contract, v: Variant) -> int:
    """How much tiles should fetch of what their epilogue touches: of large matrices.

    It costs little where it is of no use: long sums, and all layers whose constants lie in panels, are not told apart, and share their code.
    """
    plain = not (v.swap or v.narrow or v.stream or v.turn) and (v.pack_rows or not v.windows)
    large = c.batch * c.m * c.n * sum(x.dtype.itemsize for x in matrices(c)) > _FETCHED_BYTES
    return touched(c) if plain and (large or v.in_panels) else 0


def _fetches_lanes(c: Contract, v: Variant) -> bool:
    """Whether the tiles of one block of panels should fetch what the next one is packed from: it is far, and not used often."""
    m, n = (c.n, c.m) if v.swap else (c.m, c.n)
    far = n * c.k * sides(c, v.swap)[1].dtype.itemsize > _FAR_BYTES
    return v.pack_lanes and not v.windows and far and _FETCHING_SLIVERS * v.rows <= m <= _FETCHING_ROWS


def _fetches_rows(c: Contract, v: Variant, target: Target) -> bool:
    """Whether tiles should fetch what is packed in parts as rows: some of it is in no near cache.

    Where vectors are shorter a turn of k is, too, and what it takes to fetch shows.
    """
    m, side = (c.n if v.swap else c.m), sides(c, v.swap)[0]
    return target.vector_bits >= 512 and in_parts(v, side) and m * c.k * side.dtype.itemsize > _IN_PLACE_BYTES


def in_parts(v: Variant, row_side: Side) -> bool:
    """Whether rows are packed a part of k at a time, while the rows before them are multiplied: those that are neighbours in memory."""
    return v.pack_rows and not (row_side.along_k or v.windows)


def unusual(rows: int, vectors: int, usual: tuple[tuple[int, int], ...]) -> float:
    """Time of a tile against what it should be weighed as: layers that choose the usual ones share their code."""
    return 1 if (rows, vectors) in usual else _OTHER_TILE


def uneven(units: int) -> float:
    """Time of the longer half against half the time, for two threads; nothing where there are many units."""
    return -(-units // 2) * 2 / max(1, units) if units < 2 * FEW_UNITS else 1


def arrange(c: Contract, variant: Variant, *, panels_per_block: int = 0, run: int = 0) -> Schedule:
    """The schedule of a shape with the given tile and packing; 0 leaves a number to the cache sizes.

    Raises
    ------
    InternalError
        If the variant cannot run the shape.
    """
    m, n = (c.n, c.m) if variant.swap else (c.m, c.n)
    row_side, lane_side = sides(c, variant.swap)
    if (
        variant.rows > max(1, m)
        or (variant.columns > n) != variant.narrow
        or (lane_side.along_k and not (variant.pack_lanes or variant.turn or variant.in_panels or variant.planar))
    ):
        raise InternalError(f"a contraction of {c.m}x{c.k} by {c.k}x{c.n} cannot run as {variant}")
    if variant.planar and isinstance(c.a, Windows):
        across, planes = c.a.positions[2], windows.planes(c.a, variant.columns, c.dtype.itemsize)
        lines, tiles = n // across, planes.words["tiles"]
        return Schedule(variant, row_side, lane_side, 1, m, n, c.k, 1, lines * tiles, tiles, lines, planes.positions // across, planes)
    panels, slivers = max(1, -(-n // variant.columns)), max(1, -(-m // variant.rows))
    if variant.stream:
        panels_per_block = STREAM_UNIT // variant.columns
    elif variant.whole:
        panels_per_block = panels_per_block or min(panels, 4 if variant.pack_rows else 1)
    elif slivers == 1 and not variant.pack_rows:
        panels_per_block = panels_per_block or 1  # nothing is used twice, so small units cost nothing
    larger = _larger(variant, row_side)
    depth = max(c.k, K_BLOCK) if variant.in_panels and not _deep(c, variant) else K_BLOCK
    per_block = panels_per_block or _panels_per_block(panels, variant.columns * depth * c.dtype.itemsize, larger * BLOCK_BYTES)
    blocks = -(-panels // per_block)
    if (variant.pack_lanes or variant.in_panels) and not panels_per_block and m <= n and blocks % 2 and (blocks == 1 or m <= GRAIN_ROWS):
        per_block = -(-panels // (blocks + 1))  # two threads then pack or fetch a half each
    runs = -(-slivers * variant.rows // (larger * RUN_ROWS)) if c.k > K_BLOCK and not variant.whole else 1
    run = slivers if variant.whole else run or -(-slivers // runs)
    slab = None
    if row_side.windows is not None:
        slab = _slab(c, row_side.windows, variant.rows, variant.lines)
        slivers = max(1, slab.tiles)
        if row_side.windows.positions_first:
            most = max(1, min(run, slab.positions // variant.rows))
            run = -(-slivers // -(-slivers // most))
    return Schedule(variant, row_side, lane_side, c.batch, m, n, c.k, slivers, panels, per_block, -(-panels // per_block), run, slab)


def _larger(v: Variant, row_side: Side) -> int:
    """How many times larger blocks of panels and runs are: rows that are packed piece by piece, anew for each block, and slabs are worth sharing."""
    return 2 if v.pack_rows and not row_side.along_k else 1


def _slab(c: Contract, shown: Windows, rows: int, lines: int) -> windows.Plan:
    """The plan of a row side of windows. A long run of positions should share one reading of a far lane side, the more the farther it is."""
    lane_side = c.n * c.k * c.dtype.itemsize
    times = 9 if lane_side > _FAR_BYTES else 3 if lane_side > _IN_PLACE_BYTES else 1
    return windows.plan(shown, rows, lines, c.dtype.itemsize, shown.dtype is c.dtype, times * windows.SLAB_BYTES)


@functools.lru_cache(maxsize=64)  # asked for with every tile that is weighed
def sides(c: Contract, swap: bool) -> tuple[Side, Side]:
    """The row side and the lane side."""

    def side(o: Operand | Windows | Squares, extent: int, outer_first: bool) -> Side:
        if isinstance(o, Windows):
            return Side(o.buffer, o.dtype, o.channels, *((2, 1) if o.positions_first else (1, 2)), o)
        if isinstance(o, Squares):
            raise InternalError("squares have schedules of their own")
        outer, k = (o.row_stride, o.col_stride) if outer_first else (o.col_stride, o.row_stride)
        if extent == 1 and k == 1:
            outer = max(outer, c.k, 2)  # a vector: neighbours differ in k, whatever its other stride says
        return Side(o.buffer, o.dtype, o.batch_stride, outer, k, panel=o.panel)

    a, b = side(c.a, c.m, True), side(c.b, c.n, False)
    return (b, a) if swap else (a, b)


@dataclasses.dataclass(frozen=True)
class _Traffic:
    """Time, in that of the multiply-adds, of what a product moves; where there are two, from near and from beyond the level-2 cache.

    Attributes
    ----------
    read : tuple of float
        To read a vector of the lane side for the first time.
    copied : float
        To copy one.
    turned, row_turned : float
        To turn an element of the lane side, and of the row side.
    row_copied : float
        To copy, as it lies, one k of a sliver, and each of its vectors.
    written : tuple of float
        To write a vector of the result.
    column : tuple of float
        To write a column of a turned tile, a piece of a row: the rest of the line comes much later.
    column_paged : float
        The same where all rows of the result begin at the same place of a page, and push each other out of the nearest cache.
    whole : tuple of float
        The same where rows of the result are collected first.
    """

    read: tuple[float, float]
    copied: float
    turned: float
    row_copied: float
    row_turned: float
    written: tuple[float, float]
    column: tuple[float, float]
    column_paged: float
    whole: tuple[float, float]


#: With vectors of up to 256 bits, and of 512: these are fitted to measured times, of 380 shapes with some 9 schedules each, in all cases.
_SHORT = _Traffic((0, 0), 1.5, 0.45, 4, 0.5, (2, 2), (7, 7), 7, (7, 7))
_LONG = _Traffic((4, 11), 3.2, 0.45, 6.3, 0.9, (3, 14), (16, 22), 50, (7, 25))


@dataclasses.dataclass(frozen=True)
class _Machine:
    """What register tiles are good on a class of CPUs.

    Attributes
    ----------
    tiles : tuple of (int, int)
        Rows and vectors.
    few : int
        Accumulators of a tile that has all the rows there are.
    in_place : tuple of int
        Most rows of a tile, by its vectors, that can be read in place where neighbours differ in k: each needs an address register.
    pace : tuple of float
        Time of a tile against its multiply-adds, by its vectors.
    rate : float
        Cycles of one vector multiply-add.
    traffic : _Traffic
        What goes on beside multiply-adds.
    """

    tiles: tuple[tuple[int, int], ...]
    few: int
    in_place: tuple[int, int, int, int]
    pace: tuple[float, float, float, float]
    rate: float
    traffic: _Traffic


_WIDE_TILES = ((14, 2), (13, 2), (8, 2), (10, 2), (12, 2), (16, 1), (10, 1), (13, 1), (20, 1), (25, 1), (8, 3), (9, 3), (6, 4))
_WIDEST = _Machine(_WIDE_TILES, 24, (25, 12, 9, 6), (1.0, 1.0, 1.0, 1.0), 1.0, _LONG)
_MANY = _Machine(((5, 4), (6, 4), (4, 4), (8, 3), (9, 3), (8, 2), (10, 2), (10, 1), (16, 1)), 24, (16, 8, 6, 6), (1.2, 1.22, 1.08, 1.0), 0.5, _SHORT)
_NARROW = _Machine(((6, 2), (5, 2), (4, 2), (4, 3), (8, 1), (10, 1)), 12, (8, 6, 4, 2), (1.2, 1.0, 1.02, 1.5), 0.5, _SHORT)


def _machine(target: Target) -> _Machine:
    if target.registers < 32:
        return _NARROW
    return _WIDEST if target.vector_bits >= 512 else _MANY


def tiles_of(target: Target) -> tuple[tuple[int, int], ...]:
    """Rows and vectors of the tiles for large products."""
    return _machine(target).tiles


def _candidates(c: Contract, target: Target) -> Iterator[Variant]:
    lanes, machine = target.lanes(max(32, c.dtype.bits)), _machine(target)
    both = [(swap, *((c.n, c.m) if swap else (c.m, c.n))) for swap in (False, True)]
    shown = isinstance(c.a, Windows)
    if shown:
        both = both[:1]
    streams = [side for side in both if not shown and _streams(c, side[0], max(1, side[1]), side[2], lanes)]
    for swap, m, n in streams or both:  # nothing else reads a large operand of few rows once, in order
        row_side, lane_side = sides(c, swap)
        if row_side.panel > 0:
            continue  # only lanes are read in panels
        available = max(1, -(-n // lanes))
        few = max(1, m)
        tiles = {(rows, min(vectors, available)) for rows, vectors in machine.tiles if rows <= few}
        if few <= 12:
            tiles |= {(few, min(vectors, available)) for vectors in (1, 2, 3, 4, 6, 8, 12, 16) if few * vectors <= machine.few}
        if streams:
            yield Variant(swap, few, _stream_vectors(few), lanes, False, False, False, _stream_rows(few, n * c.k * c.dtype.itemsize, target))
            continue
        if isinstance(c.a, Windows):
            for vectors in range(1, _plane_vectors(c, c.a, target) + 1):
                yield Variant(True, c.n, vectors, lanes, False, False, False, whole=True, planar=True)
            for rows, vectors, lines in _window_tiles(c.a, c.a.dtype is c.dtype, available, target):
                if lane_side.panel in (0, ANY_PANEL, vectors * lanes):
                    yield from _packed(c, target, swap, rows, vectors, lanes, lines)
            continue
        asked = lane_side.panel and not (lane_side.panel == ANY_PANEL and _memory_decides(c, few, n))
        turned = 0 if asked else _turned_vectors(c, swap, few, n, lanes, target)
        if turned:
            yield Variant(swap, few, turned, lanes, False, False, False, turn=True)
            continue
        for rows, vectors in sorted(tiles):
            if lane_side.panel in (0, ANY_PANEL, vectors * lanes):
                yield from _packed(c, target, swap, rows, vectors, lanes)


def _window_tiles(w: Windows, dtype_fits: bool, available: int, target: Target) -> Iterator[tuple[int, int, int]]:
    """Rows, vectors and lines of tiles whose rows lie in one row of positions (or run of elements), or are whole ones of them."""
    wide, tall, longest, lines_held = w.positions[2], w.positions[1], 16, 16
    if not w.positions_first:
        (wide, tall), longest, lines_held = windows.runs(w, windows.copied(w, dtype_fits)), 32, 5
    for vectors in range(1, min(available, 8) + 1):
        most = (target.registers - 1 - vectors) // vectors
        for rows in range(1, min(wide, most, longest) + 1):
            lines = max([n for n in range(1, max(1, min(most // rows, lines_held)) + 1) if tall % n == 0]) if rows == wide else 1
            yield rows * lines, vectors, lines


def _plane_vectors(c: Contract, w: Windows, target: Target) -> int:
    """Most vectors of a tile of neighbouring positions that few outputs share; 0 where they do not lie so or outputs fill lanes better."""
    lanes = target.lanes(max(32, c.dtype.bits))
    fits = w.positions_first and w.strides[2] == 1 and c.batch == 1 and c.b.dtype is c.dtype and sides(c, True)[0].panel <= 0
    return min((target.registers - 1) // (c.n + 1), w.positions[2] // lanes) if fits and 0 < c.n <= _FEW_OUTPUTS and lanes > 1 else 0


def _streams(c: Contract, swap: bool, rows: int, columns: int, lanes: int) -> bool:
    """Whether memory decides: few rows, and a lane side that lies in the right order and in no near cache."""
    row_side, lane_side = sides(c, swap)
    fits = row_side.dtype is lane_side.dtype is c.dtype and not lane_side.along_k and columns >= _stream_vectors(rows) * lanes
    if rows > _HELD_ROWS:  # panels do better
        return fits and not (row_side.panel or lane_side.panel) and rows <= _STREAMED_ROWS and columns * c.k * c.dtype.itemsize > _BEYOND_BYTES
    return fits and max(row_side.panel, lane_side.panel) <= 0 and _memory_decides(c, rows, columns)


def _memory_decides(c: Contract, rows: int, columns: int) -> bool:
    """Whether so few rows are multiplied with a large lane side that no order of it is faster than another."""
    return rows <= _HELD_ROWS and columns * c.k * c.dtype.itemsize > _IN_PLACE_BYTES


def _turned_vectors(c: Contract, swap: bool, rows: int, columns: int, lanes: int, target: Target) -> int:
    """Vectors of a tile of few rows whose lane side is turned in registers; 0 where packing is better.

    Enough chains have to run side by side, but rows whose distance is a power of two must not be
    more than the ways of the nearest cache where only a part of a line is read at a time.
    """
    row_side, lane_side = sides(c, swap)
    whole_lines = target.registers >= 32 and lanes * c.dtype.itemsize == LINE
    fits = row_side.dtype is lane_side.dtype is c.dtype and c.dtype.bits >= 32 and lane_side.along_k and c.k >= 32
    if not fits or not target.fma or target.vector_bits < 256 or rows > (10 if whole_lines else 2):
        return 0
    wanted = max(1, LINE // c.dtype.itemsize // lanes)
    if lane_side.leading * c.dtype.itemsize % 2048 == 0:
        wanted = min(wanted, max(1, 8 // lanes))
    return min(wanted, columns // lanes)


def _stream_vectors(rows: int) -> int:
    """Vectors of columns at a time: two of them share what is loaded of factors that registers cannot hold."""
    return 1 if rows <= _HELD_ROWS else 2


def _stream_rows(rows: int, size: int, target: Target) -> int:
    """Rows read at a time: more of them meet in one set of the cache, fewer read and write the sums more often."""
    if target.registers < 32:
        return (8, 4, 2, 2)[rows - 1] if rows <= _HELD_ROWS else 4
    return 8 if rows <= 2 and size > 16_000_000 else 4


def _packed(c: Contract, target: Target, swap: bool, rows: int, vectors: int, lanes: int, lines: int = 1) -> Iterator[Variant]:
    """What to copy first. In place is best while the caches hold it; but factors that lie together take fewer instructions."""
    m, n = (c.n, c.m) if swap else (c.m, c.n)
    row_side, lane_side = sides(c, swap)
    size, columns = c.dtype.itemsize, vectors * lanes
    narrow, panels = n < columns, -(-n // columns)
    lanes_in_place = lane_side.dtype is c.dtype and not lane_side.along_k and not (narrow and not target.masks)
    far = n * min(c.k, K_BLOCK) * size > _IN_PLACE_BYTES or (target.vector_bits < 512 and _crowded(lane_side.leading * size, c.k, columns * size))
    afar = n * c.k * size > (_BEYOND_BYTES if lane_side.leading * size % 2048 == 0 else 2 * _FAR_BYTES)
    pack_lanes = not lanes_in_place or (m > 48 and far) or (m > _STREAMED_ROWS and afar)
    if row_side.windows and panels > 1 and m > 256 and n * min(c.k, K_BLOCK) * size > _NEAR_BYTES:
        pack_lanes = True  # panels that lie together are fetched ahead
    in_panels = bool(lane_side.panel)
    rows_in_place = row_side.dtype is c.dtype and (not row_side.along_k or rows <= _machine(target).in_place[min(vectors, 4) - 1])
    paged = row_side.leading * size % 2048 == 0 and (rows > 10 if row_side.along_k else c.k > 256)
    paged = paged or (target.vector_bits < 512 and not row_side.along_k and m > 48 and _crowded(row_side.leading * size, c.k, rows * size))
    scattered = not row_side.along_k and c.k * m * size > (_IN_PLACE_BYTES if panels > _FEW_PANELS else 2 * _FAR_BYTES)
    pack_rows = not rows_in_place or (paged and panels > 1) or scattered
    if row_side.windows:  # elements of many positions far apart, for many panels
        pack_rows = not row_side.windows.positions_first and lines == 1 and panels > _FEW_PANELS
    whole = swap and m <= WHOLE_COLUMNS
    shown = "" if not row_side.windows else "positions" if row_side.windows.positions_first else "elements"
    both = target.masks and not pack_rows and (lines == 1 or shown == "positions")  # runs of elements are packed one by one
    for packed in (False, True) if both else (pack_rows,):
        yield Variant(
            swap, rows, vectors, lanes, packed, pack_lanes and not in_panels, narrow, whole=whole, lines=lines, in_panels=in_panels, windows=shown,
        )  # fmt: skip


def _crowded(stride: int, rows: int, width: int) -> bool:
    """Whether rows ``stride`` bytes apart, ``width`` bytes of each, fill more than half of a 32 KiB cache of 64 sets of 8 lines."""
    lines = -(-width // LINE) + (stride % LINE != 0)
    sets = min(64, 64 // math.gcd(stride // LINE, 64) * lines) if stride % LINE == 0 else 64
    return min(rows, K_BLOCK) * lines > 4 * sets


def _cost(c: Contract, v: Variant, target: Target) -> float:
    """Cycles, roughly."""
    m, n, k = (c.n, c.m, max(1, c.k)) if v.swap else (c.m, c.n, max(1, c.k))
    if v.planar and isinstance(c.a, Windows):
        return _planar_cost(c, c.a, v, _machine(target))
    row_side, lane_side = sides(c, v.swap)
    panels, slivers = -(-n // v.columns), -(-m // v.rows)
    if row_side.windows:
        slivers = _slab(c, row_side.windows, v.rows, v.lines).tiles
    sums, size = v.rows * v.vectors, c.dtype.itemsize
    machine = _machine(target)
    traffic = machine.traffic
    if v.windows:
        step = _window_step(c, v, machine, target)
    else:
        step = max(sums * machine.rate, 4.5, (v.rows + v.vectors) * machine.rate) * machine.pace[min(v.vectors, 4) - 1]
        step += others(v.rows, v.vectors, v.pack_rows, target)
        if v.vectors == 1 and not v.pack_rows and not row_side.along_k:
            step *= 1.08 / machine.pace[0]  # one address for all rows
        if v.rows * min(k, K_BLOCK) * size > _NEAR_BYTES:
            step *= 1.04
    if (v.pack_lanes or v.in_panels) and v.columns * min(k, K_BLOCK) * size > BLOCK_BYTES // 4:
        step *= 1.5  # a panel is read again from far away
    tile = k * step + -(-k // K_BLOCK) * (25 + 2 * sums)
    far = m * n * size > _BEYOND_BYTES
    if v.swap:
        column = traffic.whole[far] if v.whole else traffic.column[far] if c.n * size % 4096 else traffic.column_paged
        tile += v.columns * column + 40
    else:
        tile += v.rows * (3 + traffic.written[far] * v.vectors)
    total = tile * panels * slivers
    if row_side.panel:
        total *= _UNUSED_PANELS
    if v.stream:
        return k * v.rows * v.vectors * panels * (1 + 2 / v.stream)
    if v.turn:
        return k * v.vectors * panels * max(4.2, v.rows * machine.rate) + panels * 100
    if not v.in_panels:
        copied = (traffic.turned * v.lanes if lane_side.along_k else traffic.copied) if v.pack_lanes else 0
        total += k * panels * v.vectors * (traffic.read[n * k * size > _BEYOND_BYTES] + copied)
    if v.pack_rows:
        again = -(-panels * v.columns * K_BLOCK * size // (_larger(v, row_side) * BLOCK_BYTES))
        total += again * (m * (traffic.row_turned * k + 10) if row_side.along_k else traffic.row_copied * (1 - -v.rows // v.lanes) * k * slivers)
    elif row_side.along_k and not row_side.windows and v.rows > 10 and row_side.leading * size % 2048 == 0:
        total += tile * panels * slivers * 0.3
    return total


def repeats(packed: bool, vectors: int, target: Target) -> bool:
    """Whether multiply-adds take their factors from memory: packed ones, which are near; if more than two share one, it is better loaded once."""
    return target.masks and packed and vectors <= 2


def others(rows: int, vectors: int, packed: bool, target: Target) -> float:
    """Time of what a turn of k needs beside its multiply-adds."""
    if not target.masks:
        return (rows + vectors) * _OTHER
    if repeats(packed, vectors, target):
        return (_LOOPING + vectors) * _OTHER_SHARED + rows * vectors * _REPEATED
    return (_LOOPING + rows + vectors) * _OTHER_SHARED


def _window_step(c: Contract, v: Variant, machine: _Machine, target: Target) -> float:
    """Cycles of one k of a tile where a side shows windows: two multiply-adds, or two loads, or bytes of a far lane side in a cycle.

    A CPU with half the arithmetic takes twice as long, and never waits for more.
    """
    far = v.columns * min(max(1, c.k), K_BLOCK) * c.dtype.itemsize > _NEAR_BYTES
    fetch = v.columns * c.dtype.itemsize / _FAR_RATE if far else 0
    step = max(v.rows * v.vectors * 0.5, 4.5, (v.rows + v.vectors) * 0.5, fetch) + others(v.rows, v.vectors, v.pack_rows, target) / 2
    return step * 2 * machine.rate


def _planar_cost(c: Contract, w: Windows, v: Variant, machine: _Machine) -> float:
    """Cycles, roughly: half of the vectors lie in two lines, and the epilogue meets few outputs at a time."""
    across = w.positions[2]
    step = (max(v.rows * v.vectors * 0.5, 4.5, (v.rows + 2 * v.vectors) * 0.5) + (v.rows + v.vectors) * 0.02) * 2 * machine.rate
    tile = c.k * step + -(-c.k // K_BLOCK) * (25 + 2 * v.rows * v.vectors) + v.columns * 7 + 40
    copies = math.prod(w.grid) * w.items * w.channels * (0.3 if w.channels >= 4 else 1)
    return tile * (c.m // across) * -(-across // v.columns) + copies


def _panels_per_block(panels: int, panel: int, size: int) -> int:
    """Panels of so many bytes that lie together in ``size`` bytes, the blocks as even as they can be."""
    blocks = -(-panels // max(1, size // panel))
    return -(-panels // blocks)
