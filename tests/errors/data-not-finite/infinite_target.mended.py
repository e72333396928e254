import numpy as np

import insitu as si

x = np.arange(1, 9, dtype="float32")[:, None] / 8
y = 1 / x
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile(si.optim.SGD(0.001), "mse")
model.fit(x, y, verbose=0)
