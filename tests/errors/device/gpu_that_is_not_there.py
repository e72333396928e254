import insitu as si

x = si.ones(3, device="cuda")
