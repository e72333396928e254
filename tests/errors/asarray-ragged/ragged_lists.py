import insitu as si

x = si.asarray([[1, 2, 3], [4, 5]])
