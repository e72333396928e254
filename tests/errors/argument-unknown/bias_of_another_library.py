import insitu as si

layer = si.nn.Conv2D(8, 3, bias=False)
