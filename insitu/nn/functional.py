"""Functional models: layers called on symbols record a graph of calls, which a `Functional` model runs on arrays."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import insitu as si
from insitu.arguments import COUNT, DTYPE, TEXT, Lengths, checked
from insitu.array.tree import flatten, map_leaves, unflatten
from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, TraceError
from insitu.nn.shapes import Shape, infer

if TYPE_CHECKING:
    from insitu.nn.layer import Layer
    from insitu.nn.sequential import Sequential


class Symbol:
    """What stands for a batch of arrays while a functional model is put together: a shape and a dtype, no values.

    Attributes
    ----------
    shape : tuple
        Begins with None, the batch.
    dtype : DType
    name : str
        Of the input, or of the layer that gives it.
    call : Call or None
        Where it comes from; None for an `Input`.
    """

    __slots__ = ("call", "dtype", "name", "shape")

    def __init__(self, shape: Shape, dtype: Any, name: str, call: Call | None = None) -> None:
        self.shape, self.dtype, self.name, self.call = shape, as_dtype(dtype), name, call

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f'<Symbol "{self.name}" {self.shape} {self.dtype.name}>'

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _no_values(self)

    def __bool__(self) -> bool:
        raise _no_values(self)

    def __add__(self, other: Any) -> Any:
        return _operate("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _operate("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _operate("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _operate("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return _operate("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _operate("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _operate("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _operate("divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return _operate("pow", self, other)

    def __matmul__(self, other: Any) -> Any:
        return _operate("matmul", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _operate("pow", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _operate("floor_divide", self, other)

    def __mod__(self, other: Any) -> Any:
        return _operate("remainder", self, other)

    def __abs__(self) -> Any:
        return _operate("abs", self)

    def __neg__(self) -> Any:
        return _operate("negative", self)

    def __getitem__(self, key: Any) -> Any:
        from insitu.nn.operation import GetItem, entry

        return GetItem([entry(k) for k in (key if isinstance(key, tuple) else (key,))])(self)

    __iter__ = None  # which is not done by indexing
    __array_priority__ = 1000  # NumPy leaves a + symbol to the symbol


class Call:
    """One call of a layer on symbols: its arguments and its result, trees of symbols."""

    __slots__ = ("arguments", "layer", "options", "result")

    def __init__(self, layer: Layer, arguments: Any, options: dict[str, Any]) -> None:
        self.layer, self.arguments, self.options = layer, arguments, options
        self.result: Any = None


EXAMPLE = Lengths(
    1, unknown=True, single=False, slug="input-shape", fix="pass a tuple, with a comma even for one length: shape=(784,)",
    words="the shape of one example: a tuple of positive whole numbers without the batch, such as (28, 28)",
)  # fmt: skip


@checked(shape=EXAMPLE, batch_size=COUNT | None, dtype=DTYPE, name=TEXT | None)
def Input(shape: Iterable[int | None], batch_size: int | None = None, dtype: Any = "float32", name: str | None = None) -> Symbol:
    """The input of a functional model, or the first entry of a `Sequential`.

    Parameters
    ----------
    shape : tuple of int
        Of one example, without the batch.
    batch_size : int, optional
        Only shown; any length is taken.
    dtype : dtype
    name : str, optional

    Returns
    -------
    Symbol

    Raises
    ------
    ArgumentError
        If ``shape`` is none.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.nn.Input((4,))
    >>> model = si.nn.Model(x, si.nn.Dense(2)(x))
    >>> model(si.ones((3, 4))).shape
    (3, 2)
    """
    from insitu.nn.layer import unique_name

    return Symbol((None, *shape), dtype, name or unique_name("input"))


def has_symbols(tree: Any) -> bool:
    """Whether a tree holds a symbol."""
    return any(type(x) is Symbol for x in flatten(tree)[0])


def record(layer: Layer, arguments: tuple[Any, ...], training: bool | None, options: Mapping[str, Any]) -> Any:
    """Call a layer on symbols: it is built, and symbols for its outputs come back."""
    leaves, structure = flatten(arguments)
    for x in leaves:
        if type(x) is not Symbol:
            raise ArgumentError(
                f'{type(layer).__name__} "{layer.name}" was called with symbols and arrays at once.',
                expected="symbols of a functional model only, or arrays only",
                received=f"{type(x).__name__} beside a symbol",
                fix="make an Input for each array of data; put constants into a layer of your own",
                slug="functional-mixed",
            )
    given = {**options} if training is None else {**options, "training": training}
    layer.prepare(map_leaves(lambda s: s.shape, arguments[0]))
    specs = infer(lambda leaf_arrays: layer(*unflatten(structure, leaf_arrays), **given), [s.shape for s in leaves], [s.dtype for s in leaves])
    call = Call(layer, arguments, given)
    found, outline = flatten(specs)
    many = len(found) > 1
    call.result = unflatten(outline, [Symbol(s.shape, s.dtype, f"{layer.name}_{i}" if many else layer.name, call) for i, s in enumerate(found)])
    calls_of(layer).append(call)
    return call.result


def calls_of(layer: Layer) -> list[Call]:
    """The calls of a layer on symbols, which are no part of a copy of it: a copied model brings its own."""
    return vars(layer).setdefault("_recorded", [])  # type: ignore[no-any-return]


#: Which `Sequential` holds a layer: it calls its layers on symbols when somebody asks for what one of them gives.
rows: weakref.WeakKeyDictionary[Layer, weakref.ref[Sequential]] = weakref.WeakKeyDictionary()


def last_call(layer: Layer) -> Call:
    """The layer's latest call on symbols.

    Raises
    ------
    ArgumentError
        If there was none.
    """
    row = rows[layer]() if layer in rows else None
    if not calls_of(layer) and row is not None:
        row.symbols()
    if not calls_of(layer):
        raise ArgumentError(
            f'"{layer.name}" is not part of a functional model, so it has no input and output.',
            expected="a layer that was called on symbols",
            received=f"{layer!r}, which was not",
            fix="call it: y = layer(si.nn.Input((784,)))",
            slug="functional-no-call",
        )
    return calls_of(layer)[-1]


def search(inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> tuple[list[Call], list[Call]]:
    """The calls that lead from inputs to outputs: as they are met from the outputs, and each after those it needs.

    A stack of its own, not Python's, holds what waits: graphs may be deep.

    Raises
    ------
    ArgumentError
        If an output depends on an input that is not among ``inputs``.
    """
    known, met, done = {id(s) for s in inputs}, dict[Call, None](), list[Call]()
    waiting: list[Symbol | Call] = [*reversed(outputs)]
    while waiting:
        at = waiting.pop()
        if isinstance(at, Call):
            done.append(at)
        elif id(at) not in known:
            if at.call is None:
                raise ArgumentError(
                    f'Model: an output needs the input "{at.name}", which is not among the inputs.',
                    expected="all inputs that the outputs are computed from",
                    received=", ".join(f'"{s.name}"' for s in inputs),
                    fix=f"add it: Model(inputs=[..., {at.name}], outputs=...)",
                    slug="functional-disconnected",
                    argument="inputs=",
                )
            if at.call not in met:
                met[at.call] = None
                waiting += [at.call, *reversed(flatten(at.call.arguments)[0])]
    return list(met), done


def layers_of(met: Sequence[Call], calls: Sequence[Call]) -> list[Layer]:
    """The layers in Keras' order: those furthest from the outputs first, and of these the first met from there; for what `search` gives."""
    number = {layer: n for n, layer in enumerate(dict.fromkeys(call.layer for call in met))}
    depths: dict[Call, int] = {}
    furthest: dict[Layer, int] = {}
    for call in reversed(calls):
        depth = furthest[call.layer] = max(depths.get(call, 0), furthest.get(call.layer, 0))
        for s in flatten(call.arguments)[0]:
            if s.call is not None:
                depths[s.call] = max(depths.get(s.call, 0), depth + 1)
    return sorted(furthest, key=lambda layer: (-furthest[layer], number[layer]))


def run(calls: Sequence[Call], inputs: Sequence[Symbol], outputs: Any, arrays: Sequence[si.Array]) -> Any:
    """The outputs for arrays in place of the inputs."""
    values: dict[int, Any] = {id(s): a for s, a in zip(inputs, arrays, strict=True)}
    for call in calls:
        result = call.layer(*map_leaves(lambda s: values[id(s)], call.arguments), **call.options)
        for symbol, value in zip(flatten(call.result)[0], flatten(result)[0], strict=True):
            values[id(symbol)] = value
    return map_leaves(lambda s: values[id(s)], outputs)


# -- configuration: trees of symbols as JSON ------------------------------------------------------
def to_config(calls: Sequence[Call], inputs: Any, outputs: Any, serialize: Any) -> dict[str, Any]:
    """Inputs, layers, calls and outputs as JSON values; a symbol is its number in the order of its making."""
    symbols = flatten(inputs)[0]
    number = {id(s): i for i, s in enumerate(symbols)}
    layers = list(dict.fromkeys(c.layer for c in calls))
    rows = []
    for call in calls:
        arguments = _pack(call.arguments, number)
        for s in flatten(call.result)[0]:
            number[id(s)] = len(number)
        rows.append({"layer": layers.index(call.layer), "arguments": arguments, "options": call.options})
    return {
        "inputs": [{"shape": list(s.shape[1:]), "dtype": s.dtype.name, "name": s.name} for s in symbols],
        "input_tree": _pack(inputs, number),
        "layers": [serialize(layer) for layer in layers],
        "calls": rows,
        "output_tree": _pack(outputs, number),
    }


def from_config(config: Mapping[str, Any], deserialize: Any) -> tuple[Any, Any]:
    """Inputs and outputs, trees of symbols, from what `to_config` gave.

    Raises
    ------
    ArgumentError
        If it is something else.
    """
    missing = [name for name in ("inputs", "layers", "calls", "input_tree", "output_tree") if name not in config]
    if missing:
        raise ArgumentError(
            "This is no configuration of a functional model.",
            expected="what get_config of one returned",
            received=f"a dict without {', '.join(missing)}",
            fix="pass what get_config returned; a Sequential is made by Sequential.from_config",
            slug="layer-unknown",
            argument="config",
        )
    symbols: list[Symbol] = [Input(**i) for i in config["inputs"]]
    layers = [deserialize(c) for c in config["layers"]]
    for row in config["calls"]:
        symbols += flatten(layers[row["layer"]](*_unpack(row["arguments"], symbols), **row["options"]))[0]
    return _unpack(config["input_tree"], symbols), _unpack(config["output_tree"], symbols)


def _pack(tree: Any, number: Mapping[int, int]) -> Any:
    if type(tree) is Symbol:
        return number[id(tree)]
    if isinstance(tree, dict):
        return {"dict": {k: _pack(v, number) for k, v in tree.items()}}
    return {"tuple" if isinstance(tree, tuple) else "list": [_pack(v, number) for v in tree]}


def _unpack(packed: Any, symbols: Sequence[Symbol]) -> Any:
    if isinstance(packed, int):
        return symbols[packed]
    ((kind, inner),) = packed.items()
    if kind == "dict":
        return {k: _unpack(v, symbols) for k, v in inner.items()}
    return (tuple if kind == "tuple" else list)(_unpack(v, symbols) for v in inner)


def arrange(inputs: Any, given: Any, model: str) -> list[Any]:
    """The leaves of what was given, in the order of the model's inputs; dicts go by the inputs' names.

    Raises
    ------
    ArgumentError
        If the number or the names do not fit.
    """
    symbols = flatten(inputs)[0]
    if isinstance(given, dict) and not isinstance(inputs, dict):
        names = [s.name for s in symbols]
        if len(names) == 1 == len(given):
            return list(given.values())
        if all(n in given for n in names):
            return [given[n] for n in names]
        raise inputs_differ(model, names, ", ".join(map(repr, given)))
    leaves = flatten(given)[0]
    if len(leaves) != len(symbols) or (isinstance(inputs, dict) and isinstance(given, dict) and set(inputs) != set(given)):
        raise inputs_differ(
            model,
            [s.name for s in symbols],
            ", ".join(map(repr, given)) if isinstance(given, dict) else f"{len(leaves)} array{'s' * (len(leaves) != 1)}",
        )
    return leaves


def inputs_differ(model: str, names: Sequence[str], received: str) -> ArgumentError:
    """The error for inputs of another number, or other names."""
    return ArgumentError(
        f'Model "{model}" has other inputs than those it was given.',
        expected=f"{len(names)} inputs: " + ", ".join(f'"{n}"' for n in names),
        received=received,
        fix="pass a list in that order, or a dict with these names",
        slug="model-inputs",
        argument="x",
    )


def _no_values(symbol: Symbol) -> TraceError:
    return TraceError(
        f'The symbol "{symbol.name}" of a functional model has no values.',
        expected="layers and arithmetic on symbols; values come with the data",
        received="a NumPy or insitu function, a Python if, or bool of a symbol",
        fix="put the function into a layer: si.nn.Lambda(function)(symbol)",
        slug="functional-value",
    )


def check_symbols(tree: Any, argument: str) -> list[Symbol]:
    """The symbols of a tree.

    Raises
    ------
    ArgumentError
        If it holds something else, or nothing.
    """
    leaves: list[Any] = flatten(tree)[0]
    bad = next((x for x in leaves if type(x) is not Symbol), None)
    if bad is not None or not leaves:
        raise ArgumentError(
            f"Model: {argument} must be symbols.",
            expected="what Input or a call of a layer on symbols returned, or a list or dict of these",
            received=repr(bad) if leaves else "none",
            fix="x = si.nn.Input((784,)); y = si.nn.Dense(10)(x); model = si.nn.Model(x, y)",
            slug="functional-symbols",
            argument=f"{argument}=",
        )
    return leaves


def _operate(function: str, *operands: Any) -> Any:
    from insitu.nn.operation import Operation

    for x in operands:
        if type(x) is not Symbol and not isinstance(x, int | float):
            raise ArgumentError(
                f"A symbol and {type(x).__name__} cannot be combined by {function}.",
                expected="a symbol or a Python number",
                received=repr(type(x).__name__),
                fix="put the constant into a layer of your own, or a Lambda",
                slug="functional-mixed",
            )
    symbols = [x for x in operands if type(x) is Symbol]
    layer = Operation(function, [None if type(x) is Symbol else x for x in operands])
    return layer(symbols[0] if len(symbols) == 1 else symbols)
