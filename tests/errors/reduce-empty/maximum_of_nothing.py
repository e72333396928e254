import insitu as si

errors = si.asarray([])
worst = si.max(errors)
