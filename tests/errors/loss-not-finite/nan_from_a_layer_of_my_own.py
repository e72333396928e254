import numpy as np

import insitu as si


class Ratio(si.nn.Layer):
    def call(self, x):
        return x[:, :1] / x[:, 1:]


x = np.array([[1.0, 2.0], [3.0, 0.5], [0.0, 0.0], [2.0, 1.0]], "float32")
model = si.nn.Sequential([Ratio(), si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], verbose=0)
