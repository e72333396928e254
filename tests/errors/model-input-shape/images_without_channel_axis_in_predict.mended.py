import numpy as np

import insitu as si

model = si.nn.Sequential([si.nn.Input((28, 28, 1)), si.nn.Conv2D(4, 3), si.nn.GlobalAveragePooling2D()])
image = np.zeros((28, 28, 1), "float32")
model.predict(image[None])
