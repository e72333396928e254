import numpy as np

import insitu as si

x = np.ones((20, 4), "float32")
model = si.nn.Sequential([si.nn.Dense(4)])
model.compile("sgd", "mse")
model.fit(x, x, epochs=2, verbose=0)
