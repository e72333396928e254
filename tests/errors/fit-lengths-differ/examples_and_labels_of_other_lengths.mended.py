import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.digits()
model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x_train, y_train, verbose=0)
