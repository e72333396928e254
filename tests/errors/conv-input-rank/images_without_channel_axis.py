import numpy as np

import insitu as si

images = np.zeros((8, 28, 28), "float32")
digits = np.arange(8) % 10
model = si.nn.Sequential(
    [
        si.nn.Conv2D(4, 3, activation="relu"),
        si.nn.Flatten(),
        si.nn.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images, digits, verbose=0)
