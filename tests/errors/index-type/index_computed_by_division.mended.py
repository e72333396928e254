import insitu as si

x = si.arange(10)
middle = x[len(x) // 2]
