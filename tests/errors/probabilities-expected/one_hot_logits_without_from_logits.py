import numpy as np

import insitu as si

x, y = np.random.default_rng(0).normal(size=(20, 4)), np.eye(3)[np.arange(20) % 3]
model = si.nn.Sequential([si.nn.Dense(8, activation="relu"), si.nn.Dense(3)])
model.compile("adam", "categorical_crossentropy")
model.fit(x, y, verbose=0)
