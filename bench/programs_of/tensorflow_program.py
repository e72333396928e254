"""The program in TensorFlow, with Keras' fit."""

import os
import sys

import mnist

threads = int(os.environ["OMP_NUM_THREADS"])
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(threads)
keras = tf.keras
hidden, activation, rate, optimizer, learning_rate, batch, epochs = mnist.SETTINGS[sys.argv[1]]
x, y, x_test, y_test = mnist.load()
layers = [keras.Input((784,))]
for units in hidden:
    layers.append(keras.layers.Dense(units, activation=activation))
    if rate:
        layers.append(keras.layers.Dropout(rate))
model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
if rate:
    learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, mnist.steps(len(x), batch, epochs), mnist.LAST)
chosen = keras.optimizers.SGD(learning_rate) if optimizer == "sgd" else keras.optimizers.Adam(learning_rate)
model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
print(model.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1])
