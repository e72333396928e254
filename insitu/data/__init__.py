"""Data: embedded and well-known data sets, and readers of their file formats."""

from __future__ import annotations

from insitu.data.dataset import Dataset
from insitu.data.digits import digits
from insitu.data.idx import read_idx
from insitu.data.mnist_files import fashion_mnist, mnist

__all__ = ["Dataset", "digits", "fashion_mnist", "mnist", "read_idx"]
