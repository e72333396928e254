import numpy as np

import insitu as si

x, y = np.ones((16, 4), "float32"), np.ones((16, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
stop = si.nn.callbacks.EarlyStopping(monitor="val_loss", patience=3)
model.fit(x, y, epochs=5, callbacks=[stop], verbose=0)
