import insitu as si

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", loss="mse", metrics=["mae"])
