import insitu as si

parts = []
x = si.concat(parts or [si.zeros(0)])
