"""Softmax regression on MNIST: about 92 % of the test digits are read right.

The four original files are read from $INSITU_DATA_DIR/mnist:

    INSITU_DATA_DIR=path/to/data python examples/mnist_softmax.py
"""

import os
import pathlib

import numpy as np

import insitu as si

folder = pathlib.Path(os.environ.get("INSITU_DATA_DIR", ".")) / "mnist"
x_train, y_train, x_test, y_test = (
    si.data.read_idx(folder / name)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
)
x_train = np.divide(x_train, 255, dtype="float32")  # from bytes to 0 ... 1
x_test = np.divide(x_test, 255, dtype="float32")

si.random.seed(0)
model = si.nn.Sequential(
    [
        si.nn.Flatten(),  # 28 x 28 pixels -> 784 numbers
        si.nn.Dense(10, activation="softmax"),  # one probability per digit
    ]
)
model.compile(si.optim.SGD(learning_rate=0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, epochs=6, validation_data=(x_test, y_test))
model.summary()

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"{accuracy:.2%} of the test digits are read right")
