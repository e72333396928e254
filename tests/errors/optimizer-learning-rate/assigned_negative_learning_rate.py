import insitu as si

optimizer = si.optim.Adam()
optimizer.learning_rate = -1e-3
