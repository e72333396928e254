import numpy as np

import insitu as si

x, y = np.ones((10, 4), "float32"), np.linspace(0, 1, 10)
model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
model.compile("adam", loss="sparse_categorical_crossentropy")
model.fit(x, y > 0.5, verbose=0)
