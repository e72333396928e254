import insitu as si

model = si.nn.Sequential([si.nn.Dense(16, activation="relu"), si.nn.Dense(1)])
model.save("prices.insitu")
