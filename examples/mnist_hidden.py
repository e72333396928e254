"""One hidden layer of 25 sigmoids on MNIST: 95 to 97 % of the test digits are read right.

The data come from $INSITU_DATA_DIR/mnist, or are downloaded once.
"""

import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.mnist()

si.random.seed(0)
model = si.nn.Sequential(
    [
        si.nn.Input((28, 28), dtype="uint8"),
        si.nn.Rescaling(1 / 255),
        si.nn.Flatten(),
        si.nn.Dense(25, activation="sigmoid"),
        si.nn.Dense(10, activation="softmax"),
    ]
)
model.compile(si.optim.Adam(learning_rate=0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, epochs=10, validation_split=1 / 12)

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"{accuracy:.2%} of the test digits are read right")

model.save("mnist_hidden.insitu")
first = si.load("mnist_hidden.insitu").predict(x_test[:8]).argmax(-1)
print("the first test digits:", *first, " the truth:", *y_test[:8])
