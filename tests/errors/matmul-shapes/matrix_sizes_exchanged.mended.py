import insitu as si

x, w = si.ones((32, 784)), si.ones((10, 784))
y = x @ w.T
