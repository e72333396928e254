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
        made = llvm.Target.from_triple(f"{target.triple}-elf")  # one format of object files on all systems
        machines[target] = made.create_target_machine(cpu=target.cpu, features=target.features, opt=1, reloc="pic", codemodel="small")
    return machines[target]


@functools.cache
def _function(name: str, short: bool) -> Any:
    """LLVM's function without the lock that llvmlite holds around every call: modules of different contexts may be worked on at the same time.

    In a ``short`` one this thread keeps the interpreter: to get it back from a busy thread takes up to five milliseconds.
    """
    from llvmlite.binding import ffi

    function = (ctypes.PyDLL if short else ctypes.CDLL)(ffi.lib._name, handle=ffi.lib._handle)[name]
    known = getattr(ffi.lib, name)
    function.argtypes, function.restype = known.argtypes, known.restype
    return function


def _short(name: str, *given: Any) -> Any:
    return _function(f"LLVMPY_{name}", True)(*given)


def _long(name: str, *given: Any) -> Any:
    return _function(f"LLVMPY_{name}", False)(*given)


def _emitted(ir: str, target: Target, form: int) -> bytes:
    """What LLVM's code generator makes of a module, in a context of its own. No optimisation pass of LLVM runs on it: generated code is
    explicit vectors with invariants hoisted already, and passes were measured to cost time and give the same or slower code; what
    the code generator does by itself (selection, addressing, registers, scheduling) is what is needed.
    """
    machine, problem = _machine(target), ctypes.c_char_p()
    context = _short("ContextCreate")
    try:
        module = _long("ParseAssembly", context, ir.encode(), ctypes.byref(problem))
        if not module or _short("VerifyModule", module, ctypes.byref(problem)):
            raise InternalError(f"LLVM refused generated code: {_taken(problem)}")
        buffer = _long("TargetMachineEmitToMemory", machine, module, form, ctypes.byref(problem))
        if not buffer:
            raise InternalError(f"LLVM made no code: {_taken(problem)}")
    finally:
        _short("ContextDispose", context)  # and its module
    try:
        return ctypes.string_at(_short("GetBufferStart", buffer), _short("GetBufferSize", buffer))
    finally:
        _short("DisposeMemoryBuffer", buffer)


def _taken(text: ctypes.c_char_p) -> str:
    """LLVM's message, whose memory is given back."""
    message = (text.value or b"").decode(errors="replace")
    _short("DisposeString", text)
    return message


def object_code(ir: str, target: Target) -> bytes:
    """Machine code of a module as an ELF object file. Several threads may ask at the same time."""
    return _emitted(ir, target, 1)


def assembly(ir: str, target: Target) -> str:
    """The same code as readable assembly."""
    return _emitted(ir, target, 0).decode()
