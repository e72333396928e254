import numpy as np

import insitu as si

x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
model = si.nn.Sequential([si.nn.Dense(3)])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, verbose=0)
