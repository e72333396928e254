import numpy as np

import insitu as si

x, y = np.ones((8, 4), "float32"), np.ones((6, 1), "float32")
data = si.data.Dataset((x[:6], y))
