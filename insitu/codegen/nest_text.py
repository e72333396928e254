"""Loop nests as text: what a person reads, what a test compares, what the code cache's key is made from.

::

    kernel(in x: float32, out y: float32)
      parallel r:
        m = max over vector j < 10 of x[((r * 10) + j)]: float32
        vector j < 10:
          y[((r * 10) + j)] = exp((x[((r * 10) + j)] - m))

An expression that is used more than once in a statement, or is long, stands before it as ``t1 := ...``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Expr, Kernel, Stmt

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
          "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}  # fmt: skip
#: An expression of this many parts gets a name if it is used again; one of that many always does.
_SHARED_SIZE, _LONG_SIZE = 8, 60
_LEAVES = frozenset({"const", "axis", "ref"})


def show(x: Expr) -> str:
    """One expression; parts that are shared or long follow after ``where``."""
    names, lines = _definitions((x,))
    text = _show(x, {k: v for k, v in names.items() if k is not x})
    return " where ".join([text, *[line for line in lines if not line.startswith(f"{names.get(x)} ")]])


def show_kernel(kernel: Kernel) -> str:
    """The nest as text."""
    buffers = (f"{b.role} {b.name}: {b.dtype.name}" + (f"[{b.size}]" if b.role == "scratch" else "") for b in kernel.buffers)
    bound = _unit_bound(kernel)
    unit = f"{'vector ' if kernel.vector else ''}{kernel.unit}" + ("" if bound is None else f" < {bound + 1}")
    return "\n".join([f"kernel({', '.join(buffers)})", f"  parallel {unit}:", *_show_body(kernel.body, 2)])


def show_statement(statement: Stmt) -> list[str]:
    """The lines of one statement."""
    return _show_stmt(statement, 0)


def _show(x: Expr, names: Mapping[Expr, str]) -> str:
    if x in names:
        return names[x]
    if x.op == "const":
        text = repr(x.attr) if x.dtype.kind != "b" else str(bool(x.attr)).lower()
        return text if x.dtype in (dt.int64, dt.float32, dt.bool_) else f"{x.dtype.name}({text})"
    if x.op in _LEAVES:
        return str(x.attr)
    args = [_show(a, names) for a in x.args]
    if x.op == "load":
        return f"{x.attr}[{' if '.join(args)}]"
    if x.op in ("cast", "bitcast"):
        return f"{'' if x.op == 'cast' else 'bits_'}{x.dtype.name}({args[0]})"
    if x.op in _INFIX:
        return f"({args[0]} {_INFIX[x.op]} {args[1]})"
    return f"{x.op}({', '.join(args)})"


def _definitions(roots: Iterable[Expr]) -> tuple[dict[Expr, str], list[str]]:
    """Names for shared and long parts, and their defining lines in order of use."""
    order = in_order(roots)
    uses: dict[Expr, int] = {}
    for x in order:
        for a in x.args:
            uses[a] = uses.get(a, 0) + 1
    names: dict[Expr, str] = {}
    sizes: dict[Expr, int] = {}
    lines: list[str] = []
    for x in order:
        size = 1 + sum([1 if a in names else sizes[a] for a in x.args])
        sizes[x] = size
        if x.op not in _LEAVES and ((uses.get(x, 0) > 1 and size >= _SHARED_SIZE) or size >= _LONG_SIZE):
            text = _show(x, names)
            names[x] = f"t{len(names) + 1}"
            lines.append(f"{names[x]} := {text}")
    return names, lines


def in_order(roots: Iterable[Expr]) -> list[Expr]:
    """Every part once, operands before what uses them."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[Expr | None] = [*reversed([*roots])]
    while stack:
        x = stack.pop()
        if x is None:  # its operands are in the order
            order.append(stack.pop())  # type: ignore[arg-type]
        elif x not in seen:
            seen.add(x)
            if x.args:
                stack += (x, None, *x.args[::-1])
            else:
                order.append(x)
    return order


def _unit_bound(kernel: Kernel) -> int | None:
    """The largest unit position that expressions rely on; None as it should be, for code that serves any extent."""
    bounds = {x.hi for x in in_order(_roots(kernel.body)) if x.op == "axis" and x.attr == kernel.unit}
    known = [b for b in bounds if b is not None]
    return max(known) if known else None


def own_roots(s: Stmt) -> tuple[Expr, ...]:
    """The expressions that stand in the statement itself."""
    if isinstance(s, nest.Store):
        return (s.offset, s.value) if s.guard is None else (s.offset, s.value, s.guard)
    if isinstance(s, nest.ArgSort):
        return (s.source_base, s.target_base)
    return (s.value,) if isinstance(s, nest.Let | nest.Reduce) else ()


def _roots(body: Sequence[Stmt]) -> list[Expr]:
    found: list[Expr] = []
    for s in body:
        found += own_roots(s)
        if isinstance(s, nest.Loop):
            found += _roots(s.body)
        elif isinstance(s, nest.Reduce):
            found += _roots((*s.body, *s.after))
        elif isinstance(s, nest.Contract):
            found += _roots(s.epilogue)
    return found


def _show_body(body: Sequence[Stmt], depth: int) -> list[str]:
    return [line for s in body for line in _show_stmt(s, depth)]


def _show_operand(o: nest.Operand | nest.Windows | nest.Squares) -> str:
    if isinstance(o, nest.Squares):
        size, mixed = (_show_extents((extent,) * 2) for extent in (len(o.matrix[0]), len(o.matrix)))
        where = f"{o.items}x{_show_extents(o.count)} squares {size} by steps of {o.step} before {_show_extents(o.before)} mixed to {mixed}"
        return f"{where} of {o.items}x{_show_extents(o.grid)}x{o.pixel}"
    if isinstance(o, nest.Operand):
        return f"strides {o.batch_stride}, {o.row_stride}, {o.col_stride}" + (f" panels of {o.panel}" if o.panel else "")
    order = ("m", "k") if o.positions_first else ("k", "m")
    where = f"position {order[0]} of {o.items}x{_show_extents(o.positions)} strides {_show_extents(o.strides)} before {_show_extents(o.before)}"
    what = f"element {order[1]} of {_show_extents(o.taps)}x{o.channels} dilation {_show_extents(o.dilation)}"
    return f"windows of {o.items}x{_show_extents(o.grid)}x{o.pixel}: {where}, {what}"


def _show_extents(extents: tuple[int, ...]) -> str:
    return "x".join(map(str, extents))


def _show_axis(axis: nest.Axis) -> str:
    extent = str(axis.extent) if axis.length is None else f"{show(axis.length)} ({axis.extent} each)"
    return f"{axis.kind} {axis.name} < {extent}"


def _show_stmt(s: Stmt, depth: int) -> list[str]:
    pad = "  " * depth
    names, definitions = _definitions(own_roots(s))
    lines = [pad + line for line in definitions]
    if isinstance(s, nest.Store):
        guard = f" if {_show(s.guard, names)}" if s.guard is not None else ""
        return [*lines, f"{pad}{s.buffer}[{_show(s.offset, names)}] = {_show(s.value, names)}{guard}"]
    if isinstance(s, nest.Let):
        return [*lines, f"{pad}let {s.name}: {s.value.dtype.name} = {_show(s.value, names)}"]
    if isinstance(s, nest.Loop):
        return [f"{pad}{_show_axis(s.axis)}:", *_show_body(s.body, depth + 1)]
    if isinstance(s, nest.Reduce):
        head = f"{pad}{s.name} = {s.how} over {_show_axis(s.axis)} of {_show(s.value, names)}: {s.value.dtype.name}"
        after = [f"{pad}  after:", *_show_body(s.after, depth + 2)] if s.after else []
        return [*lines, head, *_show_body(s.body, depth + 1), *after]
    if isinstance(s, nest.Contract):
        head = f"{pad}{s.name}[batch < {s.batch}, m < {s.m}, n < {s.n}] = contract k < {s.k}: {s.dtype.name}"
        sides = [f"{pad}  {name} = {o.buffer}: {o.dtype.name} {_show_operand(o)}" for name, o in (("a", s.a), ("b", s.b))]
        if s.outputs is not None:
            sides.append(f"{pad}  mixed to positions {_show_extents(s.outputs.positions)}")
        return [head, *sides, f"{pad}  epilogue:", *_show_body(s.epilogue, depth + 2)]
    order = f"first {s.kept} of argsort {'descending' if s.descending else 'ascending'} j < {s.length}: {s.dtype.name}"
    target, source = _show(s.target_base, names), _show(s.source_base, names)
    return [*lines, f"{pad}{s.target}[{target} + j*{s.target_stride}] = {order} of {s.source}[{source} + j*{s.source_stride}]"]
