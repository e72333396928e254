import insitu as si

model = si.nn.Sequential()
model.add(si.nn.Dense(32, activation="relu", name="hidden"))
model.add(si.nn.Dense(32, activation="relu", name="hidden"))
model.add(si.nn.Dense(1))
