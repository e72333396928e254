import numpy as np

import insitu as si

days = np.arange("2024-01-01", "2024-01-09", dtype="datetime64[D]")
days = (days - days[0]).astype("float32")
sales = np.arange(8.0)

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(days[:, None] / 8, sales, verbose=0)
