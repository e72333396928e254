import insitu as si

(x, y), _ = si.data.digits()
model = si.nn.Sequential(
    [
        si.nn.Dense(64, activation="relu"),
        si.nn.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, verbose=0)
