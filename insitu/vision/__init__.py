"""Seeing: well-known networks for pictures, and how they want their input.

Examples
--------
>>> import insitu as si
>>> model = si.vision.models.LeNet()
>>> model.count_params()
61706
"""

from __future__ import annotations

from insitu.vision import models
from insitu.vision.preprocessing import preprocess_input

__all__ = ["models", "preprocess_input"]
