import insitu as si

rate = float("nan")
optimizer = si.optim.RMSprop(learning_rate=rate)
