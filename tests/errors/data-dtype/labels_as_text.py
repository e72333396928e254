import numpy as np

import insitu as si

x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
y = ["cat", "dog", "cat", "bird", "dog", "bird"]

model = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, verbose=0)
