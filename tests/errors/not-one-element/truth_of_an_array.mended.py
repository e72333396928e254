import insitu as si

x = si.asarray([1.0, -2.0])
if (x > 0).all():
    x = -x
