import insitu as si

model = si.nn.Sequential([si.nn.Input((784,)), si.nn.Reshape((28, 28, 1)), si.nn.Conv2D(8, 3)])
