import insitu as si

x = si.asarray(["1.5", "2.5"])
