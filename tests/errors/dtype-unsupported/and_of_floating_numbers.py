import insitu as si

a, b = si.asarray([0.2, 0.8]), si.asarray([0.9, 0.1])
both = a & b
