import insitu as si

(x, y), _ = si.data.digits()
model = si.nn.Sequential(
    [
        si.nn.Flatten(),
        si.nn.Dense(64, activation="relu"),
        si.nn.Dense(9, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    x,
    y,
    batch_size=128,
    verbose=0,
)
