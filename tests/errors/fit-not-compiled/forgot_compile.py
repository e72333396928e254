import insitu as si

(x, y), _ = si.data.digits()
model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
model.fit(x, y, verbose=0)
