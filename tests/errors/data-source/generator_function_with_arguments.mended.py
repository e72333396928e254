import numpy as np

import insitu as si


def batches(size):
    for _ in range(3):
        yield np.ones((size, 2), "float32"), np.zeros((size, 1), "float32")


model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches(10), verbose=0)
