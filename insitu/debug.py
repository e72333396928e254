"""Tools for finding out what goes wrong in a program."""

from insitu.array.finite import check_finite

__all__ = ["check_finite"]
