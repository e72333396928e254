import numpy as np

import insitu as si

x, y = np.ones((20, 4), "float32"), np.arange(20)
chosen = y > 10
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x[chosen], y[chosen], verbose=0)
