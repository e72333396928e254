"""Circular and hyperbolic functions and their inverses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from insitu import ops
from insitu.graph.node import REGISTRY, Attrs, Node, apply, register
from insitu.ops.elementwise import Binary, Unary, Values, binary, in_double, number, unbroadcast


@register
class Sin(Unary):
    name = "sin"
    meaning = "the sine of an angle in radians"
    low = -9.0
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.cos(node.inputs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.sin, *arrays)


_SIN = REGISTRY["sin"]


def sin(x: Node) -> Node:
    """The sine of an angle in radians."""
    return apply(_SIN, (x,))


@register
class Cos(Unary):
    name = "cos"
    meaning = "the cosine of an angle in radians"
    low = -9.0
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.neg(ops.mul(ct, ops.sin(node.inputs[0]))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.cos, *arrays)


_COS = REGISTRY["cos"]


def cos(x: Node) -> Node:
    """The cosine of an angle in radians."""
    return apply(_COS, (x,))


@register
class Tan(Unary):
    name = "tan"
    meaning = "the tangent of an angle in radians"
    low = -1.4
    high = 1.4

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.add(number(1, ct), ops.mul(node, node))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.tan, *arrays)


_TAN = REGISTRY["tan"]


def tan(x: Node) -> Node:
    """The tangent of an angle in radians."""
    return apply(_TAN, (x,))


def _circle(x: Node) -> Node:
    """sqrt(1 - x*x), without cancellation near x = 1."""
    one = number(1, x)
    return ops.sqrt(ops.mul(ops.sub(one, x), ops.add(one, x)))


@register
class Asin(Unary):
    name = "asin"
    meaning = "the angle in [-pi/2, pi/2] whose sine is x"
    low = -0.9
    high = 0.9

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.div(ct, _circle(node.inputs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arcsin, *arrays)


_ASIN = REGISTRY["asin"]


def asin(x: Node) -> Node:
    """The angle in [-pi/2, pi/2] whose sine is x."""
    return apply(_ASIN, (x,))


@register
class Acos(Unary):
    name = "acos"
    meaning = "the angle in [0, pi] whose cosine is x"
    low = -0.9
    high = 0.9

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.neg(ops.div(ct, _circle(node.inputs[0]))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arccos, *arrays)


_ACOS = REGISTRY["acos"]


def acos(x: Node) -> Node:
    """The angle in [0, pi] whose cosine is x."""
    return apply(_ACOS, (x,))


@register
class Atan(Unary):
    name = "atan"
    meaning = "the angle in [-pi/2, pi/2] whose tangent is x"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        return (ops.div(ct, ops.add(number(1, ct), ops.mul(x, x))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arctan, *arrays)


_ATAN = REGISTRY["atan"]


def atan(x: Node) -> Node:
    """The angle in [-pi/2, pi/2] whose tangent is x."""
    return apply(_ATAN, (x,))


@register
class Atan2(Binary):
    name = "atan2"
    meaning = "the angle of the point (x, y) = (b, a) from the x axis"
    accepts = "f"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        y, x = node.inputs
        part = ops.div(ct, ops.add(ops.mul(x, x), ops.mul(y, y)))
        return unbroadcast(node, ops.mul(part, x), ops.neg(ops.mul(part, y)))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arctan2, *arrays)


_ATAN2 = REGISTRY["atan2"]


def atan2(a: Node, b: Node) -> Node:
    """The angle of the point (b, a) from the x axis."""
    return binary(_ATAN2, a, b)


@register
class Sinh(Unary):
    name = "sinh"
    meaning = "the hyperbolic sine"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.cosh(node.inputs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.sinh, *arrays)


_SINH = REGISTRY["sinh"]


def sinh(x: Node) -> Node:
    """The hyperbolic sine."""
    return apply(_SINH, (x,))


@register
class Cosh(Unary):
    name = "cosh"
    meaning = "the hyperbolic cosine"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.sinh(node.inputs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.cosh, *arrays)


_COSH = REGISTRY["cosh"]


def cosh(x: Node) -> Node:
    """The hyperbolic cosine."""
    return apply(_COSH, (x,))


@register
class Asinh(Unary):
    name = "asinh"
    meaning = "the inverse of sinh"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        return (ops.div(ct, ops.sqrt(ops.add(number(1, ct), ops.mul(x, x)))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arcsinh, *arrays)


_ASINH = REGISTRY["asinh"]


def asinh(x: Node) -> Node:
    """The inverse of sinh."""
    return apply(_ASINH, (x,))


@register
class Acosh(Unary):
    name = "acosh"
    meaning = "the inverse of cosh"
    low = 1.1
    high = 9.0

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        one = number(1, ct)
        return (ops.div(ct, ops.sqrt(ops.mul(ops.sub(x, one), ops.add(x, one)))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arccosh, *arrays)


_ACOSH = REGISTRY["acosh"]


def acosh(x: Node) -> Node:
    """The inverse of cosh."""
    return apply(_ACOSH, (x,))


@register
class Atanh(Unary):
    name = "atanh"
    meaning = "the inverse of tanh"
    low = -0.9
    high = 0.9

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x = node.inputs[0]
        one = number(1, ct)
        return (ops.div(ct, ops.mul(ops.sub(one, x), ops.add(one, x))),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.arctanh, *arrays)


_ATANH = REGISTRY["atanh"]


def atanh(x: Node) -> Node:
    """The inverse of tanh."""
    return apply(_ATANH, (x,))
