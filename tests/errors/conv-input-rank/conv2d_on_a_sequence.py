import insitu as si

model = si.nn.Sequential([si.nn.Input((100, 3))])
model.add(si.nn.Conv2D(8, 3))
