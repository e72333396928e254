import insitu as si

model = si.nn.Sequential([si.nn.Flatten, si.nn.Dense(10)])
