import insitu as si

x = si.zeros((4, 3))
x[:, 0] += 1
