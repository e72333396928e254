import numpy as np

import insitu as si

x, y = np.ones((32, 4), "float32"), np.ones((32, 1), "float32")
model = si.nn.Sequential(
    [
        si.nn.Dense(8, activation="relu", input_shape=(32, 4)),
        si.nn.Dense(1),
    ]
)
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
