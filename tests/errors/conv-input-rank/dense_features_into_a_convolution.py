import insitu as si

model = si.nn.Sequential([si.nn.Input((784,)), si.nn.Conv2D(8, 3)])
