import insitu as si

x, z = si.nn.Input((4,)), si.nn.Input((4,))
y = si.nn.Dense(1)(si.nn.Add()([x, z]))
model = si.nn.Model([x, z], y)
