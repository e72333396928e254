import insitu as si

model = si.nn.Sequential([si.nn.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", ["accuracy"])
