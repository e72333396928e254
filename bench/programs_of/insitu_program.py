"""The program in insitu."""

import os
import sys

import mnist

import insitu as si

hidden, activation, rate, optimizer, learning_rate, batch, epochs = mnist.SETTINGS[sys.argv[1]]
(x, y), (x_test, y_test) = si.data.mnist(os.path.join(os.environ["INSITU_DATA_DIR"], "mnist"))
layers = [si.nn.Input((28, 28), dtype="uint8"), si.nn.Rescaling(1 / 255), si.nn.Flatten()]
for units in hidden:
    layers.append(si.nn.Dense(units, activation=activation))
    if rate:
        layers.append(si.nn.Dropout(rate))
model = si.nn.Sequential([*layers, si.nn.Dense(10, activation="softmax")])
if rate:
    learning_rate = si.optim.schedules.CosineDecay(learning_rate, mnist.steps(len(x), batch, epochs), mnist.LAST)
chosen = si.optim.SGD(learning_rate) if optimizer == "sgd" else si.optim.Adam(learning_rate)
model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
print(model.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1])
