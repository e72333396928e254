import numpy as np

import insitu as si

x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
model = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
model.compile("adam", si.nn.losses.SparseCategoricalCrossentropy())
model.fit(x, y, verbose=0)
