"""Activation functions with Keras' names and formulas.

Each takes an array ``x`` of any shape and floating dtype and returns one of the same shape and dtype (`glu` halves an axis);
NumPy arrays and lists are taken as arrays of ours.
Layers take them by name: ``Dense(10, activation="relu")``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from insitu import registry
from insitu.arguments import FUNCTION, Checked, checked
from insitu.array.array import Array
from insitu.nn.activations.logits import logits_of, remember_logits
from insitu.nn.activations.rectifying import (
    celu,
    elu,
    exponential,
    gelu,
    hard_shrink,
    hard_silu,
    leaky_relu,
    linear,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    silu,
    soft_shrink,
    softplus,
    sparse_plus,
    squareplus,
    tanh_shrink,
    threshold,
)
from insitu.nn.activations.squashing import (
    glu,
    hard_sigmoid,
    hard_tanh,
    log_softmax,
    sigmoid,
    softmax,
    softsign,
    sparse_sigmoid,
    sparsemax,
    tanh,
)

Activation = Callable[[Array], Array]

swish, hard_swish = silu, hard_silu

__all__ = [
    "celu", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "logits_of", "mish", "relu", "relu6", "remember_logits", "selu", "serialize", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh",
    "tanh_shrink", "threshold",
]  # fmt: skip

#: Every activation by name, but for `threshold`, which needs its arguments; of two names for one function the first is written to files.
TABLE: dict[str, Activation] = {
    f.__name__: f
    for f in (
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear, log_sigmoid, log_softmax, mish,
        relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh,
        tanh_shrink,
    )
}  # fmt: skip
TABLE |= {"swish": silu, "hard_swish": hard_silu}


@checked(identifier=Checked("a name, a function or a layer", ("relu", None)))
def get(identifier: Any) -> Activation:
    """The activation that a name, a function, a layer or a configuration means; None means `linear`.

    Parameters
    ----------
    identifier : str, callable, type, dict or None
        A layer such as ``si.nn.LeakyReLU(0.1)`` is a function, too; of a layer class, one is made with its defaults.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.activations.get("relu")(si.asarray([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, type) and registry.makes_functions(identifier):
        return identifier()  # type: ignore[no-any-return]
    if callable(identifier) and not isinstance(identifier, type):
        return registry.taking("activation", identifier, "x")  # type: ignore[no-any-return]
    if isinstance(identifier, Mapping):
        if "function" in identifier:
            return registry.find_function(identifier["function"])
        from insitu.nn import layer  # late: layers take activations

        return layer.deserialize(identifier)
    return registry.find("activation", TABLE, identifier, 'pass a name such as "relu", or a function')


@checked(activation=FUNCTION)
def serialize(activation: Activation) -> Any:
    """What `get` finds the activation by again: its name, the name of a registered function, or a layer's configuration.

    Raises
    ------
    ArgumentError
        For a function that is not registered.

    Examples
    --------
    >>> serialize(swish)
    'silu'
    """
    name = next((name for name, f in TABLE.items() if f is activation), None)
    if name is not None:
        return name
    if hasattr(activation, "get_config"):
        from insitu.nn import layer

        return layer.serialize(activation)  # type: ignore[arg-type]
    return registry.config_of("activation", activation)
