"""What all optimizers share: options, the functional core on trees of arrays, and `apply` on variables."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu.array.tree import flatten, unflatten
from insitu.array.variable import traces
from insitu.errors import ArgumentError, ShapeError
from insitu.optim import clipping, schedules
from insitu.optim.arguments import NOT_NEGATIVE, POSITIVE, SHARE, Range, count, number
from insitu.optim.schedules import LearningRateSchedule

State = dict[str, Any]

#: Every optimizer class by its name in lower case.
REGISTRY: dict[str, type[Optimizer]] = {}

#: Slots that options add to those of the class.
_AVERAGE, _SUM = "average", "gradient_sum"


class Optimizer:
    """Base class: a rule that turns gradients into new parameters.

    There are two ways to use one. The functional core, ``init`` and ``update``, works on trees of arrays
    and changes nothing. ``apply`` works on `Variable`s and keeps the state in variables of its own. Learning
    rate and step count are arrays, so that changing them compiles nothing anew.

    A subclass names its per-parameter arrays in ``slots`` and implements ``step``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Step size; not negative.
    weight_decay : float, optional
        Before each step, ``w -= w * weight_decay * rate`` (Loshchilov and Hutter 2017).
    clipnorm, global_clipnorm : float, optional
        Largest norm of each gradient, or of all gradients together; longer ones are scaled down.
    clipvalue : float, optional
        Gradients are clipped to this on both sides.
    use_ema : bool
        Keep a moving average of the parameters, ``a = ema_momentum * a + (1 - ema_momentum) * w``.
    ema_momentum : float
        From 0 to 1.
    ema_overwrite_frequency : int, optional
        Steps after which the parameters become their averages; None: only at the end of `Model.fit`.
    gradient_accumulation_steps : int, optional
        Calls whose gradients are averaged for one update.
    name : str, optional
        Shown in messages; default: the class name in lower case.

    Examples
    --------
    >>> import insitu as si
    >>> optimizer = si.optim.SGD(learning_rate=0.5)
    >>> w = si.asarray([1.0, 2.0])
    >>> state = optimizer.init([w])
    >>> (w,), state = optimizer.update([si.asarray([1.0, 0.0])], [w], state)
    >>> w
    Array([0.5, 2. ], dtype=float32)
    """

    #: Names of the arrays kept for each parameter, and the values they begin with (0 where none is named).
    slots: tuple[str, ...] = ()
    slot_values: ClassVar[Mapping[str, str]] = {}
    #: Names of numbers kept for all parameters together, with the values they begin with.
    shared: ClassVar[Mapping[str, float]] = {}
    #: The class's own numbers, in the order of its arguments, and what they may be.
    ranges: ClassVar[Mapping[str, Range]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        REGISTRY[cls.__name__.lower()] = cls

    def __init__(
        self, learning_rate: Any, weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **unknown: Any,
    ) -> None:  # fmt: skip
        owner = type(self).__name__
        if unknown:
            from insitu.nn import registry  # late: the room of models stands above this one

            own = [*inspect.signature(type(self).__init__).parameters, *inspect.signature(Optimizer.__init__).parameters]
            raise registry.unknown_argument(owner, next(iter(unknown)), dict.fromkeys(n for n in own if n not in ("self", "options", "unknown")))
        self.name = name or owner.lower()
        self.schedule = learning_rate if isinstance(learning_rate, LearningRateSchedule) else None
        if isinstance(learning_rate, Mapping):
            self.schedule = schedules.get(learning_rate)
        if self.schedule is None:
            self._learning_rate = si.Variable(self._checked_rate(learning_rate), name="learning_rate", trainable=False)
        self._iterations = si.Variable(np.zeros((), np.int64), name="iterations", trainable=False)
        self.weight_decay = None if weight_decay is None else number(owner, "weight_decay", weight_decay, NOT_NEGATIVE)
        self.clipnorm = None if clipnorm is None else number(owner, "clipnorm", clipnorm, POSITIVE)
        self.clipvalue = None if clipvalue is None else number(owner, "clipvalue", clipvalue, POSITIVE)
        self.global_clipnorm = None if global_clipnorm is None else number(owner, "global_clipnorm", global_clipnorm, POSITIVE)
        if sum(c is not None for c in (self.clipnorm, self.clipvalue, self.global_clipnorm)) > 1:
            raise ArgumentError(
                f"{owner}: only one way of clipping gradients can be chosen.",
                expected="one of clipnorm, clipvalue and global_clipnorm",
                received=f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}",
                fix="leave two of them out",
                slug="optimizer-clipping",
            )
        self.use_ema, self.ema_momentum = bool(use_ema), number(owner, "ema_momentum", ema_momentum, SHARE)
        self.ema_overwrite_frequency = None if ema_overwrite_frequency is None else count(owner, "ema_overwrite_frequency", ema_overwrite_frequency)
        accumulated = gradient_accumulation_steps
        self.gradient_accumulation_steps = None if accumulated is None else count(owner, "gradient_accumulation_steps", accumulated, 2)
        self._slots: dict[si.Variable, dict[str, si.Variable]] = {}
        self._order: list[si.Variable] = []
        self._shared = {n: si.Variable(np.asarray(v, np.float32), name=n, trainable=False) for n, v in self.shared.items()}
        self._undecayed: list[si.Variable] = []
        self._undecayed_names: list[str] = []

    def set_numbers(self, **values: Any) -> None:
        """Check the class's own numbers against ``ranges`` and keep them as attributes."""
        for argument, value in values.items():
            setattr(self, argument, number(type(self).__name__, argument, value, self.ranges[argument]))

    # -- learning rate ---------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Any:
        """The learning rate, a float32 variable of shape (); assign a number to change it. With a schedule, its present value."""
        return self._learning_rate if self.schedule is None else self.schedule(self.iterations)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if self.schedule is not None:
            raise ArgumentError(
                f"{type(self).__name__}: the learning rate follows {self.schedule!r} and cannot be assigned.",
                expected="an optimizer that was made with a number",
                received=f"learning_rate = {value!r}",
                fix=f"make it with a number: {type(self).__name__}(learning_rate=0.001)",
                slug="optimizer-schedule",
            )
        self._learning_rate.assign(value if isinstance(value, si.Array) else self._checked_rate(value))

    def _checked_rate(self, value: Any) -> np.ndarray[Any, Any]:
        found = value.value.item() if isinstance(value, si.Variable) else value
        if isinstance(found, bool) or not isinstance(found, int | float | np.number) or not 0 <= float(found) < float("inf"):
            raise ArgumentError(
                f"{type(self).__name__}: learning_rate must be a number that is not negative.",
                expected="a number such as 0.001, or a schedule of si.optim.schedules",
                received=repr(value),
                fix="pass learning_rate=0.001",
                slug="optimizer-learning-rate",
                argument="learning_rate=",
            )
        return np.asarray(found, np.float32)

    @property
    def iterations(self) -> Any:
        """Updates so far, int64 of shape (): a variable, or an array where several calls make one update."""
        n = self.gradient_accumulation_steps
        return self._iterations if n is None else self._iterations.value // n

    # -- the functional core ---------------------------------------------------------------------
    @property
    def all_slots(self) -> tuple[str, ...]:
        """``slots`` and those that options add."""
        return (*self.slots, *((_AVERAGE,) if self.use_ema else ()), *((_SUM,) if self.gradient_accumulation_steps else ()))

    def _initial(self, slot: str) -> float:
        named = self.slot_values.get(slot)
        return 0.0 if named is None else float(getattr(self, named))

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
        leaves, _ = flatten(params)
        state: State = {"iterations": si.asarray(np.zeros((), np.int64))}
        state |= {name: si.asarray(np.asarray(value, np.float32)) for name, value in self.shared.items()}
        for slot in self.all_slots:
            state[slot] = [si.full(p.shape, self._initial(slot), dtype=p.dtype) for p in leaves]
        return state

    def update(self, grads: Any, params: Any, state: State, decayed: Sequence[bool] | None = None) -> tuple[Any, State]:
        """One step.

        Parameters
        ----------
        grads, params : trees of arrays
            Of one structure; each gradient has its parameter's shape.
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
        ShapeError
            If gradients and parameters do not match.
        """
        old, structure = flatten(params)
        steps, _ = flatten(grads)
        self._check(steps, old)
        steps = [g.astype(p.dtype) for g, p in zip(steps, old, strict=True)]
        calls, n = state["iterations"], self.gradient_accumulation_steps
        due = None
        if n is not None:
            due = (calls + 1) % n == 0
            totals = [a + g for a, g in zip(state[_SUM], steps, strict=True)]
            steps = [total / n for total in totals]
        new, found = self._update(steps, old, state, calls if n is None else calls // n, decayed)
        if due is not None:
            new = [si.where(due, p, q) for p, q in zip(new, old, strict=True)]
            for name in (*self.slots, *self.shared):
                found[name] = _where(due, found[name], state[name])
            found[_SUM] = [si.where(due, 0, total) for total in totals]
        if self.use_ema:
            new = self._average(new, state, found)
        return unflatten(structure, new), {**found, "iterations": calls + 1}

    def _update(
        self, grads: Sequence[Any], params: Sequence[Any], state: State, iterations: Any, decayed: Sequence[bool] | None
    ) -> tuple[list[Any], State]:
        grads = clipping.clip(grads, self.clipnorm, self.clipvalue, self.global_clipnorm)
        scalars = self.scalars(iterations, {name: state[name] for name in self.shared})
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

    def _average(self, new: Sequence[Any], state: State, found: State) -> list[Any]:
        """Move the averages; where it is time, they become the parameters."""
        first = state["iterations"] == 0
        averages = []
        for a, p in zip(state[_AVERAGE], new, strict=True):
            averages.append(si.where(first, p, a * self.ema_momentum + p * (1 - self.ema_momentum)))
        found[_AVERAGE] = averages
        if self.ema_overwrite_frequency is None:
            return list(new)
        due = (state["iterations"] + 1) % self.ema_overwrite_frequency == 0
        return [si.where(due, a, p) for a, p in zip(averages, new, strict=True)]

    def scalars(self, iterations: si.Array, shared: Mapping[str, si.Array]) -> dict[str, si.Array]:
        """Values that one step has in common for all parameters: ``learning_rate``, the new ``shared``, and what a class adds."""
        rate = self._learning_rate.value if self.schedule is None else si.asarray(self.schedule(iterations)).astype(si.float32)
        return {"learning_rate": rate}

    def step(
        self, grad: si.Array, param: si.Array, slots: Mapping[str, si.Array], scalars: Mapping[str, si.Array]
    ) -> tuple[si.Array, dict[str, si.Array]]:
        """The new parameter and its new slots."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    # -- on variables ----------------------------------------------------------------------------
    def build(self, variables: Sequence[si.Variable]) -> None:
        """Make the state of variables that have none yet."""
        for v in variables:
            if v not in self._slots:
                self._slots[v] = {
                    slot: si.Variable(np.full(v.shape, self._initial(slot), v.dtype.numpy), name=f"{v.name}/{slot}", trainable=False)
                    for slot in self.all_slots
                }
                self._order.append(v)

    def apply(self, grads: Any, variables: Any) -> None:
        """One step on variables: each is assigned its new value, and its constraint is applied.

        Parameters
        ----------
        grads : sequence, or tree, of arrays
            One for each variable; None leaves that variable as it is.
        variables : sequence, or tree, of Variable
            Of the structure of ``grads``.

        Raises
        ------
        ShapeError
            If gradients and variables do not match.

        Examples
        --------
        >>> import insitu as si
        >>> params = {"w": si.Variable([1.0, 2.0])}
        >>> si.optim.SGD(0.5).apply({"w": si.asarray([1.0, 0.0])}, params)
        >>> params["w"].value
        Array([0.5, 2. ], dtype=float32)
        """
        pairs = [(g, v) for g, v in _pairs(grads, variables) if g is not None]
        chosen = [v for _, v in pairs]
        self.build(chosen)
        state: State = {"iterations": self._iterations.value} | {name: v.value for name, v in self._shared.items()}
        for slot in self.all_slots:
            state[slot] = [self._slots[v][slot].value for v in chosen]
        decayed = [self._is_decayed(v) for v in chosen]
        new, state = self.update([g for g, _ in pairs], [v.value for v in chosen], state, decayed)
        self._iterations.assign(state["iterations"])
        for name, variable in self._shared.items():
            variable.assign(state[name])
        for i, v in enumerate(chosen):
            v.assign(new[i] if v.constraint is None else v.constraint(new[i]))
            for slot in self.all_slots:
                self._slots[v][slot].assign(state[slot][i])
        if not traces.open:
            si.evaluate(*[v.value for v in (*chosen, *self.variables)])

    def finalize_variable_values(self, variables: Iterable[si.Variable]) -> None:
        """With ``use_ema``, give variables their averages; `Model.fit` does it at its end."""
        for v in variables:
            if self.use_ema and v in self._slots:
                v.assign(self._slots[v][_AVERAGE].value)

    def exclude_from_weight_decay(self, var_list: Iterable[si.Variable] = (), var_names: Iterable[str] = ()) -> None:
        """Keep weight decay from variables: those in a list, and those with one of the texts in their name.

        Parameters
        ----------
        var_list : iterable of Variable
        var_names : iterable of str
            Such as ``["bias"]``.
        """
        self._undecayed += list(var_list or ())
        self._undecayed_names += list(var_names or ())

    def _is_decayed(self, v: si.Variable) -> bool:
        return v not in self._undecayed and not any(text in v.name for text in self._undecayed_names)

    @property
    def variables(self) -> list[si.Variable]:
        """Step count, learning rate, shared numbers and all slots, in the order of the variables they belong to."""
        rate = [self._learning_rate] if self.schedule is None else []
        return [self._iterations, *rate, *self._shared.values(), *[s for v in self._order for s in self._slots[v].values()]]

    def _check(self, grads: Sequence[Any], params: Sequence[Any]) -> None:
        if len(grads) != len(params):
            raise _counts_differ(len(grads), len(params))
        for i, (g, p) in enumerate(zip(grads, params, strict=True)):
            if tuple(g.shape) != tuple(p.shape):
                raise ShapeError(
                    f"{type(self).__name__}: gradient {i} has another shape than its parameter.",
                    expected=f"shape {tuple(p.shape)}",
                    received=f"shape {tuple(g.shape)}",
                    fix="pass the gradients in the order of the parameters",
                    slug="optimizer-gradient-shape",
                    argument="grads=",
                )

    # -- configuration ---------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """Arguments from which `from_config` makes an equal optimizer (without its state)."""
        if self.schedule is not None:
            rate: Any = schedules.serialize(self.schedule)
        else:
            rate = float(str(np.asarray(self._learning_rate)))  # the shortest number that is this float32
        own = {name: getattr(self, name) for name in self.ranges}
        options = {name: getattr(self, name) for name in _OPTIONS}
        return {"learning_rate": rate, **own, **options, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """An optimizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config()
        del config["name"]
        shown = {k: v for k, v in config.items() if k not in _OPTIONS or v != _OPTIONS[k]}
        if self.schedule is not None:
            shown["learning_rate"] = self.schedule
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


#: The options of all optimizers, with their defaults.
_OPTIONS = {
    name: p.default
    for name, p in inspect.signature(Optimizer.__init__).parameters.items()
    if name not in ("self", "learning_rate", "name", "unknown")
}


def _where(due: Any, new: Any, old: Any) -> Any:
    return [si.where(due, a, b) for a, b in zip(new, old, strict=True)] if isinstance(new, list) else si.where(due, new, old)


def _pairs(grads: Any, variables: Any) -> list[tuple[Any, si.Variable]]:
    """Each variable of a tree with its gradient, which may be None."""
    if isinstance(variables, si.Variable):
        return [(grads, variables)]
    if isinstance(variables, Mapping) and isinstance(grads, Mapping) and set(grads) == set(variables):
        return [pair for k in variables for pair in _pairs(grads[k], variables[k])]
    if isinstance(variables, list | tuple) and isinstance(grads, list | tuple):
        if len(grads) != len(variables):
            raise _counts_differ(len(grads), len(variables))
        return [pair for g, v in zip(grads, variables, strict=True) for pair in _pairs(g, v)]
    leaves, found = flatten(variables)[0], flatten(grads)[0]
    if len(leaves) != len(found):
        raise _counts_differ(len(found), len(leaves))
    return list(zip(found, leaves, strict=True))


def _counts_differ(grads: int, params: int) -> ShapeError:
    return ShapeError(
        "There must be one gradient for each parameter.",
        expected=f"{params} gradients",
        received=f"{grads}",
        fix="pass the gradients of exactly these parameters",
        slug="optimizer-gradient-count",
        argument="grads=",
    )


def get(identifier: str | Optimizer | Mapping[str, Any]) -> Optimizer:
    """The optimizer that a name, a configuration or an optimizer means.

    Raises
    ------
    ArgumentError
        If there is none of that name; the nearest one is proposed.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.get("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]  # each class but the base has a default
    config: Mapping[str, Any] = {}
    name: Any = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    from insitu.nn import registry

    return registry.find("optimizer", REGISTRY, name, 'pass optimizer="adam" or si.optim.Adam()').from_config(config)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration from which `get` makes the optimizer again."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
