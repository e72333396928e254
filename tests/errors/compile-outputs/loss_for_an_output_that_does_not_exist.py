import numpy as np

import insitu as si

x = si.nn.Input((4,))
model = si.nn.Model(x, [si.nn.Dense(1, name="price")(x), si.nn.Dense(1, name="age")(x)])
model.compile("sgd", loss={"price": "mse", "years": "mse"})
model.fit(np.ones((8, 4), "float32"), [np.ones((8, 1), "float32"), np.ones((8, 1), "float32")], verbose=0)
