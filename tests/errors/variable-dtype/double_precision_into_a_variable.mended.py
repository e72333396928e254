import numpy as np

import insitu as si

w = si.Variable(si.zeros(3))
w.assign(np.ones(3, "float32"))
