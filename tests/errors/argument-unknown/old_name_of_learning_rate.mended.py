import insitu as si

optimizer = si.optim.Adam(learning_rate=0.001)
