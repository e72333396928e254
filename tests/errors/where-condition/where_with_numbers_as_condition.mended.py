import insitu as si

x = si.asarray([3, 0, 1])
y = si.where(x != 0, 1.0, -1.0)
