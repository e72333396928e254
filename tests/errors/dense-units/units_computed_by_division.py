import insitu as si

width = 100
layer = si.nn.Dense(width / 2)
