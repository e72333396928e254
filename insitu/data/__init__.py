"""Data: embedded and well-known data sets, and readers of their file formats."""

from __future__ import annotations

from insitu.data.dataset import Dataset
from insitu.data.digits import digits
from insitu.data.folders import image_dataset_from_directory
from insitu.data.idx import read_idx
from insitu.data.images import load_image, save_image
from insitu.data.mnist_files import fashion_mnist, mnist

__all__ = ["Dataset", "digits", "fashion_mnist", "image_dataset_from_directory", "load_image", "mnist", "read_idx", "save_image"]
