import insitu as si

model = si.nn.Sequential()
model.add(si.nn.Dense(16))
model.add(si.tanh)
