import insitu as si


@si.compile
def step(w, rate):
    return w - rate * w


w = si.ones(3)
for k in range(20):
    w = step(w, 0.1 / (k + 1))
