import insitu as si

x = si.ones(3)
