import insitu as si


@si.compile
def normalized(x):
    return si.tanh(x) / 2


y = normalized(si.asarray([1.0, 4.0]))
