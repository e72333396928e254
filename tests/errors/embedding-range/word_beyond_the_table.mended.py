import numpy as np

import insitu as si

reviews = np.array([[4, 8, 15], [16, 23, 100]])
model = si.nn.Sequential([si.nn.Embedding(101, 8), si.nn.Flatten(), si.nn.Dense(1)])
model.compile("adam", "mse")
model.fit(reviews, np.array([1.0, 0.0]), verbose=0)
