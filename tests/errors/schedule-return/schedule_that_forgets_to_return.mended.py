import numpy as np

import insitu as si


def schedule(epoch, rate):
    if epoch > 2:
        return rate / 2
    return rate


x, y = np.ones((16, 4), "float32"), np.ones((16, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, epochs=4, callbacks=[si.nn.callbacks.LearningRateScheduler(schedule)], verbose=0)
