"""Data: embedded and well-known data sets, and readers of their file formats."""

from __future__ import annotations

from insitu.data.digits import digits
from insitu.data.idx import read_idx

__all__ = ["digits", "read_idx"]
