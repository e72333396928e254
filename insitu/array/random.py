"""Random numbers: `default_rng`, a `Generator` with NumPy's method names, and a default one.

Every value is a function of the seed, the number of the call and the position in the result: neither
threads nor vector widths nor compiling change it.

How it works. A generator's state is one 64-bit number, made from the seed by SplitMix64 (Steele, Lea,
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) and counted up by each call. The
call's key is the first two words of Philox-4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011) with the state
as key; element ``i`` of the call is word ``i // 256 % 4`` of Philox with that key and counter ``i // 1024 * 256 + i % 256``.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, AXIS, DTYPE, EXTENTS, FLAG, FLOATING, NUMBER, SEED, Instance, Whole, checked
from insitu.array import distributions as draw
from insitu.array import scalars
from insitu.array.array import Array, owned
from insitu.array.checks import axis_index, integer_argument, shape_argument, whole
from insitu.array.convert import asarray, node_of
from insitu.array.elementwise import where
from insitu.array.shaping import broadcast_shapes
from insitu.array.sorting import searchsorted
from insitu.array.variable import Variable, traces
from insitu.dtypes import DType, as_dtype
from insitu.errors import ArgumentError, ShapeError, UserError
from insitu.graph.node import Node, aval

Size = int | Sequence[int] | None

_MASK64 = (1 << 64) - 1
_KEY = aval((2,), dt.uint32)


def split_mix(x: int) -> int:
    """The finaliser of SplitMix64 after one step of its counter: 64 mixed bits."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK64
    return x ^ (x >> 31)


def _mixed(seed: Any) -> int:
    """The state a seed begins with: SplitMix64 over its 64-bit digits."""
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    state = 0
    for n in seed if isinstance(seed, list) else [seed]:
        state = split_mix(state ^ (n & _MASK64))
        while n > _MASK64:
            n >>= 64
            state = split_mix(state ^ (n & _MASK64))
    return state


def philox_pair(state: int) -> tuple[int, int]:
    """Word 0 of Philox-4x32-10 at the counters 0 and 1, with the state as key."""
    out = []
    for counter in (0, 1):
        x0, x1, x2, x3 = counter, 0, 0, 0
        k0, k1 = state & 0xFFFFFFFF, state >> 32
        for _ in range(10):
            a, b = x0 * 0xD2511F53, x2 * 0xCD9E8D57
            x0, x1, x2, x3 = (b >> 32) ^ x1 ^ k0, b & 0xFFFFFFFF, (a >> 32) ^ x3 ^ k1, a & 0xFFFFFFFF
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        out.append(x0)
    return out[0], out[1]


#: A bound of whole numbers: one above those of 64 bits is the end of a range that has them all.
BOUND = Whole(-(2**63), 2**64)


class Generator:
    """Random numbers with NumPy's method names; float32 unless a ``dtype`` is given.

    Each call counts the state up, and no numbers are computed before they are looked at. Inside a
    function under `insitu.compile` the state is an input and an output of the program.

    Parameters
    ----------
    seed : int, sequence of int or None
    """

    @checked(seed=SEED)
    def __init__(self, seed: Any = None) -> None:
        self._lock = threading.Lock()
        self._cell = Variable(_state_array(_mixed(seed)), name="random state", trainable=False)
        if seed is None and traces.open:
            traces.open[-1].lasting.append(self._cell)  # each call gives other numbers

    # -- state ------------------------------------------------------------------------------------
    @property
    def state(self) -> dict[str, Any]:
        """The state as a dict, to be assigned to resume from here."""
        return {"bit_generator": "Philox4x32-10", "state": int(np.asarray(self._cell.value))}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        number = value.get("state") if isinstance(value, dict) else None
        if number is None or value.get("bit_generator") != "Philox4x32-10" or whole(number) is None:
            raise ArgumentError(
                "This is not the state of a generator.", expected='{"bit_generator": "Philox4x32-10", "state": ...}', received=repr(value)[:80],
                fix="assign what generator.state gave", slug="random-state",
            )  # fmt: skip
        self._cell.assign(_state_array(int(number) & _MASK64))

    @checked(seed=SEED)
    def reseed(self, seed: Any) -> None:
        """Begin again from a seed."""
        self._cell.assign(_state_array(_mixed(seed)))

    def __getstate__(self) -> dict[str, Any]:
        return self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        Generator.__init__(self, 0)
        self.state = state

    def __repr__(self) -> str:
        return "Generator(Philox4x32-10)"

    @checked(n_children=Whole(0))
    def spawn(self, n_children: int) -> list[Generator]:
        """New generators, independent of this one and of each other."""
        out = []
        for _ in range(n_children):
            words = np.asarray(Array(self._key()))
            out.append(Generator(int(words[0]) | int(words[1]) << 32))
        return out

    def _key(self) -> Node:
        """The key of the next call, uint32[2]; the state counts up."""
        if traces.open:
            now = self._cell.value._node
            self._cell.assign(Array(ops.add(now, scalars.constant(1, dt.uint64))))
            low = ops.cast(ops.and_(now, scalars.constant(0xFFFFFFFF, dt.uint64)), dt.uint32)
            high = ops.cast(ops.shr(now, scalars.constant(32, dt.uint64)), dt.uint32)
            return ops.random_bits(ops.concat([ops.reshape(low, (1,)), ops.reshape(high, (1,))], 0), (2,))
        with self._lock:
            state = int(self._cell.value._view()[()])
            self._cell.assign(_state_array((state + 1) & _MASK64))
        return owned(np.array(philox_pair(state), np.uint32), dt.uint32)._node

    # -- floating numbers ---------------------------------------------------------------------------
    @checked(size=EXTENTS | None, dtype=FLOATING)
    def random(self, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Uniform numbers in [0, 1): 24 random bits for float32, 53 for float64.

        Parameters
        ----------
        size : int or sequence of int, optional
            Shape; one number by default.
        dtype : DType
            Floating.

        Examples
        --------
        >>> import insitu as si
        >>> x = si.random.default_rng(0).random((2, 3))
        >>> x.shape, bool(((x >= 0) & (x < 1)).all())
        ((2, 3), True)
        """
        return Array(draw.uniform(self._key(), _shape("random", size), as_dtype(dtype)))

    @checked(low=ARRAY, high=ARRAY, size=EXTENTS | None, dtype=FLOATING)
    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Uniform numbers in [low, high).

        Parameters
        ----------
        low, high : number or Array
            Bounds; they broadcast with the shape.
        size : int or sequence of int, optional
            Default: the shape of the bounds.
        dtype : DType
            Floating.
        """
        kind = as_dtype(dtype)
        unit = Array(draw.uniform(self._key(), _shape("uniform", size, low, high), kind))
        first, last = _parameter(low, kind), _parameter(high, kind)
        return first + unit * (last - first)

    @checked(size=EXTENTS | None, dtype=FLOATING)
    def standard_normal(self, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Normal numbers of mean 0 and variance 1.

        float64 by the Box-Muller method, the narrower types by the inverse error function (Giles,
        "Approximating the erfinv function", GPU Computing Gems, 2011) of 24 bits, up to 5.3 standard deviations.
        """
        return Array(draw.normal_from(self._key(), _shape("standard_normal", size), as_dtype(dtype)))

    @checked(loc=ARRAY, scale=ARRAY, size=EXTENTS | None, dtype=FLOATING)
    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Normal numbers of mean ``loc`` and standard deviation ``scale``.

        Parameters
        ----------
        loc, scale : number or Array
            They broadcast with the shape; gradients pass through them.
        size : int or sequence of int, optional
            Default: the shape of the parameters.
        dtype : DType
            Floating.

        Examples
        --------
        >>> import insitu as si
        >>> x = si.random.default_rng(0).normal(10.0, 2.0, 10000)
        >>> bool(abs(x.mean() - 10) < 0.1), bool(abs(x.std() - 2) < 0.1)
        (True, True)
        """
        kind = as_dtype(dtype)
        _not_negative("normal", "scale", scale)
        unit = Array(draw.normal_from(self._key(), _shape("normal", size, loc, scale), kind))
        return _parameter(loc, kind) + unit * _parameter(scale, kind)

    @checked(loc=ARRAY, scale=ARRAY, size=EXTENTS | None, dtype=FLOATING, low=NUMBER, high=NUMBER)
    def truncated_normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Size = None, dtype: Any = dt.float32, *, low: float = -2.0, high: float = 2.0
    ) -> Array:
        """Normal numbers, restricted to lie between ``low`` and ``high`` standard deviations from ``loc``."""
        kind = as_dtype(dtype)
        unit = Array(draw.truncated_from(self._key(), _shape("truncated_normal", size, loc, scale), kind, low, high))
        return _parameter(loc, kind) + unit * _parameter(scale, kind)

    @checked(mean=ARRAY, sigma=ARRAY, size=EXTENTS | None, dtype=FLOATING)
    def lognormal(self, mean: Any = 0.0, sigma: Any = 1.0, size: Size = None, dtype: Any = dt.float32) -> Array:
        """exp of normal numbers."""
        return Array(ops.exp(self.normal(mean, sigma, size, dtype)._node))

    @checked(size=EXTENTS | None, dtype=FLOATING)
    def standard_exponential(self, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Exponential numbers of mean 1: -log(1 - u)."""
        return Array(draw.exponential_from(self._key(), _shape("standard_exponential", size), as_dtype(dtype)))

    @checked(scale=ARRAY, size=EXTENTS | None, dtype=FLOATING)
    def exponential(self, scale: Any = 1.0, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Exponential numbers of mean ``scale``."""
        kind = as_dtype(dtype)
        _not_negative("exponential", "scale", scale)
        return Array(draw.exponential_from(self._key(), _shape("exponential", size, scale), kind)) * _parameter(scale, kind)

    @checked(loc=ARRAY, scale=ARRAY, size=EXTENTS | None, dtype=FLOATING)
    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Size = None, dtype: Any = dt.float32) -> Array:
        """Gumbel numbers: ``loc - scale * log(E)`` of exponential E."""
        kind = as_dtype(dtype)
        drawn = draw.exponential_from(self._key(), _shape("gumbel", size, loc, scale), kind, positive=True)
        return _parameter(loc, kind) - Array(ops.log(drawn)) * _parameter(scale, kind)

    @checked(p=ARRAY, size=EXTENTS | None)
    def bernoulli(self, p: Any = 0.5, size: Size = None) -> Array:
        """True with probability ``p``: ``random(size) < p``."""
        drawn = Array(draw.uniform(self._key(), _shape("bernoulli", size, p), dt.float32))
        return drawn < asarray(p)

    # -- whole numbers and order ----------------------------------------------------------------------
    @checked(low=BOUND, high=BOUND | None, size=EXTENTS | None, dtype=DTYPE, endpoint=FLAG)
    def integers(self, low: int, high: int | None = None, size: Size = None, dtype: Any = dt.int64, endpoint: bool = False) -> Array:
        """Whole numbers from ``low`` up to, without, ``high``.

        The upper half of a 128-bit product of 64 random bits with the number of values: each value's
        probability is exact to 2^-64.

        Parameters
        ----------
        low, high : int
            With one number, it is ``high`` and ``low`` is 0.
        size : int or sequence of int, optional
        dtype : DType
            Integer or bool.
        endpoint : bool
            Include ``high``.

        Raises
        ------
        ArgumentError
            If there is no such number, or the dtype cannot hold all of them.
        """
        if high is None:
            low, high = 0, low
        first, last = low, high - (not endpoint)
        kind = as_dtype(dtype)
        if kind.is_float or first > last or first < kind.min or last > kind.max:
            raise ArgumentError(
                f"integers cannot draw {kind.name} numbers from {first} to {last}.",
                expected=f"low < high, within {kind.min} and {kind.max}" if not kind.is_float else "an integer dtype",
                received=f"low={low}, high={high}, dtype={kind.name}", fix="exchange the bounds, or use a wider dtype", slug="random-integers",
            )  # fmt: skip
        return Array(draw.integers_below(self._key(), _shape("integers", size), last - first + 1, first, kind))

    @checked(x=ARRAY, axis=AXIS)
    def permutation(self, x: Any, axis: int = 0) -> Array:
        """The numbers 0 to ``x`` - 1, or the elements of an array along an axis, in random order.

        Examples
        --------
        >>> import insitu as si
        >>> si.sort(si.random.default_rng(0).permutation(5))
        Array([0, 1, 2, 3, 4], dtype=int64)
        """
        count = whole(x) if not isinstance(x, (Array, np.ndarray)) else None
        if count is not None:
            return Array(self._order(integer_argument("permutation", "x", count, low=0)))
        node = node_of(x)
        at = axis_index("permutation", axis, node.aval)
        return Array(ops.take(node, self._order(node.shape[at]), at)) if node.shape[at] else Array(node)

    def _order(self, n: int) -> Node:
        """Positions in the order of random 64-bit keys."""
        return ops.argsort(draw.bits64(self._key(), (n,)), 0, False)

    @checked(x=ARRAY, axis=AXIS)
    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Refused, because arrays do not change: use `permutation`."""
        raise ArgumentError(
            "shuffle would change an array in place.", expected="a new array", received=type(x).__name__, fix="x = rng.permutation(x)",
            slug="random-shuffle", argument="x",
        )  # fmt: skip

    @checked(a=ARRAY, size=EXTENTS | None, replace=FLAG, p=ARRAY | None, axis=AXIS)
    def choice(self, a: Any, size: Size = None, replace: bool = True, p: Any = None, axis: int = 0) -> Array:
        """Random elements of an array, or numbers below ``a``.

        Parameters
        ----------
        a : int or Array
        size : int or sequence of int, optional
        replace : bool
            Whether an element may be drawn again.
        p : array_like, optional
            Probabilities of the elements; all equal by default.
        axis : int

        Raises
        ------
        ShapeError, ArgumentError
            If more are drawn than there are, or ``p`` does not fit.
        """
        shape = _shape("choice", size)
        count = whole(a) if not isinstance(a, (Array, np.ndarray)) else None
        node = None if count is not None else node_of(a)
        at = 0 if node is None else axis_index("choice", axis, node.aval)
        n = integer_argument("choice", "a", count, low=0) if node is None else node.shape[at]
        total = math.prod(shape)
        if (not replace and total > n) or (total and not n):
            raise ShapeError(
                f"choice cannot draw {total} of {n} elements" + ("." if not n else " without replacement."), expected=f"at most {n}",
                received=f"size={size}", fix="use replace=True, or draw fewer", slug="random-choice", argument="size",
            )  # fmt: skip
        picked = self._picked(n, shape, replace, p)
        return Array(picked if node is None else ops.take(node, picked, at))

    def _picked(self, n: int, shape: tuple[int, ...], replace: bool, p: Any) -> Node:
        total = math.prod(shape)
        if p is None:
            if replace:
                return draw.integers_below(self._key(), shape, max(n, 1), 0, dt.int64)
            return ops.reshape(ops.slice_(self._order(n), (0,), (total,)), shape)
        weights = asarray(p, dtype=dt.float64)
        if weights.shape != (n,):
            raise _bad_weights(f"shape {weights.shape}", n)
        if not traces.open:
            host = np.asarray(weights)
            if abs(float(host.sum()) - 1) > 1e-6 or (host < 0).any():
                raise _bad_weights(f"sum {host.sum()}", n)
        if replace:
            total_so_far = ops.cumsum(weights._node, 0)
            last = ops.slice_(total_so_far, (n - 1,), (n,))
            draws = ops.mul(draw.uniform(self._key(), shape, dt.float64), ops.reshape(last, ()))
            return ops.min_(searchsorted(Array(total_so_far), Array(draws), side="right")._node, scalars.constant(n - 1, dt.int64))
        # the largest of log p + Gumbel noise are a sample without replacement
        noise = ops.log(draw.exponential_from(self._key(), (n,), dt.float64, positive=True))
        ranks = where(weights > 0, Array(ops.sub(ops.log(weights._node), noise)), -math.inf)
        return ops.reshape(ops.argsort(ranks._node, 0, True, total), shape)


def _state_array(state: int) -> Array:
    return owned(np.array(state, np.uint64), dt.uint64)


def _shape(function: str, size: Size, *parameters: Any) -> tuple[int, ...]:
    """The shape asked for, else that of the parameters."""
    if size is not None:
        return shape_argument(function, size)
    shapes = [asarray(x).shape for x in parameters if not scalars.is_scalar(x)]
    return broadcast_shapes(*shapes)


def _parameter(x: Any, dtype: DType) -> Array:
    """A parameter of a distribution in its dtype."""
    return Array(scalars.constant(x, dtype)) if scalars.is_scalar(x) else asarray(x).astype(dtype)


def _not_negative(function: str, name: str, value: Any) -> None:
    if scalars.is_scalar(value) and value < 0:
        raise ArgumentError(
            f'{function} "{name}" must not be negative.', expected="a number of at least 0", received=f"{name}={value}", fix=f"use abs({name})",
            slug="random-parameter", argument=name,
        )  # fmt: skip


def _bad_weights(received: str, n: int) -> UserError:
    return ArgumentError(
        'choice "p" must be probabilities: one for each element, none negative, of sum 1.', expected=f"shape ({n},), sum 1", received=received,
        fix="divide by the sum: p / p.sum()", slug="random-choice", argument="p",
    )  # fmt: skip


# -- the default generator --------------------------------------------------------------------------------
@checked(seed=SEED | Instance(Generator, "a generator"))
def default_rng(seed: Any = None) -> Generator:
    """A generator of random numbers.

    Parameters
    ----------
    seed : int, sequence of int, Generator or None
        Equal seeds give equal numbers; None takes one from the system; a generator is returned as it is.

    Returns
    -------
    Generator

    Raises
    ------
    ArgumentError
        If the seed is no whole number of at least 0.

    Examples
    --------
    >>> import insitu as si
    >>> rng = si.random.default_rng(0)
    >>> rng.integers(0, 10, 5).shape
    (5,)
    """
    return seed if isinstance(seed, Generator) else Generator(seed)


_default = Generator()


def default_generator() -> Generator:
    """The generator behind the functions of this module: initial weights, dropout, shuffling."""
    return _default


@checked(seed=SEED)
def seed(seed: Any = None) -> None:
    """Let the default generator begin again from a seed.

    Examples
    --------
    >>> import insitu as si
    >>> si.random.seed(0)
    >>> a = si.random.normal(size=3)
    >>> si.random.seed(0)
    >>> bool((a == si.random.normal(size=3)).all())
    True
    """
    _default.reseed(seed)


random = _default.random
uniform = _default.uniform
standard_normal = _default.standard_normal
normal = _default.normal
truncated_normal = _default.truncated_normal
lognormal = _default.lognormal
standard_exponential = _default.standard_exponential
exponential = _default.exponential
gumbel = _default.gumbel
bernoulli = _default.bernoulli
integers = _default.integers
permutation = _default.permutation
shuffle = _default.shuffle
choice = _default.choice
