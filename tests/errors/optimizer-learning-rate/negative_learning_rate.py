import insitu as si

optimizer = si.optim.SGD(-0.01)
