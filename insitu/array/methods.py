"""The operators and methods of `Array`: the public functions under their method names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from insitu import ops
from insitu.array import contraction, elementwise, indexing, info, joining, reductions, shaping, sorting, taking
from insitu.array.array import Array, operand
from insitu.array.contraction import product
from insitu.array.update import At
from insitu.array.variable import Variable
from insitu.graph.node import Node


def _operator(function: Callable[[Node, Node], Node]) -> Callable[[Array, Any], Array]:
    def forward(self: Array, other: Any, /) -> Array:
        if type(other) is Array:
            return Array(function(self._node, other._node))
        b = operand(other, self._node.aval.dtype)
        return NotImplemented if b is None else Array(function(self._node, b))

    return forward


def _reflected(function: Callable[[Node, Node], Node]) -> Callable[[Array, Any], Array]:
    def backward(self: Array, other: Any, /) -> Array:
        a = operand(other, self._node.aval.dtype)
        return NotImplemented if a is None else Array(function(a, self._node))

    return backward


def _of_value(name: str) -> Callable[..., Any]:
    """An operator of `Variable`: what its value does."""
    operator = getattr(Array, name)

    def operate(self: Variable, /, *others: Any) -> Any:
        return operator(self.value, *others)

    return operate


def _in_place(name: str) -> Callable[[Variable, Any], Any]:
    operator = getattr(Array, name)

    def operate(self: Variable, other: Any, /) -> Any:
        found = operator(self.value, other)
        if found is NotImplemented:
            return NotImplemented
        self.assign(found)
        return self

    return operate


def _divmod(self: Array, other: Any, /) -> tuple[Array, Array]:
    return elementwise.floor_divide(self, other), elementwise.remainder(self, other)


def _rdivmod(self: Array, other: Any, /) -> tuple[Array, Array]:
    return elementwise.floor_divide(other, self), elementwise.remainder(other, self)


_BOTH_WAYS: dict[str, Callable[[Node, Node], Node]] = {
    "add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": elementwise.divide_nodes, "floordiv": ops.floordiv, "mod": ops.mod,
    "pow": elementwise.power_nodes, "matmul": product, "and": ops.and_, "or": ops.or_, "xor": ops.xor, "lshift": ops.shl, "rshift": ops.shr,
}  # fmt: skip
#: What a `Variable` does as its value does; it stays equal to itself alone, as a key of dicts.
_OF_VALUES = ("neg", "pos", "abs", "invert", "getitem", "divmod", "rdivmod", "lt", "le", "gt", "ge", "bool", "float", "int", "iter", "contains")
_COMPARISONS = {"eq": ops.eq, "ne": ops.ne, "lt": ops.lt, "le": ops.le, "gt": ops.gt, "ge": ops.ge}
_METHODS: dict[str, Any] = {
    "__divmod__": _divmod, "__rdivmod__": _rdivmod,
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin, "argsort": sorting.argsort,
    "astype": info.astype, "clip": elementwise.clip, "cumprod": reductions.cumprod, "cumsum": reductions.cumsum, "dot": contraction.dot,
    "flatten": shaping.flatten, "max": reductions.max, "mean": reductions.mean, "min": reductions.min, "nonzero": sorting.nonzero,
    "prod": reductions.prod, "ravel": shaping.ravel, "repeat": joining.repeat, "reshape": shaping.reshape, "round": elementwise.round,
    "sort": sorting.sort, "squeeze": shaping.squeeze, "std": reductions.std, "sum": reductions.sum, "swapaxes": shaping.swapaxes,
    "take": taking.take, "transpose": shaping.transpose, "var": reductions.var,
}  # fmt: skip


def attach() -> None:
    """Give `Array` its operators and methods, and `Variable` the operators."""
    for name, function in _BOTH_WAYS.items():
        setattr(Array, f"__{name}__", _operator(function))
        setattr(Array, f"__r{name}__", _reflected(function))
    for name, function in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _operator(function))
    for name, method in _METHODS.items():
        setattr(Array, name, method)
    Array.__getitem__ = indexing.getitem  # type: ignore[method-assign]
    Array.at = property(At)  # type: ignore[method-assign,assignment]
    Array.__round__ = elementwise.round  # type: ignore[attr-defined]
    for name in (*_BOTH_WAYS, *[f"r{name}" for name in _BOTH_WAYS], *_OF_VALUES):
        setattr(Variable, f"__{name}__", _of_value(f"__{name}__"))
    for name in _BOTH_WAYS:
        setattr(Variable, f"__i{name}__", _in_place(f"__{name}__"))
