import numpy as np

import insitu as si

x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 2
model = si.nn.Sequential([si.nn.Dense(1, activation="sigmoid")])
model.compile("adam", si.nn.losses.BinaryCrossentropy(from_logits=True))
model.fit(x, y, verbose=0)
