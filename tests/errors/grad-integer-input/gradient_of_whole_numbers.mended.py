import insitu as si

slope = si.grad(lambda w: si.sum(w * w))(si.asarray([1.0, 2.0, 3.0]))
