"""The stages of a program as text, for `inspect` and for people who want to see."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insitu.compiler.lower import Lowered, reads, writes
from insitu.errors import ArgumentError
from insitu.graph import node as graph

if TYPE_CHECKING:
    from insitu.compiler.compiled import Compiled
    from insitu.compiler.pipeline import Stages

STAGES = ("graph", "simplified", "kernels", "nests", "llvm", "assembly")


def report(compiled: Compiled, stage: str = "") -> str:
    """One stage, or all of them under headings."""
    if stage and stage not in STAGES:
        raise ArgumentError(
            f'"{stage}" is not a stage of the compiler.',
            expected="one of " + ", ".join(STAGES) + ", or nothing for all",
            received=repr(stage),
            fix='f.inspect(x, stage="nests")',
            slug="inspect-stage",
            argument="stage",
        )
    if stage:
        return _stage(compiled, stage)
    return "\n\n".join(f"== {s} ==\n{_stage(compiled, s)}" for s in STAGES)


def _stage(compiled: Compiled, stage: str) -> str:
    if stage == "graph":
        return graph.show(compiled.graph)
    before = compiled.stages.preparation
    shown = _made(compiled, compiled.stages, stage)
    return shown if before is None else f"once, from constants:\n{_made(compiled, before, stage)}\n\nin every run:\n{shown}"


def _made(compiled: Compiled, stages: Stages, stage: str) -> str:
    if stage == "simplified":
        return graph.show(stages.simplified)
    if stage == "kernels":
        return _kernels(stages)
    if stage == "nests":
        return "\n\n".join(str(low.kernel) for low in stages.plan.order)
    from insitu.codegen.cpu import assemble

    codes = {code.key: code for g in stages.generated for code in g.codes}.values()
    texts = [c.ir() for c in codes]
    if stage == "assembly":
        texts = [assemble.assembly(t, compiled.target) for t in texts]
    return "\n".join(texts)


def _kernels(stages: Stages) -> str:
    rows = ["  #  round  units      FLOPs      bytes  nodes"]
    for k, ((when, parts), made) in enumerate(zip(stages.launched, stages.generated, strict=True)):
        work = f"{sum(map(flops, parts)):>9}  {sum(map(traffic, parts)):>9}"
        names = [f"{low.group.kind}: {', '.join(n.prim.name for n in low.group.nodes)}" for low in parts]
        if len(parts) > 1:
            names = [f"{len(parts)} nests: {' | '.join(names)}"]
        rows.append(f"{k:>3}  {when:>5}  {made.units:>5}  {work}  {names[0]}")
    rows.append(f"arena {stages.plan.arena} bytes; written in place: {len(stages.plan.donated)} of {len(stages.simplified)} results")
    return "\n".join(rows)


def flops(low: Lowered) -> int:
    """Floating-point operations of a kernel: 2 for each multiply-add of a contraction, 1 for each element-wise or reduced element."""
    total = 0
    for n in low.group.nodes:
        if n.prim.kind == "contract":
            total += 2 * n.aval.size * _chain(n)
        elif n.prim.kind == "reduce":
            total += n.inputs[0].aval.size
        elif n.prim.kind in ("map", "mix", "scan"):
            total += _elements(low, n)
    return total


def _elements(low: Lowered, n: graph.Node) -> int:
    """Elements of a value that a kernel computes, or reads or writes: where it computes a part of a larger value, so many of all of its shape."""
    inside = low.group.inside
    return n.aval.size if inside is None or n.shape != inside.whole.shape else inside.size


def _chain(n: graph.Node) -> int:
    """Multiply-adds of one element of a contraction; of one by mixed squares those that are computed."""
    if n.prim.name == "conv_squares":
        return math.prod(n.inputs[1].shape[:-1]) // 4
    if n.prim.name == "conv_squares_weight":
        return math.prod([-(-extent // step) for extent, step in zip(n.inputs[1].shape[:-1], (1, 2, 2), strict=True)])
    if n.prim.name == "conv":
        return math.prod(n.inputs[1].shape[:-1])
    return math.prod(n.inputs[1].shape[:-1]) if n.prim.name == "conv_weight" else n.inputs[0].shape[-1]


def traffic(low: Lowered) -> int:
    """Bytes of all values the kernel reads and writes, each counted once."""
    return sum(_elements(low, n) * n.dtype.itemsize for some in (reads(low), writes(low)) for n in some)


def program_flops(compiled: Compiled) -> int:
    """Floating-point operations of one run."""
    return sum(flops(low) for low in compiled.stages.plan.order)
