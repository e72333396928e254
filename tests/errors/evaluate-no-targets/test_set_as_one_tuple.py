import insitu as si

train, test = si.data.digits()
model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(*train, verbose=0)
loss = model.evaluate(test, verbose=0)
