import numpy as np

import insitu as si


def batches():
    for _ in range(3):
        yield np.ones((10, 2), "float32"), np.zeros((10, 1), "float32")


model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches(), epochs=5, verbose=0)
