import insitu as si

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile(optimizer=si.optim.Adam(0.01), loss="mse")
