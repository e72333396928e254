import insitu as si

classes = []
layer = si.nn.Dense(len(classes), activation="softmax")
