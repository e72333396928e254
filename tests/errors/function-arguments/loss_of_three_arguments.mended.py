import insitu as si


def loss(y_true, y_pred, weight):
    return si.mean(weight * (y_true - y_pred) ** 2)


model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", loss=lambda y, p: loss(y, p, 2.0))
