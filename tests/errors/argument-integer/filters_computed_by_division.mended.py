import insitu as si

channels = 15
layer = si.nn.Conv2D(channels // 2, 3)
