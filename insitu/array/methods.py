"""The operators and methods of `Array`: the public functions under their method names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from insitu import ops
from insitu.array import contraction, elementwise, indexing, info, joining, reductions, shaping, sorting, taking
from insitu.array.array import Array, operand
from insitu.array.contraction import product
from insitu.array.update import At
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


def _divmod(self: Array, other: Any, /) -> tuple[Array, Array]:
    return elementwise.floor_divide(self, other), elementwise.remainder(self, other)


_BOTH_WAYS: dict[str, Callable[[Node, Node], Node]] = {
    "add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": elementwise.divide_nodes, "floordiv": ops.floordiv, "mod": ops.mod,
    "pow": elementwise.power_nodes, "matmul": product, "and": ops.and_, "or": ops.or_, "xor": ops.xor, "lshift": ops.shl, "rshift": ops.shr,
}  # fmt: skip
_COMPARISONS = {"eq": ops.eq, "ne": ops.ne, "lt": ops.lt, "le": ops.le, "gt": ops.gt, "ge": ops.ge}
_METHODS: dict[str, Any] = {
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin, "argsort": sorting.argsort,
    "astype": info.astype, "clip": elementwise.clip, "cumprod": reductions.cumprod, "cumsum": reductions.cumsum, "dot": contraction.dot,
    "flatten": shaping.flatten, "max": reductions.max, "mean": reductions.mean, "min": reductions.min, "nonzero": sorting.nonzero,
    "prod": reductions.prod, "ravel": shaping.ravel, "repeat": joining.repeat, "reshape": shaping.reshape, "round": elementwise.round,
    "sort": sorting.sort, "squeeze": shaping.squeeze, "std": reductions.std, "sum": reductions.sum, "swapaxes": shaping.swapaxes,
    "take": taking.take, "transpose": shaping.transpose, "var": reductions.var,
}  # fmt: skip


def attach() -> None:
    """Give `Array` its operators and methods."""
    for name, function in _BOTH_WAYS.items():
        setattr(Array, f"__{name}__", _operator(function))
        setattr(Array, f"__r{name}__", _reflected(function))
    for name, function in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _operator(function))
    for name, method in _METHODS.items():
        setattr(Array, name, method)
    Array.__getitem__ = indexing.getitem  # type: ignore[method-assign]
    Array.__divmod__ = _divmod  # type: ignore[method-assign]
    Array.at = property(At)  # type: ignore[method-assign,assignment]
    Array.__round__ = elementwise.round  # type: ignore[attr-defined]
