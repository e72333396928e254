"""insitu: deep learning, compiled in place.

Arrays follow the Python Array API standard and are lazy: an operation checks shapes and dtypes at
once and computes when a value is looked at. `compile` makes a function one native program, `grad`
differentiates, ``nn`` has layers and models with Keras' names.

Examples
--------
>>> import insitu as si
>>> x = si.asarray([[1.0, 2.0], [3.0, 4.0]])
>>> (x @ x).sum()
Array(54., dtype=float32)
"""

from __future__ import annotations

import importlib
import math as _math
from typing import TYPE_CHECKING, Any

from insitu import errors, tracebacks
from insitu.array import contraction as _contraction
from insitu.array import convolution as _convolution
from insitu.array import creation as _creation
from insitu.array import elementwise as _elementwise
from insitu.array import info as _info
from insitu.array import joining as _joining
from insitu.array import random
from insitu.array import reductions as _reductions
from insitu.array import resizing as _resizing
from insitu.array import shaping as _shaping
from insitu.array import sorting as _sorting
from insitu.array import taking as _taking
from insitu.array import transforms as _transforms
from insitu.array.array import Array
from insitu.array.contraction import *  # noqa: F403
from insitu.array.convolution import *  # noqa: F403
from insitu.array.creation import *  # noqa: F403
from insitu.array.einsum import einsum
from insitu.array.elementwise import *  # noqa: F403
from insitu.array.info import *  # noqa: F403
from insitu.array.info import namespace_info as __array_namespace_info__
from insitu.array.joining import *  # noqa: F403
from insitu.array.reductions import *  # noqa: F403
from insitu.array.resizing import *  # noqa: F403
from insitu.array.shaping import *  # noqa: F403
from insitu.array.sorting import *  # noqa: F403
from insitu.array.taking import *  # noqa: F403
from insitu.array.transforms import *  # noqa: F403
from insitu.array.values import evaluate
from insitu.array.variable import Variable
from insitu.config import config
from insitu.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from insitu.dtypes import bool_ as bool
from insitu.version import __version__

if TYPE_CHECKING:
    from insitu import data, debug, io, nn, optim, vision
    from insitu.array.compile import compile
    from insitu.pages import explain

tracebacks.install()

__array_api_version__ = "2024.12"

pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan
newaxis = None

# NumPy's names of functions that the Array API calls otherwise.
absolute, power, mod, invert = abs, pow, remainder, bitwise_invert  # noqa: F405
true_divide, left_shift, right_shift = divide, bitwise_left_shift, bitwise_right_shift  # noqa: F405
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2  # noqa: F405
arcsinh, arccosh, arctanh = asinh, acosh, atanh  # noqa: F405
amax, amin = max, min

__all__ = [
    "Array", "DType", "Variable", "__array_api_version__", "__array_namespace_info__", "__version__", "absolute", "amax", "amin", "arccos",
    "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "as_dtype", "bfloat16", "bool", "compile", "config", "data", "debug", "e",
    "einsum", "errors", "evaluate", "explain", "float16", "float32", "float64", "inf", "int8", "int16", "int32", "int64", "invert", "io",
    "left_shift", "mod", "nan", "newaxis", "nn", "optim", "pi", "power", "random", "right_shift", "true_divide", "uint8", "uint16", "uint32",
    "uint64", "vision",
]  # fmt: skip
__all__ += _contraction.__all__
__all__ += _convolution.__all__
__all__ += _creation.__all__
__all__ += _elementwise.__all__
__all__ += _info.__all__
__all__ += _joining.__all__
__all__ += _reductions.__all__
__all__ += _resizing.__all__
__all__ += _shaping.__all__
__all__ += _sorting.__all__
__all__ += _taking.__all__
__all__ += _transforms.__all__

#: Names that are imported when they are first used: name -> (module, attribute or "" for the module itself).
_LATE = {
    "compile": ("insitu.array.compile", "compile"),
    "data": ("insitu.data", ""),
    "debug": ("insitu.debug", ""),
    "explain": ("insitu.pages", "explain"),
    "io": ("insitu.io", ""),
    "load": ("insitu.io", "load"),
    "nn": ("insitu.nn", ""),
    "optim": ("insitu.optim", ""),
    "save": ("insitu.io", "save"),
    "vision": ("insitu.vision", ""),
}


def __getattr__(name: str) -> Any:
    place = _LATE.get(name)
    if place is None:
        raise AttributeError(f"module 'insitu' has no attribute {name!r}")
    module = importlib.import_module(place[0])
    value = getattr(module, place[1]) if place[1] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
