import insitu as si

x = si.asarray([float(t) for t in ["1.5", "2.5"]])
