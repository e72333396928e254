import numpy as np

import insitu as si

x = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
y = np.where(x[:, 0] > 0, 1, -1)

model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, (y + 1) // 2, verbose=0)
