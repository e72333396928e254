import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.arange(16) % 3
model = si.nn.Sequential([si.nn.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
model.fit(x, y, verbose=0)
