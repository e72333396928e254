import insitu as si

x = si.asarray([0.5, 2.0])
inside = (0 < x) & (x < 1)
