import insitu as si

model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(3)])
kernel, bias = model.get_weights()
model.set_weights([bias, kernel])
