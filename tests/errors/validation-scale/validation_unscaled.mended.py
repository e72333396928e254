import numpy as np

import insitu as si

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (20, 8, 8)).astype("uint8")
digits = rng.integers(0, 10, 20)
x_train = images[:16] / 255.0
x_valid = images[16:] / 255.0
model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x_train, digits[:16], validation_data=(x_valid, digits[16:]), verbose=0)
