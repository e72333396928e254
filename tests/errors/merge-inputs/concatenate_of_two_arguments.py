import insitu as si

a, b = si.nn.Input((4,)), si.nn.Input((3,))
y = si.nn.Concatenate()(a, b)
