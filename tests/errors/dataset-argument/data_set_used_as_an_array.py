import numpy as np

import insitu as si

data = si.data.Dataset((np.ones((8, 4), "float32"), np.ones((8, 1), "float32")))
model = data.batch(0)
