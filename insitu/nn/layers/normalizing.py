"""Layers that give their input mean 0 and variance 1, over the batch or within each example: Batch-, Layer- and GroupNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import AXES, AXIS, FLAG, NOT_NEGATIVE, SHARE, Whole, checked, written
from insitu.errors import ShapeError
from insitu.nn import constraints, initializers, regularizers
from insitu.nn.declared import CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layer import OneInput
from insitu.nn.layers.activating import closed
from insitu.nn.layers.core import built
from insitu.nn.shapes import Shape, checked_axes


class _Normalizing(OneInput):
    """``gamma`` and ``beta``: a factor and an offset for each place of the axes ``kept``."""

    @checked(
        epsilon=NOT_NEGATIVE, center=FLAG, scale=FLAG, beta_initializer=INITIALIZER, gamma_initializer=INITIALIZER, beta_regularizer=REGULARIZER,
        gamma_regularizer=REGULARIZER, beta_constraint=CONSTRAINT, gamma_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self, epsilon: float, center: bool, scale: bool, beta_initializer: Any, gamma_initializer: Any, beta_regularizer: Any,
        gamma_regularizer: Any, beta_constraint: Any, gamma_constraint: Any, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.gamma: si.Variable | None = None
        self.beta: si.Variable | None = None
        self._lengths: tuple[int, ...] = ()

    @property
    def owner(self) -> str:
        """Who speaks in errors."""
        return f'{type(self).__name__} "{self.name}"'

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The axes whose places have a factor of their own, in an input of so many axes."""
        raise NotImplementedError(f"{type(self).__name__} has no axes")

    def check_input(self, shape: Shape) -> None:
        kept = self.axes(len(shape))
        have = tuple([shape[i] for i in kept])
        if self.built and (len(have) != len(self._lengths) or any(m not in (None, n) for m, n in zip(have, self._lengths, strict=True))):
            raise ShapeError(
                f"{self.owner} was built for {' and '.join(map(str, self._lengths))} places on axis {', '.join(map(str, kept))}, "
                f"but this input has {' and '.join(map(str, have))}.",
                expected=f"{' and '.join(map(str, self._lengths))} places on axis {', '.join(map(str, kept))}",
                received=written(shape),
                fix="pass inputs as before, or make the layer with the axis=... of the channels",
                slug="normalization-input",
                argument="x",
            )

    def build(self, input_shape: Shape) -> None:
        kept = self.axes(len(input_shape))
        closed(self.owner, input_shape, kept)
        self._lengths = tuple([input_shape[i] or 0 for i in kept])
        if self.scale:
            self.gamma = self.add_weight(
                self._lengths, self.gamma_initializer, "gamma", regularizer=self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                self._lengths, self.beta_initializer, "beta", regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )

    def scaled(self, deviation: si.Array) -> si.Array:
        """``gamma / deviation``."""
        return 1 / deviation if self.gamma is None else self.gamma.value / deviation

    def broadcast(self, ndim: int) -> tuple[int, ...]:
        """The shape of gamma that broadcasts with an input."""
        lengths = dict(zip(self.axes(ndim), self._lengths, strict=True))
        return tuple([lengths.get(i, 1) for i in range(ndim)])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


class BatchNormalization(_Normalizing):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, with mean and variance over the batch in training, else the moving ones.

    In training, ``moving_mean`` and ``moving_variance`` move to those of the batch: ``moving * momentum + batch * (1 - momentum)``.
    With ``trainable=False`` the moving ones are used in training as well, and stay.

    Parameters
    ----------
    axis : int
        The axis of the channels; all others are averaged over.
    momentum : float
        From 0 to 1.
    epsilon : float
        Added to the variance, so that constant channels stay finite.
    center, scale : bool
        Whether there are ``beta`` and ``gamma``.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : str, initializer or callable
    beta_regularizer, gamma_regularizer : str, regularizer or callable, optional
    beta_constraint, gamma_constraint : str, constraint or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the axis does not exist, has no fixed length, or another one than before.

    Notes
    -----
    Weights of shape (channels,): ``gamma``, ``beta``, and, not trained, ``moving_mean``, ``moving_variance``. The variance is the
    mean of the squared distances from the mean, not from sums of squares, which cancel. A batch of none leaves the moving ones alone.

    References
    ----------
    Ioffe and Szegedy (2015), Batch normalization: accelerating deep network training by reducing internal covariate shift.

    Examples
    --------
    >>> import insitu as si
    >>> layer = si.nn.BatchNormalization(epsilon=0.0)
    >>> layer(si.asarray([[1.0], [3.0]]), training=True)
    Array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer.moving_mean.value
    Array([0.02], dtype=float32)
    """

    @checked(axis=AXIS, momentum=SHARE, moving_mean_initializer=INITIALIZER, moving_variance_initializer=INITIALIZER)
    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint,
            **options,
        )  # fmt: skip
        self.axis, self.momentum = axis, momentum
        self.moving_mean_initializer, self.moving_variance_initializer = moving_mean_initializer, moving_variance_initializer
        self.moving_mean: si.Variable | None = None
        self.moving_variance: si.Variable | None = None

    def axes(self, ndim: int) -> tuple[int, ...]:
        return checked_axes(self.owner, self.axis, ndim)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.moving_mean = self.add_weight(self._lengths, self.moving_mean_initializer, "moving_mean", trainable=False)
        self.moving_variance = self.add_weight(self._lengths, self.moving_variance_initializer, "moving_variance", trainable=False)

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        given, x = x.dtype, _widened(x, self.dtype)
        (at,) = self.axes(x.ndim)
        shape = self._lengths if at == x.ndim - 1 else self.broadcast(x.ndim)
        factor, shift = self.factor_and_shift() if not (training and self.trainable and x.size) else self._of_batch(x, at, shape)
        return _narrowed(x * si.reshape(factor, shape) + si.reshape(shift, shape), given)

    def _of_batch(self, x: si.Array, at: int, shape: tuple[int, ...]) -> tuple[si.Array, si.Array]:
        """As `factor_and_shift` with the mean and variance of a batch, to which the moving ones move."""
        others = tuple([i for i in range(x.ndim) if i != at])
        mean = si.mean(x, axis=others)
        variance = _variance(x, mean, shape, others)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)
        return self._factor_and_shift(mean, variance)

    def factor_and_shift(self) -> tuple[si.Array, si.Array]:
        """``a`` and ``b`` of shape (channels,), with which the output outside of training is ``x * a + b``."""
        return self._factor_and_shift(built(self.moving_mean), built(self.moving_variance))

    def _factor_and_shift(self, mean: si.Array, variance: si.Array) -> tuple[si.Array, si.Array]:
        factor = self.scaled(si.sqrt(variance + self.epsilon))
        return factor, -mean * factor if self.beta is None else self.beta.value - mean * factor

    def _move(self, moving: si.Variable | None, new: si.Array) -> None:
        if moving is not None:
            new = si.stop_gradient(new).astype(moving.dtype)
            moving.assign(moving.value * self.momentum + new * (1 - self.momentum))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


class LayerNormalization(_Normalizing):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, with mean and variance over ``axis`` of each example.

    Parameters
    ----------
    axis : int or sequence of int
        The axes that are averaged over; each place of them has a gamma and a beta.
    epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint
        As for `BatchNormalization`.
    rms_scaling : bool
        Keras' old variant: the mean is not taken away, and there is no beta.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if an axis does not exist, has no fixed length, or another one than before.

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer normalization.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.LayerNormalization(epsilon=0.0)(si.asarray([[1.0, 3.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    @checked(axis=AXES, center=FLAG, scale=FLAG, rms_scaling=FLAG)
    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon, center and not rms_scaling, scale or rms_scaling, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **options,
        )  # fmt: skip
        self.axis, self.rms_scaling = axis, rms_scaling

    def axes(self, ndim: int) -> tuple[int, ...]:
        return tuple(sorted(set(checked_axes(self.owner, self.axis, ndim))))

    def call(self, x: si.Array) -> si.Array:
        given, x = x.dtype, _widened(x, self.dtype)
        shape = self.broadcast(x.ndim)
        mean, variance = _moments(x, self.axes(x.ndim))
        y = (x if self.rms_scaling else x - mean) * (1 / si.sqrt(variance + self.epsilon))
        y = y if self.gamma is None else y * si.reshape(self.gamma.value, shape)
        return _narrowed(y if self.beta is None else y + si.reshape(self.beta.value, shape), given)

    def get_config(self) -> dict[str, Any]:
        axis = list(self.axis) if isinstance(self.axis, tuple) else self.axis
        return {**super().get_config(), "axis": axis, "rms_scaling": self.rms_scaling}


class GroupNormalization(_Normalizing):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, with mean and variance over groups of channels of each example.

    Parameters
    ----------
    groups : int
        Parts into which the channels are cut; -1 for one for each channel.
    axis : int
        The axis of the channels.
    epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint
        As for `BatchNormalization`.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the axis does not exist, is the batch, has no fixed length, another one than before, or one that ``groups`` does
        not divide.

    References
    ----------
    Wu and He (2018), Group normalization.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GroupNormalization(2, epsilon=0.0)(si.asarray([[1.0, 3.0, 10.0, 30.0]]))
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    @checked(groups=Whole(-1), axis=AXIS)
    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint,
            **options,
        )  # fmt: skip
        self.groups, self.axis = groups, axis

    def axes(self, ndim: int) -> tuple[int, ...]:
        return checked_axes(self.owner, self.axis, ndim)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        (at,) = self.axes(len(shape))
        channels = shape[at]
        if at and channels is not None and (self.groups == -1 or (self.groups > 0 and channels % self.groups == 0)):
            return
        if not at or channels is not None:
            raise ShapeError(
                f"{self.owner}: axis {at} of {channels} places cannot be cut into {self.groups} equal groups."
                if at
                else f"{self.owner}: the batch cannot be cut into groups.",
                expected=f"an axis behind the batch whose length is a multiple of groups={self.groups}",
                received=written(shape),
                fix="choose groups that divide the channels, such as groups=1, or groups=-1 for one for each channel",
                slug="normalization-groups",
                argument="x",
            )

    def call(self, x: si.Array) -> si.Array:
        given, x = x.dtype, _widened(x, self.dtype)
        (at,), (channels,) = self.axes(x.ndim), self._lengths
        parts = channels if self.groups == -1 else self.groups
        others = tuple([i for i in range(1, x.ndim) if i != at])
        wide = tuple([n if i in (0, at) else 1 for i, n in enumerate(x.shape)])

        def of_group(each: si.Array) -> si.Array:
            """The mean over a group's channels, for each of them, of numbers for each channel of each example."""
            mean = si.mean(si.reshape(each, (x.shape[0], parts, channels // parts)), axis=-1, keepdims=True)
            return si.reshape(si.broadcast_to(mean, (x.shape[0], parts, channels // parts)), (x.shape[0], channels))

        def over_positions(values: si.Array) -> si.Array:
            return si.mean(values, axis=others) if others else values

        mean = of_group(over_positions(x))
        centre = si.stop_gradient(mean)
        away, apart = x - si.reshape(centre, wide), mean - centre
        variance = of_group(over_positions(away * away)) - apart * apart  # see _variance
        factor = self.scaled(si.sqrt(variance + self.epsilon))
        shift = -mean * factor if self.beta is None else self.beta.value - mean * factor
        return _narrowed(x * si.reshape(factor, wide) + si.reshape(shift, wide), given)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}


def _moments(x: si.Array, axes: tuple[int, ...]) -> tuple[si.Array, si.Array]:
    """Mean and variance over axes, which are kept with length 1."""
    mean = si.mean(x, axis=axes, keepdims=True)
    shape = tuple(mean.shape)
    return mean, si.reshape(_variance(x, mean, shape, axes), shape)


def _variance(x: si.Array, mean: si.Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> si.Array:
    """The variance over axes: the mean of ``(x - c)**2`` less ``(mean - c)**2``, with the constant c = mean.

    That is the variance for any constant c, so its derivatives of all orders are right; none of them has to go from the mean back to
    all of x, as with c as a function of x. With ``mean`` itself for c the second term is 0, so nothing cancels. ``shape`` is that of the mean
    as it broadcasts with x.
    """
    centre = si.stop_gradient(mean)
    away, apart = x - si.reshape(centre, shape), mean - centre
    found = si.mean(away * away, axis=axes)
    return found - si.reshape(apart * apart, found.shape)


def _widened(x: si.Array, dtype: Any) -> si.Array:
    """The input in a type in which sums of squares do not overflow."""
    x = x if x.dtype.is_float else x.astype(dtype)
    return x.astype(si.float32) if x.dtype.bits < 32 else x


def _narrowed(y: si.Array, dtype: Any) -> si.Array:
    return y.astype(dtype) if dtype.is_float and y.dtype is not dtype else y


__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization"]
