import numpy as np

import insitu as si


@si.nn.register
def absolute(y, p):
    return si.abs(y - p)


x, y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", loss=absolute)
model.fit(x, y, verbose=0)
model.save("model.insitu")
