import insitu as si

layer = si.nn.Conv2D(8, kernel_size=3)
