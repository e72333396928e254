import numpy as np

import insitu as si

x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
y = np.array(["0", "1", "1", "0"])

model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, verbose=0)
