import numpy as np

import insitu as si

x_train, y_train = np.ones((20, 4), "float32"), np.arange(20) % 3
x_valid, y_valid = np.ones((4, 4), "float32"), np.array([0, 1, 2, 3])

model = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x_train, y_train, validation_data=(x_valid, y_valid), epochs=2, verbose=0)
