import insitu as si

classes = []
layer = si.nn.Dense(len(classes) or 2, activation="softmax")
