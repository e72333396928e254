"""Initial values of weights with Keras' names and formulas, drawn from `insitu.random`.

An initializer is called with a shape and a dtype and returns an array. ``fan_in`` and ``fan_out`` are the inputs
and outputs of one unit: for a matrix its rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import insitu as si
from insitu import registry
from insitu.arguments import Checked, checked
from insitu.nn.initializers.drawn import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)  # fmt: skip
from insitu.nn.initializers.fixed import Constant, Given, Identity, Initializer, Ones, Zeros

__all__ = [
    "Constant", "Given", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "Initializer", "LecunNormal", "LecunUniform",
    "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "get", "serialize",
]  # fmt: skip

constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
random_normal, random_uniform, truncated_normal, variance_scaling = RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

#: Short names of Keras'.
ALIASES: dict[str, type[Initializer]] = {
    "normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros, "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}  # fmt: skip


@checked(identifier=Checked("a name, a function or a configuration", ("zeros",)))
def get(identifier: Any) -> Any:
    """The initializer that a name, a configuration, a class, a function or an array of initial values means.

    Parameters
    ----------
    identifier : str, dict, type, callable or array_like

    Returns
    -------
    callable
        Of a shape and a dtype.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> get("zeros")((2,))
    Array([0., 0.], dtype=float32)
    """
    if isinstance(identifier, si.Array | np.ndarray):
        return Given(identifier)
    if isinstance(identifier, Initializer):
        return identifier
    if callable(identifier) and not isinstance(identifier, type):
        return registry.taking("initializer", identifier, "shape", "dtype")
    if isinstance(identifier, Mapping) and identifier.get("class_name") == Given.__name__:
        return Given(**registry.check_config("initializer", identifier.get("config")))
    fix = 'pass a name such as "glorot_uniform", or a function of (shape, dtype)'
    return registry.make("initializer", {**ALIASES, **{n: c for n, c in Initializer.classes.items() if c is not Given}}, identifier, fix)


@checked(initializer=Checked("a initializer", (abs,)))
def serialize(initializer: Any) -> dict[str, Any]:
    """The configuration from which `get` makes the initializer again.

    Raises
    ------
    ArgumentError
        For a function that is not registered.

    Examples
    --------
    >>> serialize(HeNormal(seed=1))
    {'class_name': 'HeNormal', 'config': {'seed': 1}}
    """
    return registry.config_of("initializer", initializer)
