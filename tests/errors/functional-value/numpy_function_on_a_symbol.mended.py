import insitu as si

x = si.nn.Input((4,))
y = si.nn.Lambda(si.exp)(si.nn.Dense(3)(x))
