import numpy as np

import insitu as si

features = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
species = np.repeat([1, 2, 3], 10)

model = si.nn.Sequential([si.nn.Dense(8, activation="relu"), si.nn.Dense(3, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(features, species, epochs=2, verbose=0)
