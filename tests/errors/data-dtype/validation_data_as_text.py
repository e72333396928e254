import numpy as np

import insitu as si

x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
y = np.ones((20, 1), "float32")
x_valid = x.astype(str)
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, validation_data=(x_valid, y), verbose=0)
