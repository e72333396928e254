"""The functional core of optimizers: pure functions on trees of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu.arguments import FLAG, Checked, Several, checked
from insitu.array.tree import flatten, unflatten
from insitu.optim import clipping, pairing
from insitu.optim.configured import Configured

State = dict[str, Any]

#: Slots that options add to those of the class.
AVERAGE, SUM = "average", "gradient_sum"
PARAMETERS, GRADIENTS = Checked("arrays, in a list or another tree"), Checked("gradients, in the form of the parameters")
STATE = Checked("what init or the step before gave")


class Rule(Configured):
    """How gradients become new parameters; see `Optimizer`."""

    #: Names of the arrays kept for each parameter, and the values they begin with (0 where none is named).
    slots: tuple[str, ...] = ()
    slot_values: ClassVar[Mapping[str, str]] = {}
    #: Names of numbers kept for all parameters together, with the values they begin with.
    shared: ClassVar[Mapping[str, float]] = {}

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None

    @property
    def all_slots(self) -> tuple[str, ...]:
        """``slots`` and those that options add."""
        return (*self.slots, *((AVERAGE,) if self.use_ema else ()), *((SUM,) if self.gradient_accumulation_steps else ()))

    def _initial(self, slot: str) -> float:
        named = self.slot_values.get(slot)
        return 0.0 if named is None else float(getattr(self, named))

    @checked(params=PARAMETERS)
    def init(self, params: Any) -> State:
        """The state before the first step.

        Parameters
        ----------
        params : tree of arrays

        Returns
        -------
        dict
            ``iterations`` (int64, shape ()), the numbers in ``shared``, and, for each name in ``all_slots``, a list with one
            array per parameter.
        """
        leaves = [si.asarray(p) for p in flatten(params)[0]]
        state: State = {"iterations": si.asarray(np.zeros((), np.int64))}
        state |= {name: si.asarray(np.asarray(value, np.float32)) for name, value in self.shared.items()}
        for slot in self.all_slots:
            state[slot] = [p if slot == AVERAGE else si.full(p.shape, self._initial(slot), dtype=p.dtype) for p in leaves]
        return state

    @checked(grads=GRADIENTS, params=PARAMETERS, state=STATE, decayed=Several(FLAG, least=0) | None)
    def update(self, grads: Any, params: Any, state: State, decayed: Sequence[bool] | None = None) -> tuple[Any, State]:
        """One step.

        Parameters
        ----------
        grads, params : trees of arrays
            Of one form; each gradient has its parameter's shape.
        state : dict
            From `init` or the step before.
        decayed : sequence of bool, optional
            Which parameters weight decay makes smaller; default: all.

        Returns
        -------
        params : tree of arrays
            The new parameters, in the structure of ``params``.
        state : dict

        Raises
        ------
        ShapeError, ArgumentError
            If gradients, parameters and state do not match.
        """
        owner = type(self).__name__
        given, leaves, structure = pairing.aligned(owner, grads, params)
        missing = sum(g is None for g in given)
        if missing:
            raise pairing.counts_differ(owner, len(given) - missing, len(given))
        steps, old = [si.asarray(g) for g in given], [si.asarray(p) for p in leaves]
        pairing.check_shapes(owner, steps, old)
        if decayed is not None and len(decayed) != len(old):
            raise pairing.foreign_state(owner, f"decayed: a truth value for each of {len(old)} parameters", f"{len(decayed)} of them")
        state = pairing.checked_state(owner, state, ("iterations", *self.shared), self.all_slots, old)
        new, state = self._advance([g.astype(p.dtype) for g, p in zip(steps, old, strict=True)], old, state, decayed)
        return unflatten(structure, new), state

    def _advance(self, steps: list[si.Array], old: list[si.Array], state: State, decayed: Sequence[bool] | None) -> tuple[list[si.Array], State]:
        """`update` on lists: accumulation and averages around `_update`."""
        calls, n = state["iterations"], self.gradient_accumulation_steps
        iterations = calls if n is None else calls // n
        if n is not None:
            totals = [a + g for a, g in zip(state[SUM], steps, strict=True)]
            steps = [total / n for total in totals]
        # as in Keras, a schedule counts calls, and the corrections of a rule count updates
        rate, shared = self.rate_at(calls), {name: state[name] for name in self.shared}
        scalars = {"learning_rate": rate, **self.scalars(iterations, rate, shared)}
        new, found = self._update(steps, old, state, scalars, decayed)
        if n is not None:
            due = (calls + 1) % n == 0
            new = [si.where(due, p, q) for p, q in zip(new, old, strict=True)]
            for name in (*self.slots, *self.shared):
                found[name] = _where(due, found[name], state[name])
            found[SUM] = [si.where(due, 0, total) for total in totals]
        if self.use_ema:
            new, found[AVERAGE] = self._average(new, state[AVERAGE], iterations)
        return new, {**found, "iterations": calls + 1}

    def _update(
        self, grads: Sequence[Any], params: Sequence[Any], state: State, scalars: Mapping[str, si.Array], decayed: Sequence[bool] | None
    ) -> tuple[list[Any], State]:
        grads = clipping.clip(grads, self.clipnorm, self.clipvalue, self.global_clipnorm)
        found: State = {slot: [] for slot in self.slots} | {name: scalars[name] for name in self.shared}
        new = []
        for i, (g, p) in enumerate(zip(grads, params, strict=True)):
            if self.weight_decay is not None and (decayed is None or decayed[i]):
                p = p - p * (scalars["learning_rate"] * self.weight_decay).astype(p.dtype)
            local = {k: v.astype(p.dtype) for k, v in scalars.items()}
            changed, kept = self.step(g, p, {slot: state[slot][i] for slot in self.slots}, local)
            new.append(changed)
            for slot in self.slots:
                found[slot].append(kept[slot])
        return new, found

    def _average(self, new: Sequence[si.Array], averages: Sequence[si.Array], iterations: si.Array) -> tuple[list[si.Array], list[si.Array]]:
        """New parameters, which may become their averages, and new averages."""
        # as in Keras, the averages follow every call and begin with the parameters after the first update
        momentum = si.where(iterations == 0, 0.0, self.ema_momentum)
        moved = [a * momentum.astype(a.dtype) + p * (1 - momentum).astype(p.dtype) for a, p in zip(averages, new, strict=True)]
        if self.ema_overwrite_frequency is None:
            return list(new), moved
        due = (iterations + 1) % self.ema_overwrite_frequency == 0
        return [si.where(due, a, p) for a, p in zip(moved, new, strict=True)], moved

    def rate_at(self, calls: si.Array) -> si.Array:
        """The learning rate after this number of calls, float32 of shape ()."""
        raise NotImplementedError(f"{type(self).__name__} has no learning rate")

    def scalars(self, iterations: si.Array, rate: si.Array, shared: Mapping[str, si.Array]) -> dict[str, si.Array]:
        """Values that one step has in common for all parameters, beside ``learning_rate``: the new ``shared``, and what a class adds."""
        return {}

    def step(
        self, grad: si.Array, param: si.Array, slots: Mapping[str, si.Array], scalars: Mapping[str, si.Array]
    ) -> tuple[si.Array, dict[str, si.Array]]:
        """The new parameter and its new slots."""
        raise NotImplementedError(f"{type(self).__name__} has no step")


def _where(due: Any, new: Any, old: Any) -> Any:
    return [si.where(due, a, b) for a, b in zip(new, old, strict=True)] if isinstance(new, list) else si.where(due, new, old)
