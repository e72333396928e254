import numpy as np

import insitu as si

x = np.linspace(-100, 100, 64, dtype="float32")[:, None]
y = x**3
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile(si.optim.SGD(1e-5), "mse")
model.fit(x, y, epochs=20, verbose=0)
