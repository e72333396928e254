import insitu as si

w = si.Variable(si.zeros(3))
w.assign(si.ones(3))
