"""One hidden layer of 25 sigmoids on MNIST: 95 to 97 % of the test digits are read right.

The four original files are read from $INSITU_DATA_DIR/mnist:

    INSITU_DATA_DIR=path/to/data python examples/mnist_hidden.py
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
x_train = np.divide(x_train.reshape(-1, 784), 255, dtype="float32")  # from bytes to 0 ... 1
x_test = np.divide(x_test.reshape(-1, 784), 255, dtype="float32")

si.random.seed(0)
model = si.nn.Sequential([si.nn.Dense(25, activation="sigmoid"), si.nn.Dense(10, activation="softmax")])
model.compile(si.optim.Adam(learning_rate=0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, epochs=10, validation_split=1 / 12)

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"{accuracy:.2%} of the test digits are read right")

model.save("mnist_hidden.insitu")
first = si.load("mnist_hidden.insitu").predict(x_test[:8]).argmax(-1)
print("the first test digits:", *first, " the truth:", *y_test[:8])
