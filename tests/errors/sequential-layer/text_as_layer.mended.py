import insitu as si

model = si.nn.Sequential([si.nn.Dense(16), si.nn.Activation("relu"), si.nn.Dense(1)])
