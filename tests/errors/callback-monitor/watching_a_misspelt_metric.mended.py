import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.arange(16) % 2
model = si.nn.Sequential([si.nn.Dense(1, activation="sigmoid")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
stop = si.nn.callbacks.EarlyStopping(monitor="val_accuracy")
model.fit(x, y, validation_split=0.25, callbacks=[stop], verbose=0)
