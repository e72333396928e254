import numpy as np

import insitu as si

x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
x[7, 1] = np.nan
x = np.nan_to_num(x)
y = np.ones((20, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
