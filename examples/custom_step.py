"""A training step of one's own on a model: mixup, a weighted loss and own metrics, in one compiled function.

Mixup (Zhang et al. 2017) trains on sums of two examples with the same sum of their targets.
"""

import numpy as np

import insitu as si

(x_train, y_train), (x_test, y_test) = si.data.digits()
x_train, x_test = x_train.astype("float32"), x_test.astype("float32")
si.random.seed(0)

model = si.nn.Sequential([si.nn.Input((8, 8)), si.nn.Flatten(), si.nn.Dense(128, "relu"), si.nn.Dropout(0.2), si.nn.Dense(10)])
optimizer = si.optim.AdamW(si.optim.schedules.CosineDecay(3e-3, 40 * 22), weight_decay=0.01)
optimizer.exclude_from_weight_decay(var_names=["bias"])
accuracy, mean_loss = si.nn.metrics.CategoricalAccuracy(), si.nn.metrics.Mean()
cross_entropy = si.nn.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)


@si.compile
def step(x, y):
    share = si.random.uniform(0, 0.3)
    other = si.random.permutation(x.shape[0])
    one_hot = (y[:, None] == si.arange(10)).astype(si.float32)
    mixed_x = x * (1 - share) + si.take(x, other, axis=0) * share
    mixed_y = one_hot * (1 - share) + si.take(one_hot, other, axis=0) * share

    def loss(weights):
        logits = model(mixed_x, training=True)
        return cross_entropy(mixed_y, logits), logits

    (value, logits), grads = si.value_and_grad(loss, has_aux=True)(model.trainable_weights)
    optimizer.apply(grads, model.trainable_weights)
    accuracy.update_state(mixed_y, logits)
    mean_loss.update_state(value)


for epoch in range(40):
    accuracy.reset_state()
    mean_loss.reset_state()
    order = np.asarray(si.random.permutation(len(x_train)))
    for at in range(0, len(x_train) - 63, 64):
        rows = order[at : at + 64]
        step(x_train[rows], y_train[rows])
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1}: loss {float(mean_loss.result()):.3f}, accuracy {float(accuracy.result()):.3f}")

right = (model.predict(x_test).argmax(-1) == y_test).mean()
print(f"{right:.1%} of the held-out digits are read right.")
