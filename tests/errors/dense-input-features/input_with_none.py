import insitu as si

x = si.nn.Input((None, 784))
y = si.nn.Dense(10)(si.nn.Flatten()(x))
