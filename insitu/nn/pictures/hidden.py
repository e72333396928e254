"""Which hidden nodes speak for a class, and what they look for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console

from insitu.arguments import ARRAY, COUNT, FLAG, PATH, Instance, Whole, checked
from insitu.array.checks import whole
from insitu.array.tree import flatten
from insitu.data.feed import Arrays, feed
from insitu.errors import ArgumentError
from insitu.nn import context, functional
from insitu.nn.layer import Layer
from insitu.nn.pictures import png
from insitu.nn.pictures.drawing import Picture, gallery
from insitu.nn.pictures.weights import PICTURE, fills, picture_shape, scaled

if TYPE_CHECKING:
    from insitu.nn.model import Model

#: Examples that are computed at once.
_BATCH = 1024


class Contribution(NamedTuple):
    """What a hidden node adds to the score of a class: the mean of activation times weight over the examples."""

    node: int
    value: float


class _End(NamedTuple):
    """The end of a model: the Dense layers with the output layer last, and what computes the hidden activations."""

    dense: list[Any]
    hidden: Callable[[Any], Any]


MODEL = Instance(Layer, "a model with a hidden and an output layer", slug="pictures-model")


@checked(model=MODEL, x=ARRAY, cls=Whole(0, slug="pictures-unit"), top=COUNT)
def contributions(model: Model, x: Any, cls: int, top: int = 5) -> list[Contribution]:
    """The nodes of the last hidden layer that contribute most to a class, over examples.

    The contribution of node j to class k is ``mean(h[:, j]) * kernel[j, k]``, with the activations h that the output layer
    sees and its kernel: these terms, and the bias, add up to the mean score before the last activation.

    Parameters
    ----------
    model : Model
        Sequential or functional; ends in a Dense layer, behind which only layers without weights may stand, with another Dense
        layer before it.
    x : array_like, shape (examples, ...)
        Such as all examples of the class; whatever `Model.predict` takes.
    cls : int
        Number of the class. Where the output is a single number, 1 is what it speaks for and 0 the other class.
    top : int
        How many nodes; all if there are fewer.

    Returns
    -------
    list of Contribution
        The largest first.

    Raises
    ------
    ArgumentError
        If the model does not end so, or has no such class.

    Examples
    --------
    >>> import insitu as si
    >>> (x, y), _ = si.data.digits()
    >>> model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(4, activation="relu"), si.nn.Dense(10)])
    >>> model.build((None, 8, 8))
    >>> len(contributions(model, x[y == 3], 3, top=2))
    2
    """
    count = top
    end = _end(model)
    weights = _weights_of_class(end.dense[-1].kernel.numpy(), cls)
    data = feed(x, function="contributions")
    batches = (data.rows(slice(k, k + _BATCH)).x for k in range(0, data.count, _BATCH)) if isinstance(data, Arrays) else (b[0] for b in data)
    total, examples = np.zeros(len(weights)), 0
    for batch in batches:
        with context.training(False):
            seen = np.asarray(end.hidden(batch), np.float64).reshape(-1, len(weights))
        total, examples = total + seen.sum(0), examples + len(seen)
    values = total / examples * weights
    return [Contribution(int(i), float(values[i])) for i in np.argsort(-values, kind="stable")[:count]]


@checked(
    model=MODEL, x=ARRAY, cls=Whole(0, slug="pictures-unit"), top=COUNT, input_shape=PICTURE | None,
    path=PATH | None, columns=COUNT | None, show=FLAG,
)  # fmt: skip
def plot_contributions(
    model: Model, x: Any, cls: int, top: int = 5, input_shape: Sequence[int] | None = None, path: Any = None, columns: int | None = None,
    show: bool = True,
) -> list[Contribution]:  # fmt: skip
    """Show the hidden nodes that contribute most to a class as pictures, with their numbers and contributions.

    A node's picture is its weights; behind further Dense layers it is the product of their kernels up to the node, that is
    what it looks for where all nodes before it are active.

    Parameters
    ----------
    model, x, cls, top
        As for `contributions`.
    input_shape, path, columns, show
        As for `plot`; the shape is that of an example if it fits.

    Returns
    -------
    list of Contribution
        The largest first.

    Raises
    ------
    ArgumentError, ShapeError, FileFormatError
        As for `contributions` and `plot`.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1, "relu", kernel_initializer="ones"), si.nn.Dense(1, kernel_initializer="ones")])
    >>> plot_contributions(model, np.ones((2, 4)), 1, show=False)
    [Contribution(node=0, value=4.0)]
    """
    found = contributions(model, x, cls, top)
    dense = _end(model).dense
    kernels = [layer.kernel.numpy() for layer in dense]
    seen, first = kernels[-2], dense[-2]
    for layer, kernel in zip(dense[-3::-1], kernels[-3::-1], strict=True):
        if kernel.shape[1] != len(seen):
            break
        seen, first = kernel @ seen, layer
    if seen.shape[1] != len(kernels[-1]):
        raise _no_end(model, "plot_contributions", "a Dense layer whose units are the output layer's inputs")
    example = np.shape(x)[1:] if hasattr(x, "shape") else ()
    shape = picture_shape(first, len(seen), example if input_shape is None and fills(example, len(seen)) else input_shape)
    pictures: list[Picture] = [scaled(seen[:, c.node].reshape(shape)) for c in found]
    if show:
        gallery(Console(), pictures, [f"{c.node}: {c.value:+.2f}" for c in found], signed=True)
    if path is not None:
        png.save(path, pictures, columns)
    return found


def _weights_of_class(kernel: Picture, cls: Any) -> Picture:
    classes = max(kernel.shape[1], 2)
    number = whole(cls)
    if number is None or not 0 <= number < classes:
        raise ArgumentError(
            f"contributions: there is no class {cls!r}.",
            expected=f"a number from 0 to {classes - 1}",
            received=repr(cls),
            fix="pass the number of a class",
            slug="pictures-unit",
            argument="cls=",
        )
    if kernel.shape[1] == 1:
        return kernel[:, 0] if number else -kernel[:, 0]
    return np.asarray(kernel[:, number])


def _end(model: Model) -> _End:
    from insitu.nn.model import Functional
    from insitu.nn.sequential import Sequential

    found = None
    if model.built and isinstance(model, Sequential):
        found = _end_of_chain(_chain(model))
    elif isinstance(model, Functional) and len(model.outputs) == 1:
        found = _end_of_graph(model)
    if found is None or any(layer.kernel is None for layer in found.dense):
        raise _no_end(model, "contributions", "a built Sequential or functional model that ends in a Dense layer, with another Dense layer before it")
    return found


def _no_end(model: Model, function: str, expected: str) -> ArgumentError:
    return ArgumentError(
        f'{function}: the model "{model.name}" does not end in a hidden and an output layer.',
        expected=expected,
        received=", ".join(type(layer).__name__ for layer in model.layers) or "no layers",
        fix="pass a model such as Sequential([Flatten(), Dense(25, activation='sigmoid'), Dense(10)])",
        slug="pictures-model",
        argument="model",
    )


def _chain(model: Model) -> list[Layer]:
    """The layers of a sequential model and those of sequential models in it."""
    from insitu.nn.sequential import Sequential

    return [inner for layer in model.layers for inner in (_chain(layer) if isinstance(layer, Sequential) else [layer])]


def _end_of_chain(layers: list[Layer]) -> _End | None:
    from insitu.nn.layers import Dense

    while layers and not layers[-1].weights:
        layers = layers[:-1]
    dense = [layer for layer in layers if isinstance(layer, Dense)]

    def hidden(x: Any) -> Any:
        for layer in layers[:-1]:
            x = layer(x, training=False)
        return x

    return _End(dense, hidden) if len(dense) > 1 and dense[-1] is layers[-1] else None


def _end_of_graph(model: Any) -> _End | None:
    from insitu.nn.layers import Dense

    symbol = model.outputs[0]
    while symbol.call is not None and not symbol.call.layer.weights and isinstance(symbol.call.arguments[0], functional.Symbol):
        symbol = symbol.call.arguments[0]
    if symbol.call is None or not isinstance(symbol.call.layer, Dense):
        return None
    seen = symbol.call.arguments[0]
    calls = functional.search(model.inputs, [seen])[1]
    dense = [call.layer for call in calls if isinstance(call.layer, Dense)]

    def hidden(x: Any) -> Any:
        return functional.run(calls, model.inputs, seen, [model._as_input(leaf) for leaf in flatten(model.arranged(x))[0]])

    return _End([*dense, symbol.call.layer], hidden) if dense else None
