"""What every activation takes: an array of ours, or what can be made one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import insitu as si
from insitu.array.array import Array

Function = TypeVar("Function", bound=Callable[..., Array])


def of_array(function: Function) -> Function:
    """``function``, for NumPy arrays and lists as well: its first argument is made an `Array`."""

    @functools.wraps(function)
    def taken(x: Any, *args: Any, **options: Any) -> Array:
        return function(x if type(x) is Array else si.asarray(x), *args, **options)

    return taken  # type: ignore[return-value]
