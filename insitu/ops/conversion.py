"""Changes of dtype, and the two identities that automatic differentiation uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.dtypes import DType
from insitu.errors import DTypeError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import describe


def _to_short(x: Values, dtype: DType) -> Values:
    """float64 rounded once, to nearest even, to a 16-bit float."""
    mantissa, least, most = (10, -14, 65504.0) if dtype is dt.float16 else (7, -126, float.fromhex("0x1.fep127"))
    with np.errstate(all="ignore"):
        unit = np.ldexp(1.0, np.maximum(np.frexp(x)[1] - 1, least) - mantissa)
        near = np.where(np.isfinite(x), np.rint(x / unit) * unit, x)
        return np.asarray(np.where(np.abs(near) > most, np.copysign(np.inf, near), near)).astype(dtype.numpy)


def _to_integer(x: Values, dtype: DType) -> Values:
    """Truncated and saturated; NaN gives 0."""
    whole = [0 if v != v else dtype.max if v >= dtype.max else dtype.min if v <= dtype.min else int(v) for v in x.ravel().tolist()]
    return np.array(whole, dtype.numpy).reshape(x.shape)


@register
class Cast(Primitive):
    name = "cast"
    meaning = "the value in another dtype; floats to integers truncate and saturate (NaN gives 0), to bool: not 0"
    attributes = ("dtype",)

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        return aval(avals[0].shape, attrs[0])

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        source = node.inputs[0].dtype
        return (ops.cast(ct, source) if source.is_float else None,)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        (x,) = arrays
        dtype: DType = attrs[0]
        source = dt.as_dtype(x.dtype)
        if source.kind == "f" and dtype.is_integer:
            return _to_integer(x.astype(np.float64), dtype)
        if source is dt.float64 and dtype.bits == 16 and dtype.is_float:
            return _to_short(x, dtype)
        with np.errstate(all="ignore"):
            if dtype.is_float and dtype.bits == 16:
                x = x.astype(np.float32)
            return x.astype(dtype.numpy)

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        (x,) = args
        to: DType = attrs[0]
        if to.kind == "b":
            return x if x.dtype.kind == "b" else nest.op("ne", x, nest.const(0, x.dtype))
        return nest.cast(nest.cast(x, to), to.compute)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for k, source in enumerate(dt.ALL):
            for to in dt.ALL[k % 2 :: 2] if source is not dt.float64 else dt.ALL:
                yield (to,), (draw(rng, (9,), source, -200, 200),)
        edge = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 300.7, -300.7, 2.5, -0.0, 1 + 2**-11 + 2**-30, 1 + 2**-8 + 2**-40, 6e-8, 65519.9])
        for to in dt.ALL:
            yield (to,), (edge,)
            yield (to,), (edge.astype(np.float32),)
        yield (dt.float16,), (draw(rng, (64,), dt.float64, -1e-4, 1e-4),)
        yield (dt.float32,), (draw(rng, (2, 3), dt.int64, -(1 << 60), 1 << 60),)


_CAST = REGISTRY["cast"]


def cast(x: Node, dtype: DType) -> Node:
    """The value in another dtype; the node itself if it has that dtype."""
    return x if x.aval.dtype is dtype else apply(_CAST, (x,), (dtype,))


@register
class Bitcast(Primitive):
    name = "bitcast"
    meaning = "the bits read as another dtype of the same width"
    attributes = ("dtype",)
    kind = "view"
    no_gradient = "it reads bits, not values"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        dtype: DType = attrs[0]
        if dtype.bits != x.dtype.bits or "b" in (dtype.kind, x.dtype.kind):
            same = ", ".join(d.name for d in dt.ALL if d.bits == x.dtype.bits and d is not dt.bool_)
            raise DTypeError(
                f"bitcast cannot read {x.dtype.name} as {dtype.name}: their widths differ, or one of them is bool.",
                expected=f"a dtype of {x.dtype.bits} bits: {same}",
                received=f"x: {describe(x)}, dtype: {dtype.name}",
                fix="use x.astype(dtype) to convert values",
                slug="bitcast-width",
            )
        return aval(x.shape, dtype)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        dtype: DType = attrs[0]
        return np.ascontiguousarray(arrays[0]).view(dtype.numpy).reshape(arrays[0].shape)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        return nest.bitcast(load(0, index, guard), node.attrs[0])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        pairs = ((dt.float32, dt.uint32), (dt.uint64, dt.float64), (dt.float16, dt.int16), (dt.uint16, dt.bfloat16), (dt.int8, dt.uint8))
        for source, to in pairs:
            yield (to,), (draw(rng, (3, 4), source, -90, 90),)


_BITCAST = REGISTRY["bitcast"]


def bitcast(x: Node, dtype: DType) -> Node:
    """The bits read as another dtype of the same width."""
    return x if x.aval.dtype is dtype else apply(_BITCAST, (x,), (dtype,))


class _Same(Primitive):
    """The value itself."""

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        return avals[0]

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return arrays[0].copy()

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        return args[0]

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for dtype in dt.ALL:
            yield (), (draw(rng, (2, 3), dtype),)


@register
class Identity(_Same):
    name = "identity"
    meaning = "the value itself: a node of its own, to differentiate with respect to"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ct,)


_IDENTITY = REGISTRY["identity"]


def identity(x: Node) -> Node:
    """A new node with the same value."""
    return apply(_IDENTITY, (x,))


@register
class StopGradient(_Same):
    name = "stop_gradient"
    meaning = "the value itself, as a constant for differentiation"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (None,)


_STOP_GRADIENT = REGISTRY["stop_gradient"]


def stop_gradient(x: Node) -> Node:
    """The value as a constant: no gradient passes."""
    return apply(_STOP_GRADIENT, (x,))
