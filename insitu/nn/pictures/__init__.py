"""Pictures in a terminal and as PNG: weights in blue and red, digits in grey; which hidden nodes speak for a class."""

from insitu.nn.pictures.drawing import gallery, legend
from insitu.nn.pictures.hidden import Contribution, contributions, plot_contributions
from insitu.nn.pictures.png import save
from insitu.nn.pictures.weights import Pictures, plot

__all__ = ["Contribution", "Pictures", "contributions", "gallery", "legend", "plot", "plot_contributions", "save"]
