"""Files: `save` and `load` for models and arrays."""

from __future__ import annotations

from insitu.io.files import load, save

__all__ = ["load", "save"]
