"""The progress of `fit`, `evaluate` and `predict`: live in a terminal or a notebook, one line per epoch in a pipe."""

from insitu.nn.progress.display import Progress, level

__all__ = ["Progress", "level"]
