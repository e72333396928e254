import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.ones((16, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("adam", "mse")
model.fit(x, y, sample_weight=np.ones(8), verbose=0)
