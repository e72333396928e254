import numpy as np

import insitu as si

model = si.nn.Sequential([si.nn.Input((16, 16, 3)), si.nn.Conv2D(4, 3)])
grey = np.zeros((2, 16, 16, 1), "float32")
model.predict(np.repeat(grey, 3, axis=-1))
