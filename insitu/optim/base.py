"""What all optimizers share: options, the functional core on trees of arrays, and `apply` on variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu import registry
from insitu.arguments import (
    CONFIG,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    REFUSED,
    SHARE,
    TEXT,
    Checked,
    Instance,
    Listed,
    Number,
    Several,
    Whole,
    checked,
)  # fmt: skip
from insitu.array.array import Array
from insitu.array.tree import flatten
from insitu.array.variable import traces
from insitu.errors import ArgumentError
from insitu.optim import pairing, schedules
from insitu.optim.configured import arguments_of
from insitu.optim.core import AVERAGE, Rule, State
from insitu.optim.schedules import LearningRateSchedule

#: Every optimizer class by its name in lower case.
REGISTRY: dict[str, type[Optimizer]] = {}

#: The options of all optimizers, and what they may be.
OPTIONS = {
    "weight_decay": NOT_NEGATIVE | None,
    "clipnorm": POSITIVE | None,
    "clipvalue": POSITIVE | None,
    "global_clipnorm": POSITIVE | None,
    "use_ema": FLAG,
    "ema_momentum": SHARE,
    "ema_overwrite_frequency": Whole(1) | None,
    "gradient_accumulation_steps": Whole(2) | None,
}
#: A share below 1, as decay rates of moments are: a mean would never move otherwise.
DECAY = Number(0, 1, open="h")


class LearningRate(Number):
    """A number, an array of one number, a schedule, or the configuration of one."""

    makes = True

    def __init__(self) -> None:
        super().__init__(0, slug="optimizer-learning-rate", fix="pass learning_rate=0.001")
        self.borders = [*self.borders, 1e39, "0.001", np.asarray([0.1]), {"class_name": "CosineDecays"}]

    def take(self, value: Any) -> Any:
        if isinstance(value, LearningRateSchedule | Mapping):
            return schedules.get(value)
        scalar = isinstance(value, si.Variable | si.Array | np.ndarray) and value.ndim == 0
        found = super().take(np.asarray(value)[()] if scalar else value)
        return found if found is REFUSED or found <= float(np.finfo(np.float32).max) else REFUSED

    def __str__(self) -> str:
        return "a number that is not negative, such as 0.001, or a schedule of si.optim.schedules"


LEARNING_RATE = LearningRate()
VARIABLES, GRADIENTS = Checked("variables, in a list or another tree"), Checked("gradients, in the form of the variables")


class Pairs(Listed):
    """A list of pairs."""

    def take(self, value: Any) -> Any:
        found = super().take(value)
        return found if found is REFUSED or all(isinstance(p, list | tuple) and len(p) == 2 for p in found) else REFUSED


class Optimizer(Rule):
    """Base class: a rule that turns gradients into new parameters.

    There are two ways to use one. The functional core, ``init`` and ``update``, works on trees of arrays
    and changes nothing. ``apply`` works on `Variable`s and keeps the state in variables of its own. Learning
    rate and step count are arrays, so that changing them compiles nothing anew.

    A subclass names its per-parameter arrays in ``slots``, implements ``step``, and keeps the arguments of its own as
    attributes, from which ``get_config`` reads them. What has been built for variables keeps all numbers but the learning
    rate, since steps that are compiled hold them.

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
        Calls whose gradients are averaged for one update. Schedules go on counting calls.
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

    #: The arguments of a class's own, beside the learning rate, the options and the name.
    _own: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own = tuple([name for name in arguments_of(cls)[0] if name not in ("learning_rate", "name", *OPTIONS)])
        if not cls.__name__.startswith("_"):
            REGISTRY[cls.__name__.lower()] = cls

    @checked("optimizer-range", learning_rate=LEARNING_RATE, name=TEXT | None, **OPTIONS)
    def __init__(
        self, learning_rate: Any, weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        self._slots: dict[si.Variable, dict[str, si.Variable]] = {}
        #: what `exclude_from_weight_decay` was given: variables, and parts of names
        self.undecayed: list[si.Variable] = []
        self.undecayed_names: list[str] = []
        self.name = str(name or type(self).__name__.lower())
        self.weight_decay, self.clipnorm, self.clipvalue, self.global_clipnorm = weight_decay, clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_clipping()
        self.schedule: LearningRateSchedule | None = learning_rate if isinstance(learning_rate, LearningRateSchedule) else None
        if self.schedule is None:
            self._learning_rate = si.Variable(np.asarray(learning_rate, np.float32), name="learning_rate", trainable=False)
        self._iterations = si.Variable(np.zeros((), np.int64), name="iterations", trainable=False)
        self._shared = {n: si.Variable(np.asarray(v, np.float32), name=n, trainable=False) for n, v in self.shared.items()}

    def __setattr__(self, name: str, value: Any) -> None:
        if (name in OPTIONS or name in self._own) and self.__dict__.get("_slots"):
            raise self._too_late(f"{name} cannot be changed any more", f"{name} = {value!r}", f"{name}={value!r}")
        super().__setattr__(name, value)

    def _too_late(self, what: str, received: str, argument: str) -> ArgumentError:
        """The error for changes that steps which are compiled already would not see."""
        owner = type(self).__name__
        return ArgumentError(
            f"{owner}: {what}, as the optimizer has begun its work.",
            expected="changes of the learning rate only, or of other things before the first step",
            received=received,
            fix=f"make a new optimizer: {owner}({argument})",
            slug="optimizer-built",
        )

    def _check_clipping(self) -> None:
        chosen = {n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, n) is not None}
        if len(chosen) > 1:
            raise ArgumentError(
                f"{type(self).__name__}: only one way of clipping gradients can be chosen.",
                expected="one of clipnorm, clipvalue and global_clipnorm",
                received=", ".join(f"{n}={v}" for n, v in chosen.items()),
                fix="leave out all but one of them",
                slug="optimizer-clipping",
            )

    # -- learning rate ---------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Any:
        """The learning rate, a float32 variable of shape (); assign a number to change it. With a schedule, its present value, an array."""
        return self._learning_rate if self.schedule is None else self.rate_at(self._iterations.value)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        value = schedules.get(value) if isinstance(value, Mapping) else value
        if isinstance(value, LearningRateSchedule):
            if self._slots:
                raise self._too_late("the learning rate cannot follow another schedule any more", repr(value), f"learning_rate={value!r}")
            self.schedule = value
            return
        if self.schedule is not None:
            raise ArgumentError(
                f"{type(self).__name__}: the learning rate follows {self.schedule!r} and cannot be assigned.",
                expected="an optimizer that was made with a number",
                received=f"learning_rate = {value!r}",
                fix=f"make it with a number: {type(self).__name__}(learning_rate=0.001)",
                slug="optimizer-schedule",
            )
        # an array may be one that a function under `compile` computes; numbers are looked at
        rate = value.astype(si.float32) if isinstance(value, si.Array) else LEARNING_RATE.check(type(self).__name__, "learning_rate", value)
        self._learning_rate.assign(rate)

    @property
    def iterations(self) -> Any:
        """Updates so far, int64 of shape (): a variable, or an array where several calls make one update."""
        n = self.gradient_accumulation_steps
        return self._iterations if n is None else self._iterations.value // n

    def rate_at(self, calls: si.Array) -> si.Array:
        """The learning rate after this number of calls, float32 of shape ()."""
        return self._learning_rate.value if self.schedule is None else schedules.rate(self.schedule, calls)

    # -- on variables ----------------------------------------------------------------------------
    @checked(variables=VARIABLES)
    def build(self, variables: Any) -> None:
        """Make the state of variables that have none yet.

        Parameters
        ----------
        variables : sequence, or tree, of Variable

        Raises
        ------
        ArgumentError, DTypeError
            For what is no variable, or is not floating.
        """
        names = {slot.name for slots in self._slots.values() for slot in slots.values()}
        for v in _leaves(variables):
            pairing.check_variable(type(self).__name__, v)
            if v not in self._slots:
                self._slots[v] = {slot: self._slot(v, slot, names) for slot in self.all_slots}

    def _slot(self, v: si.Variable, slot: str, names: set[str]) -> si.Variable:
        """The variable of a slot, under a name that is not taken yet."""
        name, number = f"{v.name}/{slot}", 2
        while name in names:
            name, number = f"{v.name}/{slot}#{number}", number + 1
        names.add(name)
        # the value from outside of a trace, which may be open
        begin = np.array(Array(v.node)) if slot == AVERAGE else si.full(v.shape, self._initial(slot), dtype=v.dtype)
        return si.Variable(begin, name=name, trainable=False)

    @checked(grads=GRADIENTS, variables=VARIABLES | None)
    def apply(self, grads: Any, variables: Any = None) -> None:
        """One step on variables: each is assigned its new value, and its constraint is applied.

        Parameters
        ----------
        grads : sequence, or tree, of arrays
            One for each variable; None leaves that variable as it is. A variable that comes several times takes their sum.
        variables : sequence, or tree, of Variable
            Of the form of ``grads``: list and tuple for each other, dict with the same keys, dataclass of the same class.
            Default: those the optimizer was built for, in that order.

        Raises
        ------
        ShapeError, DTypeError, ArgumentError
            If gradients and variables do not match, or there is no gradient at all.

        Examples
        --------
        >>> import insitu as si
        >>> params = {"w": si.Variable([1.0, 2.0])}
        >>> si.optim.SGD(0.5).apply({"w": si.asarray([1.0, 0.0])}, params)
        >>> params["w"].value
        Array([0.5, 2. ], dtype=float32)
        """
        owner = type(self).__name__
        given, found, _ = pairing.aligned(owner, _listed(grads), list(self._slots) if variables is None else _listed(variables))
        if not found:
            return
        self.build(found)
        total: dict[si.Variable, si.Array] = {}
        for g, v in zip(given, found, strict=True):
            if g is not None:
                total[v] = si.asarray(g) if v not in total else total[v] + si.asarray(g)
        if not total:
            raise pairing.no_gradients(owner, [v.name for v in found])
        pairing.check_shapes(owner, list(total.values()), list(total), [v.name for v in total])
        self._apply({v: g.astype(v.dtype) for v, g in total.items()})
        if not traces.open:
            si.evaluate(*[v.value for v in (*total, *self.variables)])

    def _apply(self, grads: Mapping[si.Variable, si.Array]) -> None:
        chosen = list(grads)
        state: State = {"iterations": self._iterations.value} | {name: v.value for name, v in self._shared.items()}
        for slot in self.all_slots:
            state[slot] = [self._slots[v][slot].value for v in chosen]
        decayed = [self._is_decayed(v) for v in chosen]
        new, state = self._advance(list(grads.values()), [v.value for v in chosen], state, decayed)
        self._iterations.assign(state["iterations"])
        for name, variable in self._shared.items():
            variable.assign(state[name])
        for i, v in enumerate(chosen):
            v.assign(new[i] if v.constraint is None else v.constraint(new[i]))
            for slot in self.all_slots:
                self._slots[v][slot].assign(state[slot][i])

    @checked(grads_and_vars=Pairs("pairs of a gradient and its variable, as from zip(grads, variables)", ([],)))
    def apply_gradients(self, grads_and_vars: Sequence[tuple[Any, si.Variable]]) -> None:
        """`apply` for pairs of a gradient and its variable, as from ``zip(grads, variables)``."""
        self.apply([g for g, _ in grads_and_vars], [v for _, v in grads_and_vars])

    @checked(variables=VARIABLES)
    def finalize_variable_values(self, variables: Any) -> None:
        """With ``use_ema``, give variables their averages; `Model.fit` does it at its end."""
        for v in _leaves(variables):
            pairing.check_variable(type(self).__name__, v)
            if self.use_ema and v in self._slots:
                v.assign(self._slots[v][AVERAGE].value)

    @checked(
        var_list=Listed("a list of variables", ([],), fix='exclude_from_weight_decay(var_names=["bias"])') | None,
        var_names=TEXT | Several(TEXT, least=0) | None,
    )
    def exclude_from_weight_decay(self, var_list: Sequence[si.Variable] | None = None, var_names: str | Sequence[str] | None = None) -> None:
        """Keep weight decay from variables: those in a list, and those with one of the texts in their name.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : str or list of str, optional
            Such as ``["bias"]``.

        Raises
        ------
        ArgumentError
            After the first step, or after `build`.

        Examples
        --------
        >>> import insitu as si
        >>> optimizer, kernel, bias = si.optim.SGD(1.0, weight_decay=0.5), si.Variable([4.0], name="kernel"), si.Variable([4.0], name="bias")
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        >>> optimizer.apply([si.zeros(1), si.zeros(1)], [kernel, bias])
        >>> kernel.value, bias.value
        (Array([2.], dtype=float32), Array([4.], dtype=float32))
        """
        if self._slots:
            raise self._too_late("no more variables can be excluded from weight decay", "a call after the first step", "...")
        for v in var_list or ():
            pairing.check_variable(type(self).__name__, v)
        self.undecayed += list(var_list or ())
        self.undecayed_names += [var_names] if isinstance(var_names, str) else list(var_names or ())

    def _is_decayed(self, v: si.Variable) -> bool:
        return v not in self.undecayed and not any(text in v.name for text in self.undecayed_names)

    @property
    def numbers(self) -> list[si.Variable]:
        """Step count, learning rate and shared numbers."""
        return [self._iterations, *([self._learning_rate] if self.schedule is None else []), *self._shared.values()]

    @property
    def variables(self) -> list[si.Variable]:
        """Step count, learning rate, shared numbers and all slots, in the order of the variables they belong to."""
        return [*self.numbers, *[s for slots in self._slots.values() for s in slots.values()]]

    @property
    def slots_by_variable(self) -> Mapping[si.Variable, Mapping[str, si.Variable]]:
        """The slots of each variable that has some, by their names."""
        return self._slots

    # -- configuration ---------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """Arguments from which `from_config` makes an equal optimizer (without its state)."""
        if self.schedule is not None:
            rate: Any = schedules.serialize(self.schedule)
        else:
            rate = float(str(np.asarray(self._learning_rate)))  # the shortest number that is this float32
        found = {"learning_rate": rate, **self.kept(dict.fromkeys(self._own)), **self.kept(OPTIONS), "name": self.name}
        named, more = arguments_of(type(self))
        return {name: value for name, value in found.items() if more or name in named}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """An optimizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config()
        usual = {name: p.default for name, p in (arguments_of(Optimizer)[0] | arguments_of(type(self))[0]).items()}
        shown = {k: v for k, v in config.items() if k != "name" and (k not in OPTIONS or v != usual[k])}
        if self.schedule is not None:
            shown["learning_rate"] = self.schedule
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def _listed(tree: Any) -> Any:
    """A tree; other iterables, such as the values of a dict or a generator, as a list."""
    plain = isinstance(tree, si.Variable | si.Array | np.ndarray | str) or flatten(tree)[1].kind != "leaf" or not hasattr(tree, "__iter__")
    return tree if plain else list(tree)


def _leaves(variables: Any) -> list[Any]:
    return flatten(_listed(variables))[0]


@checked(identifier=Checked("a name or an optimizer", ("adam",)))
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
    return registry.find("optimizer", REGISTRY, name, 'pass optimizer="adam" or si.optim.Adam()').from_config(
        registry.check_config("optimizer", config)
    )


@checked(optimizer=Instance(Optimizer, "an optimizer", slug="optimizer-unknown"))
def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration from which `get` makes the optimizer again."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
