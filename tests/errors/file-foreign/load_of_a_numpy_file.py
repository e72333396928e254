import pathlib

import numpy as np

import insitu as si

np.save("weights.npy", np.ones(3))
w = si.load("weights.npy")
