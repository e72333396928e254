import insitu as si

model = si.nn.Sequential()
model.add(si.nn.Dense(1))
model.pop()
