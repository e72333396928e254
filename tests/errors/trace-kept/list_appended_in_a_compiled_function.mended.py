import insitu as si


@si.compile
def step(x):
    return x * 2


seen = [step(si.ones(3))]
total = float(si.sum(seen[0]))
