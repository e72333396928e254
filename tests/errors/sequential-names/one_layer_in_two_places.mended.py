import insitu as si

hidden = si.nn.Dense(16, activation="relu")
model = si.nn.Sequential([hidden, si.nn.Dense(16, activation="relu"), si.nn.Dense(1)])
