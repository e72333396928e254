import insitu as si

model = si.nn.Sequential(si.nn.Dense(16), si.nn.Dense(1))
