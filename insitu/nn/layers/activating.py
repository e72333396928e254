"""Activations with arguments or weights as layers: ReLU, LeakyReLU, PReLU, ELU, Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import AXES, NOT_NEGATIVE, NUMBER, checked
from insitu.errors import ShapeError
from insitu.nn import activations, constraints, initializers, regularizers
from insitu.nn.declared import CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layer import OneInput
from insitu.nn.layers.core import built
from insitu.nn.shapes import Shape, checked_axes


def closed(owner: str, shape: Shape, axes: Sequence[int]) -> None:
    """Check that these axes have a length, as weights must.

    Raises
    ------
    ShapeError
        If one is open (None).
    """
    for i in axes:
        if shape[i] is None:
            raise ShapeError(
                f"{owner} needs to know the length of axis {i} before it can make its weights.",
                expected="a number for each axis that the weights have",
                received=str(shape).replace("None", "batch", 1),
                fix="give the axis a length in the Input, or take it out of the axes of the weights",
                slug="build-open-axis",
            )


class ReLU(OneInput):
    """``max(x, 0)``, limited to ``max_value``; ``negative_slope * (x - threshold)`` up to ``threshold``.

    Parameters
    ----------
    max_value : float, optional
    negative_slope, threshold : float
        None of them negative.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For a negative number.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ReLU(max_value=6.0)(si.asarray([[-1.0, 2.0, 9.0]]))
    Array([[0., 2., 6.]], dtype=float32)
    """

    @checked(max_value=NOT_NEGATIVE | None, negative_slope=NOT_NEGATIVE, threshold=NOT_NEGATIVE)
    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, x: si.Array) -> si.Array:
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


class LeakyReLU(OneInput):
    """``x`` where positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
        Not negative.
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.LeakyReLU(0.5)(si.asarray([[-1.0, 2.0]]))
    Array([[-0.5,  2. ]], dtype=float32)
    """

    @checked(negative_slope=NOT_NEGATIVE)
    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, x: si.Array) -> si.Array:
        return activations.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(OneInput):
    """``x`` where positive, ``alpha * x`` elsewhere, with a learned ``alpha`` for each place of an example.

    Parameters
    ----------
    alpha_initializer : str, initializer or callable
    alpha_regularizer, alpha_constraint : str or callable, optional
    shared_axes : int or sequence of int, optional
        Axes along which ``alpha`` is one number, counted with the batch: 1 is the first of an example.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if an axis that is not shared has no fixed length.

    Notes
    -----
    ``alpha``: the shape of an example, with 1 for shared axes.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.PReLU(alpha_initializer="ones")(si.asarray([[-1.0, 2.0]]))
    Array([[-1.,  2.]], dtype=float32)
    """

    @checked(alpha_initializer=INITIALIZER, alpha_regularizer=REGULARIZER, alpha_constraint=CONSTRAINT, shared_axes=AXES | None)
    def __init__(
        self, alpha_initializer: Any = "zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.alpha_initializer, self.alpha_regularizer, self.alpha_constraint = alpha_initializer, alpha_regularizer, alpha_constraint
        self.shared_axes = (shared_axes,) if isinstance(shared_axes, int) else tuple(shared_axes or ())
        self.alpha: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        owner = f'PReLU "{self.name}"'
        shared = checked_axes(owner, self.shared_axes, len(input_shape))
        closed(owner, input_shape, [i for i in range(1, len(input_shape)) if i not in shared])
        shape = [1 if i in shared else n or 0 for i, n in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(shape, self.alpha_initializer, "alpha", regularizer=self.alpha_regularizer, constraint=self.alpha_constraint)

    def call(self, x: si.Array) -> si.Array:
        return si.where(x > 0, x, built(self.alpha) * x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": list(self.shared_axes) or None,
        }


class ELU(OneInput):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ELU(alpha=2.0)(si.asarray([[-100.0, 2.0]]))
    Array([[-2.,  2.]], dtype=float32)
    """

    @checked(alpha=NUMBER)
    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, x: si.Array) -> si.Array:
        return activations.elu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(OneInput):
    """``exp(x) / sum(exp(x))`` along ``axis``.

    Parameters
    ----------
    axis : int or sequence of int
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the axis does not exist.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Softmax()(si.asarray([[1.0, 1.0]]))
    Array([[0.5, 0.5]], dtype=float32)
    """

    @checked(axis=AXES)
    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis: int | tuple[int, ...] = axis if isinstance(axis, int) else tuple(axis)

    def check_input(self, shape: Shape) -> None:
        checked_axes(f'Softmax "{self.name}"', self.axis, len(shape))

    def call(self, x: si.Array) -> si.Array:
        return activations.softmax(x, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": list(self.axis) if isinstance(self.axis, tuple) else self.axis}
