"""LLVM IR text to object code or assembly, through llvmlite."""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any

from insitu.codegen.target import Target
from insitu.errors import InternalError

_own = threading.local()


def _machine(target: Target) -> Any:
    """LLVM's code generator for a CPU; each thread has its own. Levels above 1 take it a sixth longer for contractions, whose code is as fast."""
    machines: dict[Target, Any] = _own.__dict__.setdefault("machines", {})
    if target not in machines:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        llvm.initialize_native_asmparser()
        made = llvm.Target.from_triple(target.triple)
        machines[target] = made.create_target_machine(cpu=target.cpu, features=target.features, opt=1, reloc="pic", codemodel="small")
    return machines[target]


def _parsed(ir: str) -> Any:
    """The module in a context of its own, checked. No optimisation pass of LLVM runs on it: generated code is explicit
    vectors with invariants hoisted already, and passes were measured to cost time and give the same or slower code; what
    LLVM's code generator does by itself (selection, addressing, registers, scheduling) is what is needed.
    """
    import llvmlite.binding as llvm

    try:
        module = llvm.parse_assembly(ir, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise InternalError(f"LLVM refused generated code: {error}") from error
    return module


@functools.cache
def _emit_function() -> Any:
    """LLVM's function that takes nearly all of the time, without the lock that llvmlite holds around every call.

    Modules of different contexts may be compiled at the same time.
    """
    from llvmlite.binding import ffi

    function = ctypes.CDLL(ffi.lib._name, handle=ffi.lib._handle).LLVMPY_TargetMachineEmitToMemory
    function.argtypes = [ffi.LLVMTargetMachineRef, ffi.LLVMModuleRef, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    function.restype = ffi.LLVMMemoryBufferRef
    return function


def object_code(ir: str, target: Target) -> bytes:
    """Machine code of a module as a relocatable object file. Several threads may ask at the same time."""
    from llvmlite.binding import ffi

    machine, module, emit = _machine(target), _parsed(ir), _emit_function()
    with ffi.OutputString() as problem:
        buffer = emit(machine, module, 1, problem)
        if not buffer:
            raise InternalError(f"LLVM made no code: {problem}")
    try:
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def assembly(ir: str, target: Target) -> str:
    """The same code as readable assembly."""
    return str(_machine(target).emit_assembly(_parsed(ir)))
