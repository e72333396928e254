import insitu as si

layer = si.nn.MaxPooling2D(0)
