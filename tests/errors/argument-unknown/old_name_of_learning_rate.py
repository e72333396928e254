import insitu as si

optimizer = si.optim.Adam(lr=0.001)
