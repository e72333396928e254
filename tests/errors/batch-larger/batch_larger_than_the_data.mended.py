import numpy as np

import insitu as si

x, y = np.ones((20, 4), "float32"), np.ones((20, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, batch_size=10, verbose=0)
