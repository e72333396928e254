"""Random orders that depend on nothing but a seed, an epoch and a length.

NumPy's generators may draw other numbers in its next version; these do not. The numbers are those of SplitMix64 (Steele, Lea,
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): the i-th is a function of the state and i alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from insitu.array.random import split_mix

_STEP = 0x9E3779B97F4A7C15
_MASK64 = (1 << 64) - 1

Order = np.ndarray[Any, np.dtype[np.int64]]


def state_of(seed: int, epoch: int) -> int:
    """The state from which the order of an epoch is drawn: 64 mixed bits."""
    state = 0
    for number in (seed, epoch):
        state = split_mix(state ^ (number & _MASK64))
        state = split_mix(state ^ (number >> 64)) if number > _MASK64 else state
    return state


def permutation(seed: int, epoch: int, count: int) -> Order:
    """The numbers 0 to ``count`` - 1 in a random order: each gets 64 random bits, by which they are sorted.

    Examples
    --------
    >>> permutation(0, 0, 5).tolist() == permutation(0, 0, 5).tolist() != permutation(0, 1, 5).tolist()
    True
    """
    bits = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(state_of(seed, epoch))
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))).argsort(kind="stable").astype(np.int64, copy=False)


class Draws:
    """Random whole numbers, one after the other."""

    def __init__(self, seed: int, epoch: int) -> None:
        self._state = state_of(seed, epoch)

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        value = split_mix(self._state)
        self._state = (self._state + _STEP) & _MASK64
        return value * limit >> 64
