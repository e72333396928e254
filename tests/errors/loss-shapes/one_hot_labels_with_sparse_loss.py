import numpy as np

import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.digits()
y_train = np.eye(10, dtype=np.float32)[y_train]

model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=1, verbose=0)
