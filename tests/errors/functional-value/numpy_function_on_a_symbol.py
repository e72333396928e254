import numpy as np

import insitu as si

x = si.nn.Input((4,))
y = np.exp(si.nn.Dense(3)(x))
