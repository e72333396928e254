import os

import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)])
os.makedirs("models/2024")
model.save("models/2024/prices.insitu")
