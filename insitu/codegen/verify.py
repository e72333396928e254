"""The verifier of loop nests: what every pass must leave true."""

from __future__ import annotations

from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Axis, Expr, Kernel, Stmt
from insitu.codegen.nest_text import in_order, show_kernel, show_statement
from insitu.errors import InternalError

_HOWS = frozenset({"sum", "prod", "max", "min", "argmax", "argmin"})
_ROLES = frozenset({"in", "out", "both", "part", "scratch"})


def verify(kernel: Kernel) -> None:
    """Check a kernel.

    Every name is defined before its use and inside its scope; every buffer is declared, and written
    only if its role allows; types agree; an axis is bound once; a `Contract` or `ArgSort` stands alone.

    Parameters
    ----------
    kernel : Kernel
        The kernel.

    Raises
    ------
    InternalError
        Naming the first statement that breaks a rule.
    """
    _Verifier(kernel).run()


class _Verifier:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.buffers = {b.name: b for b in kernel.buffers}
        self.statement: Stmt | None = None

    def run(self) -> None:
        kernel = self.kernel
        self.require(len(self.buffers) == len(kernel.buffers), "two buffers have one name")
        for b in kernel.buffers:
            self.require(b.role in _ROLES, f"buffer {b.name} has the unknown role {b.role}")
            self.require(b.role != "scratch" or b.size > 0, f"scratch buffer {b.name} has no size")
        alone = [s for s in kernel.body if isinstance(s, nest.Contract | nest.ArgSort)]
        if alone:
            self.statement = alone[0]
            self.require(len(kernel.body) == 1, f"a {type(alone[0]).__name__} is not its kernel's only statement")
        self.body(kernel.body, frozenset({kernel.unit}), {})

    def require(self, condition: bool, what: str) -> None:
        if not condition:
            text = "\n".join(show_statement(self.statement)) if self.statement is not None else ""
            where = "" if self.statement is None else f", in the statement\n{text}"
            raise InternalError(f"loop nest: {what}{where}\n\nof\n{show_kernel(self.kernel)}")

    # -- statements --------------------------------------------------------------------------
    def body(self, body: Sequence[Stmt], axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        """Statements in order; names that they define end with the body."""
        names = dict(names)
        for s in body:
            self.statement = s
            if isinstance(s, nest.Store):
                self.store(s, axes, names)
            elif isinstance(s, nest.Let):
                self.expression(s.value, axes, names)
                self.define(s.name, s.value.dtype, names)
            elif isinstance(s, nest.Loop):
                self.body(s.body, self.bind(s.axis, axes), names)
            elif isinstance(s, nest.Reduce):
                self.reduce(s, axes, names)
            elif isinstance(s, nest.Contract):
                self.contract(s, axes, names)
            else:
                self.argsort(s, axes, names)

    def define(self, name: str, dtype: dt.DType, names: dict[str, dt.DType]) -> None:
        self.require(name not in names, f"{name} is defined twice")
        names[name] = dtype

    def bind(self, axis: Axis, axes: frozenset[str]) -> frozenset[str]:
        self.require(axis.name not in axes, f"axis {axis.name} is bound inside itself")
        self.require(axis.kind in ("serial", "vector"), f"axis {axis.name} has the unknown kind {axis.kind}")
        self.require(axis.extent >= 0, f"axis {axis.name} has the extent {axis.extent}")
        return axes | {axis.name}

    def store(self, s: nest.Store, axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        buffer = self.buffer(s.buffer)
        self.require(buffer.role != "in", f"buffer {s.buffer} is only read, by its role")
        self.require(s.value.dtype is buffer.dtype, f"a value of {s.value.dtype.name} goes to {s.buffer} of {buffer.dtype.name}")
        self.access(s.offset, s.guard)
        for x in (s.offset, s.value) if s.guard is None else (s.offset, s.value, s.guard):
            self.expression(x, axes, names)

    def reduce(self, s: nest.Reduce, axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        self.require(s.how in _HOWS, f"unknown reduction {s.how}")
        self.require(not s.after or s.axis.kind == "serial", "a scan needs a serial axis")
        inner, local = self.bind(s.axis, axes), dict(names)
        self.body(s.body, inner, local)
        self.statement = s
        for inside in s.body:
            if isinstance(inside, nest.Let | nest.Reduce):
                local[inside.name] = _result(inside)
        self.expression(s.value, inner, local)
        self.define(s.name, _result(s), names)
        self.body(s.after, inner, {**local, s.name: _result(s)})

    def contract(self, s: nest.Contract, axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        for operand in (s.a, s.b):
            buffer = self.buffer(operand.buffer)
            self.require(operand.dtype is buffer.dtype, f"{operand.buffer} of {buffer.dtype.name} is read as {operand.dtype.name}")
            self.require(not isinstance(operand, nest.Operand) or operand.panel >= 0, f"the panels of {operand.buffer} are not chosen yet")
        self.require(s.dtype.kind != "b", f"a contraction accumulates in {s.dtype.name}")
        self.body(s.epilogue, axes | {"batch", "m", "n"}, {**names, s.name: s.dtype})

    def argsort(self, s: nest.ArgSort, axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        source, target = self.buffer(s.source), self.buffer(s.target)
        self.require(source.dtype is s.dtype, f"{s.source} of {source.dtype.name} is sorted as {s.dtype.name}")
        self.require(target.dtype is dt.int64 and target.role != "in", f"positions go to {s.target}, {target.role} of {target.dtype.name}")
        self.require(0 <= s.kept <= s.length, f"{s.kept} of {s.length} positions")
        for x in (s.source_base, s.target_base):
            self.access(x, None)
            self.expression(x, axes, names)

    # -- expressions -------------------------------------------------------------------------
    def buffer(self, name: str) -> nest.Buffer:
        self.require(name in self.buffers, f"buffer {name} is not declared")
        return self.buffers[name]

    def access(self, offset: Expr, guard: Expr | None) -> None:
        self.require(offset.dtype is dt.int64, f"an offset is {offset.dtype.name}")
        self.require(guard is None or guard.dtype is dt.bool_, "a guard is not bool")

    def expression(self, root: Expr, axes: frozenset[str], names: dict[str, dt.DType]) -> None:
        for x in in_order((root,)):
            if x.op == "axis":
                self.require(x.attr in axes, f"axis {x.attr} is used outside its loop")
            elif x.op == "ref":
                self.require(x.attr in names, f"{x.attr} is used before it is defined, or outside its scope")
                self.require(names.get(x.attr) is x.dtype, f"{x.attr} is used as {x.dtype.name}")
            elif x.op == "load":
                buffer = self.buffer(x.attr)
                self.require(buffer.dtype is x.dtype, f"{x.attr} of {buffer.dtype.name} is read as {x.dtype.name}")
                self.require(buffer.role != "part", f"{x.attr} is read, but other kernels write parts of it")
                self.access(x.args[0], x.args[1] if len(x.args) > 1 else None)
            elif x.op == "bitcast":
                self.require(x.dtype.bits == x.args[0].dtype.bits, f"bits of {x.args[0].dtype.name} are read as {x.dtype.name}")
            elif x.op not in ("const", "cast"):
                self.operation(x)

    def operation(self, x: Expr) -> None:
        self.require(nest.OPERATIONS.get(x.op) == len(x.args), f"{x.op} has {len(x.args)} operands")
        values = x.args[1:] if x.op == "select" else x.args
        self.require(all(a.dtype is values[0].dtype for a in values), f"operands of {x.op} differ in type")
        self.require(x.op != "select" or x.args[0].dtype is dt.bool_, "a select's condition is not bool")
        result = dt.bool_ if x.op in nest.COMPARISONS else values[0].dtype
        self.require(x.dtype is result, f"{x.op} of {values[0].dtype.name} is said to be {x.dtype.name}")


def _result(s: nest.Let | nest.Reduce) -> dt.DType:
    """The type of the name that the statement defines."""
    return dt.int64 if isinstance(s, nest.Reduce) and s.how.startswith("arg") else s.value.dtype
