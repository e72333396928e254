import insitu as si


def loss(w):
    return si.sum(w * w)


w = si.ones(3)
slope = si.grad(loss)(w)
