"""Memory access of a vector whose lanes are not contiguous: reversed, strided, gathered and scattered.

Masked-out lanes touch no memory. Of lanes that store to one place the last one's value stays.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
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
