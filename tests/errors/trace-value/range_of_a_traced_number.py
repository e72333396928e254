import insitu as si


@si.compile
def power(x, n):
    for _ in range(n):
        x = x * 2
    return x


y = power(si.ones(3), si.asarray(4))
