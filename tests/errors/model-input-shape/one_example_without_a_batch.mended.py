import numpy as np

import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(3)])
flower = np.array([5.1, 3.5, 1.4, 0.2], "float32")
model.predict(flower[None])
