import numpy as np

import insitu as si

x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Dense(1)])
model.save("line.insitu")
again = si.load("line.insitu")
again.compile("sgd", "mse")
again.fit(x, y, verbose=0)
