"""Elementary functions, written once against `Emitter` for any number of lanes.

Only correctly rounded operations (add, multiply, fma, divide, square root) and integer operations
are used, so that a result depends on the argument alone: not on the number of lanes, the
neighbours in the vector, or the CPU, as long as it has FMA. CPUs without FMA give other last places.

`BOUNDS` and `BOUNDS_WITHOUT_FMA` state the largest error in units in the last place (ULP) of the
exact result, subnormal results included. ``rem`` and ``mod`` are exact.

Examples
--------
>>> from insitu import dtypes as dt
>>> from insitu.codegen.cpu.emitter import Emitter
>>> from insitu.codegen.target import named
>>> b = Emitter(named("native"))
>>> with b.function("f", [("x", None)]) as (pointer,):
...     b.store(FUNCTIONS["exp"](b, b.load(pointer, dt.float32, 8)), pointer)
>>> "<8 x float>" in b.module()
True
"""

from __future__ import annotations

from collections.abc import Callable

from insitu.codegen.cpu.emitter import Value
from insitu.codegen.cpu.functions.error_function import erf
from insitu.codegen.cpu.functions.exponential import exp, expm1, sigmoid
from insitu.codegen.cpu.functions.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from insitu.codegen.cpu.functions.inverse_trigonometric import acos, asin, atan, atan2
from insitu.codegen.cpu.functions.logarithm import log, log1p
from insitu.codegen.cpu.functions.power import power
from insitu.codegen.cpu.functions.remainder import floordiv, mod, rem
from insitu.codegen.cpu.functions.trigonometric import cos, sin, tan

#: The function of each operation name: called with an `Emitter` and the operands.
FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "tanh": tanh, "sigmoid": sigmoid, "erf": erf,
    "sin": sin, "cos": cos, "tan": tan, "asin": asin, "acos": acos, "atan": atan, "atan2": atan2,
    "sinh": sinh, "cosh": cosh, "asinh": asinh, "acosh": acosh, "atanh": atanh,
    "pow": power, "rem": rem, "mod": mod, "floordiv": floordiv,
}  # fmt: skip

_TWO = {"float32": 2.0, "float64": 2.0}
_INEXACT = [name for name in FUNCTIONS if name not in ("rem", "mod", "floordiv")]
#: Largest error in ULP by function and dtype, on CPUs with FMA.
BOUNDS: dict[str, dict[str, float]] = {name: {**_TWO, "float32": 1.0} if name in ("exp", "log") else _TWO for name in _INEXACT}
#: The same where a multiply and an add take the place of FMA.
BOUNDS_WITHOUT_FMA: dict[str, dict[str, float]] = {
    **BOUNDS,
    "sin": {"float32": 3.0, "float64": 2.0},
    "cos": {"float32": 3.0, "float64": 2.0},
}
