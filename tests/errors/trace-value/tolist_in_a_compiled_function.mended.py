import insitu as si


@si.compile
def total(x):
    return si.sum(x)


y = total(si.ones(3))
