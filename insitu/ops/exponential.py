"""Exponentials, logarithms, roots and the functions of statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from insitu import ops
from insitu.graph.node import REGISTRY, Attrs, Node, apply, register
from insitu.ops.elementwise import Unary, Values, in_double, number


@register
class Exp(Unary):
    name = "exp"
    meaning = "e to the power x"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, node),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.exp, *arrays)


_EXP = REGISTRY["exp"]


def exp(x: Node) -> Node:
    """E to the power x."""
    return apply(_EXP, (x,))


@register
class Expm1(Unary):
    name = "expm1"
    meaning = "exp(x) - 1, accurate near 0"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.add(node, number(1, ct))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.expm1, *arrays)


_EXPM1 = REGISTRY["expm1"]


def expm1(x: Node) -> Node:
    """Exp(x) - 1, accurate near 0."""
    return apply(_EXPM1, (x,))


@register
class Log(Unary):
    name = "log"
    meaning = "the natural logarithm"
    low = 0.1
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.div(ct, node.inputs[0]),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.log, *arrays)


_LOG = REGISTRY["log"]


def log(x: Node) -> Node:
    """The natural logarithm."""
    return apply(_LOG, (x,))


@register
class Log1p(Unary):
    name = "log1p"
    meaning = "log(1 + x), accurate near 0"
    low = -0.7
    high = 5.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.div(ct, ops.add(node.inputs[0], number(1, ct))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.log1p, *arrays)


_LOG1P = REGISTRY["log1p"]


def log1p(x: Node) -> Node:
    """Log(1 + x), accurate near 0."""
    return apply(_LOG1P, (x,))


@register
class Tanh(Unary):
    name = "tanh"
    meaning = "the hyperbolic tangent"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.sub(number(1, ct), ops.mul(node, node))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.tanh, *arrays)


_TANH = REGISTRY["tanh"]


def tanh(x: Node) -> Node:
    """The hyperbolic tangent."""
    return apply(_TANH, (x,))


def _sigmoid(x: Values) -> Values:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, small / (1 + small), 1 / (1 + small)))


@register
class Sigmoid(Unary):
    name = "sigmoid"
    meaning = "1 / (1 + exp(-x))"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.mul(node, ops.sub(number(1, ct), node))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(_sigmoid, *arrays)


_SIGMOID = REGISTRY["sigmoid"]


def sigmoid(x: Node) -> Node:
    """1 / (1 + exp(-x))."""
    return apply(_SIGMOID, (x,))


def _erf(x: Values) -> Values:
    return np.array([math.erf(v) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)


@register
class Erf(Unary):
    name = "erf"
    meaning = "the error function"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        slope = ops.mul(ops.exp(ops.neg(ops.mul(x, x))), number(2 / math.sqrt(math.pi), ct))
        return (ops.mul(ct, slope),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(_erf, *arrays)


_ERF = REGISTRY["erf"]


def erf(x: Node) -> Node:
    """The error function."""
    return apply(_ERF, (x,))


@register
class Sqrt(Unary):
    name = "sqrt"
    meaning = "the square root"
    low = 0.1
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.div(ops.mul(ct, number(0.5, ct)), node),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.sqrt, *arrays)


_SQRT = REGISTRY["sqrt"]


def sqrt(x: Node) -> Node:
    """The square root."""
    return apply(_SQRT, (x,))


def _rsqrt(x: Values) -> Values:
    return np.asarray(1 / np.sqrt(x))


@register
class Rsqrt(Unary):
    name = "rsqrt"
    meaning = "1 / sqrt(x)"
    low = 0.1
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        return (ops.div(ops.mul(ops.mul(ct, number(-0.5, ct)), node), x),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(_rsqrt, *arrays)


_RSQRT = REGISTRY["rsqrt"]


def rsqrt(x: Node) -> Node:
    """1 / sqrt(x)."""
    return apply(_RSQRT, (x,))
