import insitu as si

x = si.nn.Input((4,))
a = si.nn.Dense(3, name="branch")(x)
b = si.nn.Dense(3, name="branch")(x)
model = si.nn.Model(x, si.nn.Add()([a, b]))
