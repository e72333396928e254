import insitu as si

x = si.arange(10)
last = x[10]
