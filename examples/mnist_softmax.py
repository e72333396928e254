"""Softmax regression on MNIST: about 92 % of the test digits are read right.

The data come from $INSITU_DATA_DIR/mnist, or are downloaded once.
"""

import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.mnist()

si.random.seed(0)
model = si.nn.Sequential(
    [
        si.nn.Input((28, 28), dtype="uint8"),
        si.nn.Rescaling(1 / 255),  # bytes -> 0 ... 1
        si.nn.Flatten(),  # 28 x 28 pixels -> 784 numbers
        si.nn.Dense(10, activation="softmax"),  # one probability per digit
    ]
)
model.compile(si.optim.SGD(learning_rate=0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, epochs=6, validation_data=(x_test, y_test))
model.summary()

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"{accuracy:.2%} of the test digits are read right")
