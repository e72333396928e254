import insitu as si

layer = si.nn.Conv2D(kernel_size=3)
