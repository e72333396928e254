import insitu as si

model = si.nn.Sequential([si.nn.Dense(10, activation="softmax")])
model.compile("adam", loss="sparse_categorical_cross_entropy")
