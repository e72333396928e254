import insitu as si

model = si.nn.Sequential([si.nn.Input((3,)), si.nn.Rescaling(scale=[0.5, 2.0]), si.nn.Dense(1)])
