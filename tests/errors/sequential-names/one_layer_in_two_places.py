import insitu as si

hidden = si.nn.Dense(16, activation="relu")
model = si.nn.Sequential([hidden, hidden, si.nn.Dense(1)])
