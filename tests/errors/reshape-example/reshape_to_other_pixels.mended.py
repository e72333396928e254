import insitu as si

model = si.nn.Sequential([si.nn.Input((784,)), si.nn.Reshape((28, 28))])
