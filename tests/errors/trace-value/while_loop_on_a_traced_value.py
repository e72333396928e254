import insitu as si


@si.compile
def halve(x):
    while x > 1:
        x = x / 2
    return x


y = halve(si.asarray(37.0))
