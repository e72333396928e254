import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)])
model.save("prices.insitu")
again = si.load("prices.insitu")
