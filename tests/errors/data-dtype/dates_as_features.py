import numpy as np

import insitu as si

days = np.arange("2024-01-01", "2024-01-09", dtype="datetime64[D]")
sales = np.arange(8.0)

model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
model.fit(days[:, None], sales, verbose=0)
