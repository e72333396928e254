"""bfloat16 through DLPack, which NumPy does not speak: the same memory travels as 16-bit words, and its dtype is changed.

The layout of the structures is that of ``dlpack.h``: a capsule "dltensor" points at a DLManagedTensor,
"dltensor_versioned" (DLPack 1.0) at a DLManagedTensorVersioned.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from insitu import dtypes as dt

_UINT, _BFLOAT = 1, 4
#: Where the byte of the dtype's code lies in each structure: after data, device and ndim of its DLTensor.
_PLACES = {b"dltensor": 20, b"dltensor_versioned": 32 + 20}


def _code(capsule: Any) -> ctypes.c_uint8 | None:
    """The dtype's code in a capsule's structure; None for a capsule of another kind."""
    api = ctypes.pythonapi
    api.PyCapsule_IsValid.argtypes = api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    for name, place in _PLACES.items():
        if api.PyCapsule_IsValid(capsule, name):
            return ctypes.c_uint8.from_address(api.PyCapsule_GetPointer(capsule, name) + place)
    return None


def exported(view: np.ndarray[Any, Any], **options: Any) -> Any:
    """A capsule for an array of any dtype insitu has."""
    if view.dtype != dt.bfloat16.numpy:
        return view.__dlpack__(**options)
    capsule = view.view(np.uint16).__dlpack__(**options)
    code = _code(capsule)
    if code is not None:
        code.value = _BFLOAT
    return capsule


class _Words:
    """Another library's array, whose bfloat16 elements are shown to NumPy as 16-bit words."""

    def __init__(self, array: Any) -> None:
        self.array, self.bfloat16 = array, False

    def __dlpack__(self, **options: Any) -> Any:
        capsule = self.array.__dlpack__(**options)
        code = _code(capsule)
        if code is not None and code.value == _BFLOAT:
            code.value, self.bfloat16 = _UINT, True
        return capsule

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def imported(array: Any) -> np.ndarray[Any, Any]:
    """The memory of another library's array as a NumPy array.

    Raises
    ------
    BufferError, TypeError, ValueError, RuntimeError
        What NumPy or the other library say if it cannot be shared.
    """
    words = _Words(array)
    out: np.ndarray[Any, Any] = np.from_dlpack(words)
    return out.view(dt.bfloat16.numpy) if words.bfloat16 else out
