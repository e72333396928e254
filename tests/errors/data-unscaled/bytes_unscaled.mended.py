import numpy as np

import insitu as si

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (16, 8, 8)).astype("uint8")
digits = rng.integers(0, 10, 16)
model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images / 255.0, digits, verbose=0)
