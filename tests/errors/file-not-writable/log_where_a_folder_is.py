import os

import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.ones((16, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
os.makedirs("log")
model.fit(x, y, epochs=2, callbacks=[si.nn.callbacks.CSVLogger("log")], verbose=0)
