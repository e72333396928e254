import insitu as si

a, b = si.asarray([0.2, 0.8]), si.asarray([0.9, 0.1])
both = (a > 0.5) & (b > 0.5)
