import insitu as si

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("adam", "mse", learning_rate=0.01)
