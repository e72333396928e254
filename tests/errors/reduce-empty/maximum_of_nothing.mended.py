import insitu as si

errors = si.asarray([])
worst = si.max(errors) if errors.size else 0.0
