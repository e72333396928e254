import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.ones((16, 2), "float32")
model = si.nn.Sequential([si.nn.Dense(8, activation="relu"), si.nn.Dense(1)])
model.compile("sgd", loss="mean_squared_error")
model.fit(x, y, verbose=0)
