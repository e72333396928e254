import insitu as si

layer = si.nn.Dense(10, input_shape=784)
