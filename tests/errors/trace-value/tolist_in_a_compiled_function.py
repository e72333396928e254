import insitu as si


@si.compile
def total(x):
    return sum(x.tolist())


y = total(si.ones(3))
