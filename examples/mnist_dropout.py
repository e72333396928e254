"""Two hidden layers of 512 with dropout on MNIST: at least 98.2 % of the test digits are read right.

The data come from $INSITU_DATA_DIR/mnist, or are downloaded once. The learning rate falls as a cosine.
"""

import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.mnist()
epochs, batch = 3, 256

si.random.seed(0)
model = si.nn.Sequential(
    [
        si.nn.Input((28, 28), dtype="uint8"),
        si.nn.Rescaling(1 / 255),
        si.nn.Flatten(),
        si.nn.Dense(512, activation="relu"),
        si.nn.Dropout(0.1),
        si.nn.Dense(512, activation="relu"),
        si.nn.Dropout(0.1),
        si.nn.Dense(10, activation="softmax"),
    ]
)
rate = si.optim.schedules.CosineDecay(4e-3, epochs * -(-len(x_train) // batch), alpha=0.01)
model.compile(si.optim.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=batch, epochs=epochs)

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"{accuracy:.2%} of the test digits are read right")
