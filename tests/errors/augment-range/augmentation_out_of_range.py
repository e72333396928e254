import insitu as si

layer = si.nn.RandomRotation(45)
