import numpy as np

import insitu as si

x, y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, epoch=3, verbose=0)
