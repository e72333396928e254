import insitu as si

rate = 0.001
optimizer = si.optim.RMSprop(learning_rate=rate)
