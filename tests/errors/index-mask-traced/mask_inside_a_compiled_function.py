import insitu as si


@si.compile
def positive_sum(x):
    return si.sum(x[x > 0])


y = positive_sum(si.asarray([1.0, -2.0]))
