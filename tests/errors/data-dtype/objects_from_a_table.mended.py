import numpy as np

import insitu as si

x = np.array([[1.0, 2.0], [3.0, 0.0]])
y = np.array([0, 1])

model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, verbose=0)
