import numpy as np

import insitu as si


def batches():
    while True:
        yield np.ones((10, 2), "float32"), np.zeros((10, 1), "float32")


model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches(), steps_per_epoch=3, verbose=0)
