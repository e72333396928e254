import numpy as np

import insitu as si

x, z = si.nn.Input((4,), name="text"), si.nn.Input((2,), name="date")
model = si.nn.Model([x, z], si.nn.Dense(1)(si.nn.Concatenate()([x, z])))
model.predict({"text": np.ones((3, 4), "float32"), "date": np.ones((3, 2), "float32")})
