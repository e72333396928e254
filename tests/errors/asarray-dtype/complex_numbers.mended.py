import insitu as si

x = si.asarray([[1.0, 2.0], [3.0, -1.0]])
