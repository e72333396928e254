import insitu as si

weights = {"w": si.ones(3)}
si.save(weights, "weights.insitu")
