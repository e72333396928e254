import numpy as np

import insitu as si

model = si.nn.Sequential([si.nn.Input((784,)), si.nn.Dense(10, activation="softmax")])
images = np.zeros((5, 28, 28), "float32")
model.predict(images.reshape(-1, 784))
