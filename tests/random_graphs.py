"""Random small graphs over all primitives, for tests of the compiler."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.dtypes import DType
from insitu.graph.node import Node, aval, placeholder
from insitu.transform.autodiff import backward

Shape = tuple[int, ...]

#: Few extents, so that different graphs share kernels.
EXTENTS = (1, 2, 3, 4, 5, 8, 17, 33)
FLOATS = (dt.float32, dt.float32, dt.float32, dt.float64, dt.float16, dt.bfloat16)
INTEGERS = (dt.int64, dt.int32, dt.int8, dt.uint8, dt.uint32)
UNARY = (
    "neg", "abs", "sign", "floor", "ceil", "trunc", "rint", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sin", "cos",
    "atan", "sinh", "cosh", "asinh", "sqrt", "rsqrt",
)  # fmt: skip
CHEAP = ("neg", "abs", "sign", "floor", "rint", "tanh", "exp", "sqrt", "square")
BINARY = ("add", "sub", "mul", "max_", "min_", "div", "add", "sub", "mul")
LARGEST = 4096


class Graph:
    """Inputs with their values, and results: ``Graph(seed)`` is always the same graph."""

    def __init__(self, seed: int, steps: int = 12) -> None:
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.values: dict[Node, np.ndarray] = {}
        self.pool: list[Node] = []
        for _ in range(self.rng.randint(1, 3)):
            self.leaf(self.shape())
        for _ in range(self.rng.randint(max(1, steps // 3), steps)):
            self._step()
        self.outputs = self._results()
        self.inputs = list(self.values)

    # -- parts -------------------------------------------------------------------------------
    def leaf(self, shape: Shape, dtype: DType | None = None) -> Node:
        """A new input: mostly plain numbers, some special ones."""
        dtype = dtype or self.rng.choice(FLOATS)
        if dtype.kind == "f":
            value = self.numbers.standard_normal(shape)
            if self.rng.random() < 0.2:
                special = self.numbers.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1e-40, 2.0], shape)
                value = np.where(self.numbers.random(shape) < 0.1, special, value)
            with np.errstate(all="ignore"):
                value = value.astype(dtype.numpy)
        elif dtype.kind == "b":
            value = self.numbers.random(shape) < 0.5
        else:
            value = self.numbers.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype.numpy)
        node = placeholder(aval(shape, dtype))
        self.values[node] = np.asarray(value)
        self.pool.append(node)
        return node

    def shape(self, ndim: int | None = None) -> Shape:
        while True:
            n = self.rng.choice((0, 1, 2, 2, 2, 3, 3, 4)) if ndim is None else ndim
            out = tuple(self.rng.choice(EXTENTS) for _ in range(n))
            if n and self.rng.random() < 0.03:
                k = self.rng.randrange(n)
                out = (*out[:k], 0, *out[k + 1 :])
            if math.prod(out) <= LARGEST:
                return out

    def pick(self, kinds: str = "biuf", least: int = 0) -> Node:
        """A node so far, the later ones more often; a new input where none fits."""
        found = [n for n in self.pool if n.dtype.kind in kinds and n.ndim >= least]
        if not found or self.rng.random() < 0.08:
            dtype = self.rng.choice(FLOATS if "f" in kinds else INTEGERS if "i" in kinds else (dt.bool_,))
            return self.leaf(self.shape(max(least, self.rng.randint(1, 3))), dtype)
        return found[-1 - min(int(self.rng.expovariate(0.5)), len(found) - 1)]

    def mate(self, x: Node) -> Node:
        """A node that broadcasts with ``x``, of its dtype."""
        found = [n for n in self.pool if n.dtype is x.dtype and n is not x and _broadcasts(n.shape, x.shape)]
        choice = self.rng.random()
        if found and choice < 0.55:
            return self.rng.choice(found)
        if choice < 0.65:
            return x
        if choice < 0.75:
            return ops.constant(self.rng.choice((0, 1, 2, 3, 7)) if x.dtype.kind != "b" else True, x.dtype)
        if choice < 0.8 and x.ndim and x.dtype.kind != "b":
            return ops.iota(x.shape, self.rng.randrange(x.ndim), x.dtype)
        shape = tuple(1 if self.rng.random() < 0.3 else n for n in x.shape)
        return self.leaf(shape[self.rng.randint(0, x.ndim) if self.rng.random() < 0.3 else 0 :], x.dtype)

    def axis(self, x: Node) -> int:
        return self.rng.randrange(x.ndim)

    def keep(self, *nodes: Node) -> None:
        self.pool += [n for n in nodes if n.aval.size <= LARGEST]

    # -- steps -------------------------------------------------------------------------------
    def _step(self) -> None:
        steps: list[tuple[int, Callable[[], None]]] = [
            (4, self.unary), (7, self.binary), (2, self.chain), (2, self.choice), (2, self.convert), (3, self.integers), (5, self.reduction),
            (3, self.centred), (2, self.softmax), (7, self.view), (4, self.product), (2, self.scan), (2, self.order), (2, self.taking),
            (1, self.scattering), (1, self.gradient), (1, self.random),
        ]  # fmt: skip
        weights, functions = zip(*steps, strict=True)
        self.rng.choices(functions, weights)[0]()

    def unary(self) -> None:
        self.keep(getattr(ops, self.rng.choice(UNARY))(self.pick("f")))

    def binary(self) -> None:
        x = self.pick("f")
        pair = [x, self.mate(x)]
        self.rng.shuffle(pair)
        name = self.rng.choice((*BINARY, "pow", "copysign", "atan2", "mod"))
        if name == "copysign":  # the sign of NaN is the CPU's business
            pair[1] = ops.where(ops.isnan(pair[1]), ops.constant(1, x.dtype), pair[1])
        self.keep(getattr(ops, name)(*pair))

    def chain(self) -> None:
        x = self.pick("f")
        for _ in range(self.rng.randint(2, 6)):
            x = getattr(ops, self.rng.choice(CHEAP))(x) if self.rng.random() < 0.6 else getattr(ops, self.rng.choice(BINARY))(x, self.mate(x))
            if self.rng.random() < 0.3:
                self.keep(x)
        self.keep(x)

    def choice(self) -> None:
        x = self.pick("f")
        y = self.mate(x)
        mask = getattr(ops, self.rng.choice(("eq", "ne", "lt", "le", "gt", "ge")))(x, self.mate(x))
        if mask.ndim == x.ndim:
            self.keep(mask)
        masks = [n for n in self.pool if n.dtype is dt.bool_ and _broadcasts(n.shape, mask.shape)]
        if masks and self.rng.random() < 0.4:
            mask = getattr(ops, self.rng.choice(("and_", "or_", "xor")))(mask, self.rng.choice(masks))
        if _broadcasts(mask.shape, ops.add(x, y).shape):
            self.keep(ops.where(mask, x, y))

    def convert(self) -> None:
        x = self.pick()
        if self.rng.random() < 0.15 and x.dtype in (dt.float32, dt.int32, dt.uint32):
            x = ops.where(ops.isnan(x), ops.constant(1, x.dtype), x) if x.dtype.is_float else x  # so are its other bits
            self.keep(ops.bitcast(x, self.rng.choice((dt.float32, dt.int32, dt.uint32))))
        else:
            self.keep(ops.cast(x, self.rng.choice((*FLOATS, *INTEGERS, dt.bool_))))

    def integers(self) -> None:
        x = self.pick("iu")
        name = self.rng.choice(("add", "sub", "mul", "floordiv", "mod", "fmod", "and_", "or_", "xor", "max_", "min_", "lt", "eq"))
        self.keep(getattr(ops, name)(x, self.mate(x)))

    def _reduced(self, x: Node) -> tuple[Node, tuple[int, ...]]:
        if self.rng.random() < 0.4:
            axes: tuple[int, ...] = (x.ndim - 1,)
        elif self.rng.random() < 0.3:
            axes = (0,)
        else:
            axes = tuple(k for k in range(x.ndim) if self.rng.random() < 0.5)
        how = self.rng.choice(("reduce_sum", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod"))
        if any(x.shape[a] == 0 for a in axes) and how not in ("reduce_sum", "reduce_prod"):
            how = "reduce_sum"
        return getattr(ops, how)(x, axes), axes

    def reduction(self) -> None:
        x = self.pick("f" if self.rng.random() < 0.8 else "iu", 1)
        if self.rng.random() < 0.06:  # long ones are cut into chunks
            big = ops.broadcast_to(ops.reshape(x, (*x.shape, 1)), (*x.shape, 1031))
            x = ops.add(big, ops.iota((1031,), 0, x.dtype))
            if self.rng.random() < 0.5:
                x = ops.permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
        if self.rng.random() < 0.15 and x.aval.size:
            axis = self.axis(x)
            if x.aval.size // x.shape[axis] <= LARGEST:
                self.keep(getattr(ops, self.rng.choice(("argmax", "argmin")))(x, axis))
                return
        self.keep(self._reduced(x)[0])

    def centred(self) -> None:
        """Element-wise work with a reduction of the same array."""
        x = self.pick("f", 1)
        for _ in range(self.rng.randint(1, 3)):
            source = getattr(ops, self.rng.choice(CHEAP))(x) if self.rng.random() < 0.5 else x
            r, axes = self._reduced(source)
            if self.rng.random() < 0.3:
                r = getattr(ops, self.rng.choice(CHEAP))(r)
            row = ops.reshape(r, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))
            self.keep(r)
            x = getattr(ops, self.rng.choice(BINARY))(x, row)
            self.keep(x)

    def softmax(self) -> None:
        x = self.pick("f", 1)
        axis = x.ndim - 1 if self.rng.random() < 0.7 else self.axis(x)
        if not x.shape[axis]:
            return
        shape = tuple(1 if k == axis else n for k, n in enumerate(x.shape))
        e = ops.exp(ops.sub(x, ops.reshape(ops.reduce_max(x, (axis,)), shape)))
        total = ops.reduce_sum(e, (axis,))
        self.keep(ops.div(e, ops.reshape(total, shape)))
        if self.rng.random() < 0.4:
            self.keep(ops.log(total))

    def view(self) -> None:
        x = self.pick()
        for _ in range(self.rng.randint(1, 3)):
            x = self._view(x)
        self.keep(x)

    def _view(self, x: Node) -> Node:
        name = self.rng.choice(("reshape", "permute", "permute", "slice", "flip", "pad", "concat", "stretch"))
        if name == "reshape":
            return ops.reshape(x, self._factors(x.aval.size) if x.aval.size else x.shape[::-1])
        if name == "stretch":
            shape = tuple(self.rng.choice((1, 2, 3)) if n == 1 else n for n in x.shape)
            return ops.broadcast_to(x, (*(() if self.rng.random() < 0.6 else (2,)), *shape))
        if not x.ndim:
            return ops.reshape(x, (1,))
        if name == "permute":
            return ops.permute(x, self.rng.sample(range(x.ndim), x.ndim))
        if name == "flip":
            return ops.flip(x, (self.axis(x),))
        if name == "pad":
            return ops.pad(x, [(self.rng.randint(0, 2), self.rng.randint(0, 2)) if self.rng.random() < 0.5 else (0, 0) for _ in x.shape], 1)
        if name == "concat":
            axis = self.axis(x)
            others = [n for n in self.pool if n.dtype is x.dtype and _same_but(n.shape, x.shape, axis)]
            return ops.concat([x, *self.rng.sample(others, min(len(others), self.rng.randint(0, 2))), x][self.rng.randint(0, 1) :], axis)
        starts, stops, steps = [], [], []
        for n in x.shape:
            a, b = sorted((self.rng.randint(0, n), self.rng.randint(0, n)))
            step = self.rng.choice((1, 1, 2, 3, -1, -2))
            whole = self.rng.random() < 0.5
            a, b = (0, n) if whole else (a, b)
            starts.append(a if step > 0 else b - 1)
            stops.append(b if step > 0 else a - 1)
            steps.append(step)
        if any(n == 0 or a == b for n, a, b in zip(x.shape, starts, stops, strict=True)):
            return x
        return ops.slice_(x, starts, stops, steps)

    def _factors(self, size: int) -> Shape:
        out = []
        while size > 1 and len(out) < 3:
            d = self.rng.choice([d for d in range(1, min(size, 64) + 1) if size % d == 0])
            out.append(d)
            size //= d
        out.append(size)
        self.rng.shuffle(out)
        return tuple(out)

    def product(self) -> None:
        a = self.pick("f", 2)
        if self.rng.random() < 0.3:
            a = ops.permute(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))
        found = [n for n in self.pool if n.dtype is a.dtype and n.ndim >= 2 and n.shape[-2] == a.shape[-1]]
        turned = [n for n in self.pool if n.dtype is a.dtype and n.ndim >= 2 and n.shape[-1] == a.shape[-1]]
        if turned and self.rng.random() < 0.4:
            b = ops.swap_last(self.rng.choice(turned))
        elif found and self.rng.random() < 0.5:
            b = self.rng.choice(found)
        else:
            batch = a.shape[:-2] if self.rng.random() < 0.3 else ()
            b = self.leaf((*batch, a.shape[-1], self.rng.choice(EXTENTS)), a.dtype)
        if not _broadcasts(a.shape[:-2], b.shape[:-2]) or len(a.shape[:-2]) + 2 > 4:
            return
        p = ops.matmul(a, b)
        if p.aval.size > LARGEST or a.aval.size > LARGEST:
            return
        self.keep(p)
        for _ in range(self.rng.randint(0, 3)):
            p = ops.add(p, self.mate(p)) if self.rng.random() < 0.5 else getattr(ops, self.rng.choice(CHEAP))(p)
            self.keep(p)

    def scan(self) -> None:
        x = self.pick("f" if self.rng.random() < 0.8 else "iu", 1)
        self.keep(getattr(ops, self.rng.choice(("cumsum", "cumsum", "cumprod")))(x, self.axis(x)))

    def order(self) -> None:
        x = self.pick("biuf", 1)
        self.keep(getattr(ops, self.rng.choice(("argsort", "sort")))(x, self.axis(x), self.rng.random() < 0.5))

    def _indices(self, shape: Shape) -> Node:
        found = [n for n in self.pool if n.dtype.is_integer and n.shape == shape]
        return self.rng.choice(found) if found and self.rng.random() < 0.5 else self.leaf(shape, self.rng.choice((dt.int64, dt.int32, dt.int8)))

    def taking(self) -> None:
        x = self.pick("biuf", 1)
        axis = self.axis(x)
        if not x.shape[axis]:
            return
        if self.rng.random() < 0.5:
            rows = [n if self.rng.random() < 0.7 else 1 for n in x.shape]
            rows[axis] = self.rng.choice((1, 2, 5))
            self.keep(ops.take_along_axis(x, self._indices(tuple(rows)), axis))
        else:
            self.keep(ops.take(x, self._indices(self.shape(self.rng.randint(0, 2))), axis))

    def scattering(self) -> None:
        x = self.pick("iuf", 1)
        if not x.shape[0]:
            return
        n = self.rng.choice((1, 2, 5, 9))
        found = [u for u in self.pool if u.dtype is x.dtype and u.ndim == x.ndim and u.shape[1:] == x.shape[1:]]
        updates = self.rng.choice(found) if found and self.rng.random() < 0.5 else self.leaf((n, *x.shape[1:]), x.dtype)
        self.keep(ops.scatter(x, self._indices(updates.shape[:1]), updates, self.rng.choice(("add", "set"))))

    def gradient(self) -> None:
        y = self.pick("f")
        leaves = [n for n in self.values if n.dtype.is_float]
        try:
            found = backward([y], [ops.ones_like(y)], leaves)
        except Exception as error:
            if "no gradient" not in str(error):
                raise
            return
        self.keep(*[g for g in found if g is not None][:3])

    def random(self) -> None:
        key = self.leaf((2,), dt.uint32)
        bits = ops.random_bits(key, self.shape())
        self.keep(ops.mul(ops.cast(ops.shr(bits, ops.constant(8, dt.uint32)), dt.float32), ops.constant(2.0**-24, dt.float32)))

    def _results(self) -> list[Node]:
        """Some of the last nodes, sometimes one twice or an input."""
        candidates = self.pool[-8:]
        out = [self.pool[-1], *self.rng.sample(candidates, min(len(candidates), self.rng.randint(0, 4)))]
        return list(out) if self.rng.random() < 0.2 else list(dict.fromkeys(out))


def _broadcasts(a: Shape, b: Shape) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(a[::-1], b[::-1], strict=False))


def _same_but(a: Shape, b: Shape, axis: int) -> bool:
    return len(a) == len(b) and all(x == y for k, (x, y) in enumerate(zip(a, b, strict=True)) if k != axis)
