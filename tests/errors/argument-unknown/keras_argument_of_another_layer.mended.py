import insitu as si

layer = si.nn.Dense(10)
