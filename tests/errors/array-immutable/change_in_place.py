import insitu as si

x = si.zeros(5)
x[2] = 1.0
