import insitu as si

seen = []


@si.compile
def step(x):
    y = x * 2
    seen.append(y)
    return y


step(si.ones(3))
total = float(si.sum(seen[0]))
