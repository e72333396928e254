"""Layers with Keras' names, defaults and weight layouts."""

from __future__ import annotations

from insitu.nn.functional import Input
from insitu.nn.layer import Layer
from insitu.nn.layers import augmenting as _augmenting
from insitu.nn.layers import convolution as _convolution
from insitu.nn.layers import depthwise as _depthwise
from insitu.nn.layers import dropping as _dropping
from insitu.nn.layers import framing as _framing
from insitu.nn.layers import normalizing as _normalizing
from insitu.nn.layers import pooling as _pooling
from insitu.nn.layers import sizing as _sizing
from insitu.nn.layers import transposed as _transposed
from insitu.nn.layers.activating import ELU, LeakyReLU, PReLU, ReLU, Softmax
from insitu.nn.layers.augmenting import *  # noqa: F403
from insitu.nn.layers.convolution import *  # noqa: F403
from insitu.nn.layers.core import Activation, Dense
from insitu.nn.layers.depthwise import *  # noqa: F403
from insitu.nn.layers.dropping import *  # noqa: F403
from insitu.nn.layers.embedding import Embedding
from insitu.nn.layers.framing import *  # noqa: F403
from insitu.nn.layers.function import Lambda
from insitu.nn.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)  # fmt: skip
from insitu.nn.layers.noise import ActivityRegularization, Dropout, GaussianDropout, GaussianNoise
from insitu.nn.layers.normalizing import *  # noqa: F403
from insitu.nn.layers.pooling import *  # noqa: F403
from insitu.nn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from insitu.nn.layers.scaling import Normalization, Rescaling, UnitNormalization
from insitu.nn.layers.sizing import *  # noqa: F403
from insitu.nn.layers.transposed import *  # noqa: F403

__all__ = [
    "ELU", "Activation", "ActivityRegularization", "Add", "Average", "Concatenate", "Dense", "Dot", "Dropout", "Embedding", "Flatten",
    "GaussianDropout", "GaussianNoise", "Input", "Lambda", "Layer", "LeakyReLU", "Maximum", "Minimum", "Multiply", "Normalization", "PReLU",
    "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Softmax", "Subtract", "UnitNormalization", "add", "average", "concatenate",
    "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip
__all__ += _augmenting.__all__
__all__ += _convolution.__all__
__all__ += _depthwise.__all__
__all__ += _dropping.__all__
__all__ += _framing.__all__
__all__ += _normalizing.__all__
__all__ += _pooling.__all__
__all__ += _sizing.__all__
__all__ += _transposed.__all__
