import insitu as si

x = si.ones((5, 3))
mean = si.mean(x, axis=1)
centred = x - mean[:, None]
