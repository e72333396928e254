import insitu as si

parts = []
x = si.concat(parts)
