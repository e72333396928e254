import insitu as si

layer = si.nn.Dense(10, activation="softmax")
