import insitu as si

parts = si.split(si.arange(10), [4, 7])
