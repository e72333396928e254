import numpy as np

import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)])
waiting = []
model.predict(np.array(waiting))
