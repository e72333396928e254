import insitu as si

optimizer = si.optim.SGD(0.1, momentum=1.9)
