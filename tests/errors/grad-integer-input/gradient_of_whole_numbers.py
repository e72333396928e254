import insitu as si

slope = si.grad(lambda w: si.sum(w * w))(si.asarray([1, 2, 3]))
