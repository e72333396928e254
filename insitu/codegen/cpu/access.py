"""Memory access of a vector whose lanes are not contiguous, or not all there: reversed, strided, gathered, scattered, partial.

Masked-out lanes touch no memory. Of lanes that store to one place the last one's value stays.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
from insitu.codegen.target import Target
from insitu.dtypes import DType
from insitu.errors import InternalError


def memory_type(dtype: DType) -> DType:
    """The type in which a value is loaded and stored: bits where the value's own type is not a plain register."""
    if dtype.kind == "b":
        return dt.uint8
    return dt.uint16 if dtype.kind == "f" and dtype.bits == 16 else dtype


def advance(b: Emitter, pointer: Value, index: Value | int, dtype: DType) -> Value:
    """Pointer plus elements. Not `Emitter.offset`: under a guard or mask the address may lie outside the buffer."""
    at = b.const(index, dt.int64) if isinstance(index, int) else index
    return pointer if at.text == "0" else b.emit(f"getelementptr {llvm_type(dtype)}, {pointer!r}, {at!r}", None)


class Below(Value):
    """The mask of the first ``count`` lanes."""

    __slots__ = ("count",)

    def __init__(self, mask: Value, count: Value | int) -> None:
        super().__init__(mask.text, mask.dtype, mask.lanes)
        self.count = count


def below(b: Emitter, count: Value | int, lanes: int) -> Below:
    """The mask of the first ``count`` lanes."""
    if isinstance(count, int):
        bits = ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(lanes))
        return Below(Value(f"<{bits}>", dt.bool_, lanes), count)
    return Below(b.cmp("lt", b.lane_ids(dt.int32, lanes), b.splat(b.cast(count, dt.int32), lanes)), count)


def has_partial(target: Target, bits: int) -> bool:
    """Whether a vector of which only the first lanes are there is loaded and stored faster than element by element."""
    return target.masks or (target.triple.startswith("x86_64") and target.vector_bits == 256 and bits >= 32)


def store(b: Emitter, value: Value, pointer: Value, active: Value | None) -> None:
    """Store contiguous lanes. CPUs without cheap masks take tens of cycles for a masked store: the first lanes go in pieces there."""
    if not isinstance(active, Below) or b.target.masks or value.dtype is None:
        b.store(value, pointer, active)
    elif isinstance(active.count, int):
        store_first(b, value, pointer, active.count)
    else:
        area, dtype, size = b.spill(), value.dtype, value.lanes
        b.store(value, area)
        while size > 1:
            size //= 2
            with b.when(b.cmp("ne", b.and_(active.count, b.const(size, dt.int64)), b.const(0, dt.int64))):
                at = b.and_(active.count, b.const(-2 * size, dt.int64))
                b.store(b.load(b.offset(area, at, dtype), dtype, size), b.offset(pointer, at, dtype))


def store_first(b: Emitter, vector: Value, target: Value, count: int) -> None:
    """Store the first ``count`` lanes, in pieces of a power of two where they are not all."""
    at = 0
    while at < count:
        size = min(vector.lanes, 1 << ((count - at).bit_length() - 1))
        part = vector if size == vector.lanes else b.shuffle(vector, None, range(at, at + size)) if size > 1 else b.extract(vector, at)
        b.store(part, b.offset(target, at, vector.dtype))  # type: ignore[arg-type]
        at += size


def reverse(b: Emitter, value: Value) -> Value:
    """The lanes in the opposite order."""
    return b.shuffle(value, None, range(value.lanes - 1, -1, -1))


def gather(b: Emitter, pointer: Value, stride: int | None, dtype: DType, lanes: int, active: Value | None) -> Value:
    """Lane k from ``pointer + k * stride``, or with no stride from the k-th of a vector of pointers.

    Inactive lanes read 0.
    """
    if active is None and stride is not None:
        out = Value("poison", dtype, lanes)
        for k in range(lanes):
            out = b.insert(out, b.load(advance(b, pointer, k * stride, dtype), dtype), k)
        return out
    pointers = _spread(b, pointer, stride, dtype, lanes)
    active = active or b.const(True, dt.bool_, lanes)
    kind, name = llvm_type(dtype, lanes), f"llvm.masked.gather.v{lanes}{_code(dtype)}.v{lanes}p0"
    b.declared.setdefault(name, f"declare {kind} @{name}(<{lanes} x ptr>, <{lanes} x i1>, {kind})")
    where = f"<{lanes} x ptr> align {dtype.itemsize} {pointers.text}"
    return b.emit(f"call {kind} @{name}({where}, {active!r}, {kind} zeroinitializer)", dtype, lanes)


def scatter(b: Emitter, value: Value, pointer: Value, stride: int | None, active: Value | None) -> None:
    """Lane k to ``pointer + k * stride``, or with no stride to the k-th of a vector of pointers."""
    lanes, dtype = value.lanes, value.dtype
    if dtype is None:
        raise InternalError("code generator: a pointer cannot be stored")
    if active is None and stride is not None:
        for k in range(lanes):
            b.store(b.extract(value, k), advance(b, pointer, k * stride, dtype))
        return
    pointers = _spread(b, pointer, stride, dtype, lanes)
    active = active or b.const(True, dt.bool_, lanes)
    name = f"llvm.masked.scatter.v{lanes}{_code(dtype)}.v{lanes}p0"
    b.declared.setdefault(name, f"declare void @{name}({llvm_type(dtype, lanes)}, <{lanes} x ptr>, <{lanes} x i1>)")
    b.void(f"call void @{name}({value!r}, <{lanes} x ptr> align {dtype.itemsize} {pointers.text}, {active!r})")


def _spread(b: Emitter, pointer: Value, stride: int | None, dtype: DType, lanes: int) -> Value:
    """Addresses of all lanes."""
    if stride is None:
        return b.splat(pointer, lanes)
    steps = ", ".join(f"i64 {k * stride}" for k in range(lanes))
    return b.emit(f"getelementptr {llvm_type(dtype)}, {pointer!r}, <{lanes} x i64> <{steps}>", None, lanes)


def _code(dtype: DType) -> str:
    return ("f" if dtype.kind == "f" else "i") + str(dtype.bits)
