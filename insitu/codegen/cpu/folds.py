"""How a `Reduce` folds: start value, one step, and the tree over virtual lanes.

A fold starts from a value that changes nothing: -0.0 for a sum (``x + -0.0`` is x, also for x = -0.0),
1 for a product, the smallest value for max, the largest for min. Virtual lanes without an element
therefore leave no trace in the result. 16-bit floats fold in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu.convert import convert
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.operations import operate
from insitu.dtypes import DType

_OPERATION = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}

#: What a fold carries: the value, and for argmax and argmin its position.
State = tuple[Value, ...]


def fold_of(b: Emitter, s: nest.Reduce) -> Fold:
    """The fold of a `Reduce` statement."""
    return ArgFold(b, s) if s.how.startswith("arg") else Fold(b, s)


class Fold:
    """sum, prod, max or min of one type.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    s : nest.Reduce
        The statement.
    """

    def __init__(self, b: Emitter, s: nest.Reduce) -> None:
        self.b, self.how, self.dtype = b, s.how, s.value.dtype
        self.carried: DType = self.dtype.compute

    def start(self, lanes: int, first_lane: int | None = None) -> State:
        """The state before any element: of virtual lanes ``first_lane`` and up, or of that many chains."""
        return (self.b.const(_identity(self.how, self.carried), self.carried, lanes),)

    def step(self, state: State, value: Value, position: Value | None, active: Value | None) -> State:
        """The state after one more element in each active lane."""
        value = convert(self.b, value, self.carried)
        folded = operate(self.b, _OPERATION[self.how], [state[0], value])
        return (folded if active is None else self.b.select(active, folded, state[0]),)

    def merge(self, low: State, high: State) -> State:
        """Lanes ``high`` folded into lanes ``low``."""
        return self.step(low, high[0], None, None)

    def result(self, state: State) -> Value:
        """What `ref` sees."""
        return convert(self.b, state[0], self.dtype)

    def tree(self, parts: Sequence[State]) -> Value:
        """The result of all virtual lanes: lane k takes lane k + L/2, then L/4, ..."""
        parts = list(parts)
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.merge(parts[k], parts[k + half]) for k in range(half)]
        state, lanes = parts[0], parts[0][0].lanes
        while lanes > 2:
            lanes //= 2
            low, high = (tuple(self.b.shuffle(v, None, range(k, k + lanes)) for v in state) for k in (0, lanes))
            state = self.merge(low, high)
        if lanes == 2:
            low, high = (tuple(self.b.extract(v, k) for v in state) for k in (0, 1))
            state = self.merge(low, high)
        return self.result(state)


class ArgFold(Fold):
    """argmax or argmin: the position of the first extreme; the first NaN wins over any number."""

    def __init__(self, b: Emitter, s: nest.Reduce) -> None:
        super().__init__(b, s)
        self.how = s.how.removeprefix("arg")
        if self.carried.kind == "b":
            self.carried = dt.uint8
        self.position = dt.int64 if self.carried.bits == 64 else dt.int32

    def start(self, lanes: int, first_lane: int | None = None) -> State:
        if lanes == 1 or first_lane is None:
            where = self.b.const(first_lane or 0, self.position, lanes)
        else:
            name = f"i{self.position.bits}"
            where = Value("<" + ", ".join(f"{name} {first_lane + k}" for k in range(lanes)) + ">", self.position, lanes)
        return (*super().start(lanes, first_lane), where)

    def step(self, state: State, value: Value, position: Value | None, active: Value | None) -> State:
        value = convert(self.b, value, self.carried)
        better = self._better(value, state[0])
        if active is not None:
            better = self.b.and_(better, active)
        where = self.b.splat(self.b.cast(position, self.position), value.lanes) if position is not None else state[1]
        return self.b.select(better, value, state[0]), self.b.select(better, where, state[1])

    def _better(self, new: Value, old: Value) -> Value:
        how = "gt" if self.how == "max" else "lt"
        if new.kind != "f":
            return self.b.cmp(how, new, old)
        above = self.b.emit(f"fcmp u{how} {new!r}, {old.text}", dt.bool_, new.lanes)
        return self.b.and_(above, self.b.cmp("ord", old, old))

    def merge(self, low: State, high: State) -> State:
        b = self.b
        wins = self._better(high[0], low[0])
        ties = b.and_(b.not_(self._better(low[0], high[0])), b.cmp("lt", high[1], low[1]))
        wins = b.or_(wins, ties)
        return b.select(wins, high[0], low[0]), b.select(wins, high[1], low[1])

    def result(self, state: State) -> Value:
        return self.b.cast(state[1], dt.int64)


def _identity(how: str, dtype: DType) -> float | int:
    if how == "sum":
        return -0.0 if dtype.kind == "f" else 0
    if how == "prod":
        return 1
    if dtype.kind == "f":
        return float("-inf") if how == "max" else float("inf")
    return dtype.min if how == "max" else dtype.max
