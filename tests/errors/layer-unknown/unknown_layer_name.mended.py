import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(8, name="hidden"), si.nn.Dense(1, name="out")])
layer = model.get_layer("hidden")
