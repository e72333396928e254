"""What all optimizers share: the functional core on trees of arrays, and `apply` on variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import insitu as si
from insitu.array.tree import flatten, unflatten
from insitu.array.variable import traces
from insitu.errors import ArgumentError, ShapeError

State = dict[str, Any]

#: Every optimizer class by its name in lower case.
REGISTRY: dict[str, type[Optimizer]] = {}


class Optimizer:
    """Base class: a rule that turns gradients into new parameters.

    There are two ways to use one. The functional core, ``init`` and ``update``, works on trees of arrays
    and changes nothing. ``apply`` works on `Variable`s and keeps the state in variables of its own. Learning
    rate and step count are arrays, so that changing them compiles nothing anew.

    A subclass names its per-parameter arrays in ``slots`` and implements ``step``.

    Parameters
    ----------
    learning_rate : float
        Step size; must be positive or zero.
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

    #: Names of the arrays kept for each parameter, all zero at the start.
    slots: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        REGISTRY[cls.__name__.lower()] = cls

    def __init__(self, learning_rate: float, name: str | None = None) -> None:
        self.name = name or type(self).__name__.lower()
        self._learning_rate = si.Variable(self._checked_rate(learning_rate), name="learning_rate", trainable=False)
        self.iterations = si.Variable(np.zeros((), np.int64), name="iterations", trainable=False)
        self._slots: dict[si.Variable, dict[str, si.Variable]] = {}
        self._order: list[si.Variable] = []

    # -- learning rate ---------------------------------------------------------------------------
    @property
    def learning_rate(self) -> si.Variable:
        """The learning rate, a float32 variable of shape (); assign a number to change it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate.assign(value if isinstance(value, si.Array) else self._checked_rate(value))

    def _checked_rate(self, value: Any) -> np.ndarray[Any, Any]:
        number = value.value.item() if isinstance(value, si.Variable) else value
        if isinstance(number, bool) or not isinstance(number, int | float | np.number) or not 0 <= float(number) < float("inf"):
            raise ArgumentError(
                f"{type(self).__name__}: learning_rate must be a number that is not negative.",
                expected="a number such as 0.001",
                received=repr(value),
                fix="pass learning_rate=0.001",
                slug="optimizer-learning-rate",
                argument="learning_rate=",
            )
        return np.asarray(number, np.float32)

    # -- the functional core ---------------------------------------------------------------------
    def init(self, params: Any) -> State:
        """The state before the first step.

        Parameters
        ----------
        params : tree of arrays

        Returns
        -------
        dict
            ``iterations`` (int64, shape ()) and, for each name in ``slots``, a list with one array of zeros per parameter.
        """
        leaves, _ = flatten(params)
        state: State = {"iterations": si.asarray(np.zeros((), np.int64))}
        for slot in self.slots:
            state[slot] = [si.zeros(p.shape, dtype=p.dtype) for p in leaves]
        return state

    def update(self, grads: Any, params: Any, state: State) -> tuple[Any, State]:
        """One step.

        Parameters
        ----------
        grads, params : trees of arrays
            Of one structure; each gradient has its parameter's shape.
        state : dict
            From `init` or the step before.

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
        scalars = self.scalars(state["iterations"])
        new_state: State = {"iterations": state["iterations"] + 1, **{slot: [] for slot in self.slots}}
        new = []
        for i, (g, p) in enumerate(zip(steps, old, strict=True)):
            changed, kept = self.step(g.astype(p.dtype), p, {slot: state[slot][i] for slot in self.slots}, scalars)
            new.append(changed)
            for slot in self.slots:
                new_state[slot].append(kept[slot])
        return unflatten(structure, new), new_state

    def scalars(self, iterations: si.Array) -> dict[str, si.Array]:
        """Values that one step shares between all parameters; at least ``rate``."""
        return {"rate": self._learning_rate.value}

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
                zeros = np.zeros(v.shape, v.dtype.numpy)
                self._slots[v] = {slot: si.Variable(zeros, name=f"{v.name}/{slot}", trainable=False) for slot in self.slots}
                self._order.append(v)

    def apply(self, grads: Sequence[si.Array | None], variables: Sequence[si.Variable]) -> None:
        """One step on variables: each is assigned its new value.

        Parameters
        ----------
        grads : sequence of arrays
            One for each variable; None leaves that variable as it is.
        variables : sequence of Variable

        Raises
        ------
        ShapeError
            If gradients and variables do not match.
        """
        if len(grads) != len(variables):
            raise _counts_differ(len(grads), len(variables))
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        chosen = [v for _, v in pairs]
        self.build(chosen)
        state: State = {"iterations": self.iterations.value}
        for slot in self.slots:
            state[slot] = [self._slots[v][slot].value for v in chosen]
        new, state = self.update([g for g, _ in pairs], [v.value for v in chosen], state)
        self.iterations.assign(state["iterations"])
        for i, v in enumerate(chosen):
            v.assign(new[i])
            for slot in self.slots:
                self._slots[v][slot].assign(state[slot][i])
        if not traces.open:
            si.evaluate(*[v.value for v in (*chosen, *self.variables)])

    @property
    def variables(self) -> list[si.Variable]:
        """Step count, learning rate and all slots, in the order of the variables they belong to."""
        return [self.iterations, self._learning_rate, *[s for v in self._order for s in self._slots[v].values()]]

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
        rate = np.asarray(self._learning_rate.value)
        return {"learning_rate": float(str(rate)), "name": self.name}  # the shortest number that is this float32

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """An optimizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items() if k != 'name')})"


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
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.get("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(identifier, Optimizer):
        return identifier
    config: Mapping[str, Any] = {}
    name: Any = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    found = REGISTRY.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        raise ArgumentError(
            f"There is no optimizer {identifier!r}.",
            expected="an optimizer or one of " + ", ".join(f'"{n}"' for n in sorted(REGISTRY)),
            received=repr(identifier),
            fix='pass optimizer="adam" or si.optim.Adam()',
            slug="optimizer-unknown",
            argument="optimizer=",
        )
    return found.from_config(config)
