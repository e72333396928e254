import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.arange(16) % 2
model = si.nn.Sequential([si.nn.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy")
model.fit(x, y, class_weight={0: 1.0, 1: 4.0}, verbose=0)
