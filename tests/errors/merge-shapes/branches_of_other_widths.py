import insitu as si

x = si.nn.Input((4,))
y = si.nn.Add()([si.nn.Dense(8)(x), si.nn.Dense(4)(x)])
