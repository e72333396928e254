import insitu as si

f = si.compile(lambda x, options: x * 2)
y = f(si.ones(3), options={"mode", "fast"})
