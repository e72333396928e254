import insitu as si

si.random.seed(-1)
