import insitu as si

model = si.nn.Sequential([si.nn.Input((4, 4, 1)), si.nn.Conv2D(8, 5)])
