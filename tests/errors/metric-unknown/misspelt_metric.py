import insitu as si

model = si.nn.Sequential([si.nn.Dense(10, activation="softmax")])
model.compile("adam", "categorical_crossentropy", metrics=["accuarcy"])
