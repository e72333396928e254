import insitu as si

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile(si.optim.Adam(learning_rate=0.01), "mse")
