import insitu as si


@si.compile
def positive_sum(x):
    return si.sum(si.where(x > 0, x, 0))


y = positive_sum(si.asarray([1.0, -2.0]))
