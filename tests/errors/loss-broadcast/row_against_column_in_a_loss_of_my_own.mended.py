import numpy as np

import insitu as si


def loss(y_true, y_pred):
    return si.mean((y_true[:, None] - y_pred) ** 2)


x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20.0)
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", loss=loss)
model.fit(x, y, verbose=0)
