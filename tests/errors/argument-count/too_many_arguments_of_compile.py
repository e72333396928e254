import insitu as si

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse", None, ["mae"], None, 32)
