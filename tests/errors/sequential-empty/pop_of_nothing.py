import insitu as si

model = si.nn.Sequential()
model.pop()
