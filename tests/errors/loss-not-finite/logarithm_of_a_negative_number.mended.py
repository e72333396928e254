import numpy as np

import insitu as si

model = si.nn.Sequential(
    [
        si.nn.Dense(4),
        si.nn.Lambda(lambda x: si.log(si.abs(x) + 1)),
        si.nn.Dense(1),
    ]
)
x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
model.compile("sgd", "mse")
model.fit(x, x[:, :1], verbose=0)
