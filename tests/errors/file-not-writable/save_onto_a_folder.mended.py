import os

import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)])
os.makedirs("models")
model.save("models/prices.insitu")
