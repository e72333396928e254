import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(8), si.nn.Dense(1)])
layer = model.get_layer(index=1)
