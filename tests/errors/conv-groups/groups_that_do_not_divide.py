import insitu as si

layer = si.nn.Conv2D(10, 3, groups=4)
