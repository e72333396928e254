import insitu as si

x = si.zeros((4, 3))
x = x.at[:, 0].add(1)
