"""LLVM IR text to object code or assembly, through llvmlite."""

from __future__ import annotations

import functools
from typing import Any

from insitu.codegen.target import Target
from insitu.errors import InternalError


@functools.cache
def _machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    made = llvm.Target.from_triple(target.triple)
    return made.create_target_machine(cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="small")


def _parsed(ir: str) -> Any:
    """The module, checked. No optimisation pass of LLVM runs on it: generated code is explicit vectors with
    invariants hoisted already, and passes were measured to cost time and give the same or slower code; what
    LLVM's code generator does by itself (selection, addressing, registers, scheduling) is what is needed.
    """
    import llvmlite.binding as llvm

    try:
        module = llvm.parse_assembly(ir)
        module.verify()
    except RuntimeError as error:
        raise InternalError(f"LLVM refused generated code: {error}") from error
    return module


def object_code(ir: str, target: Target) -> bytes:
    """Machine code of a module as a relocatable object file."""
    return bytes(_machine(target).emit_object(_parsed(ir)))


def assembly(ir: str, target: Target) -> str:
    """The same code as readable assembly."""
    return str(_machine(target).emit_assembly(_parsed(ir)))
