import numpy as np

import insitu as si

x_train, y_train = np.ones((20, 4), "float32"), np.ones((20, 1), "float32")
x_valid, y_valid = np.ones((5, 3), "float32"), np.ones((5, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(8, activation="relu"), si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x_train, y_train, validation_data=(x_valid, y_valid), epochs=3, verbose=0)
