import numpy as np

import insitu as si

images = np.zeros((4, 3, 32, 32), "float32")
model = si.nn.Sequential([si.nn.Conv2D(4, 5, data_format="channels_first")])
model.predict(images)
