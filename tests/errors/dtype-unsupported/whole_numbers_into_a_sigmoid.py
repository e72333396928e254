import numpy as np

import insitu as si

counts = np.arange(12).reshape(4, 3)
model = si.nn.Sequential([si.nn.Activation("sigmoid"), si.nn.Dense(1)])
model.predict(counts)
