import insitu as si

x = si.ones((5, 3))
total = si.sum(x, axis=2)
