import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.arange(16) % 2
model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
model.compile("adam", loss="binary_crossentropy")
model.fit(x, y, verbose=0)
