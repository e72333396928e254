"""The program in JAX with optax: one jitted step that takes its rows from the data on the device and counts what is right."""

import sys

import jax
import jax.numpy as jnp
import mnist
import numpy as np
import optax

hidden, activation, rate, optimizer, learning_rate, batch, epochs = mnist.SETTINGS[sys.argv[1]]
x, y, x_test, y_test = map(jnp.asarray, mnist.load())
key = jax.random.key(0)
params, width = [], 784
for units in [*hidden, 10]:
    key, sub = jax.random.split(key)
    limit = (6 / (width + units)) ** 0.5
    params.append((jax.random.uniform(sub, (width, units), minval=-limit, maxval=limit), jnp.zeros(units)))
    width = units
if rate:
    learning_rate = optax.cosine_decay_schedule(learning_rate, mnist.steps(len(x), batch, epochs), mnist.LAST)
chosen = optax.sgd(learning_rate) if optimizer == "sgd" else optax.adam(learning_rate)
state = chosen.init(params)
act = jax.nn.sigmoid if activation == "sigmoid" else jax.nn.relu


def forward(params, x, key=None):
    for w, b in params[:-1]:
        x = act(x @ w + b)
        if key is not None and rate:
            key, sub = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(sub, 1 - rate, x.shape), x / (1 - rate), 0)
    w, b = params[-1]
    return x @ w + b


@jax.jit
def step(params, state, sums, key, rows):
    xb, yb = x[rows], y[rows]

    def loss_of(params):
        logits = forward(params, xb, key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, yb).mean(), logits

    (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, state = chosen.update(grads, state, params)
    right = (logits.argmax(-1) == yb).sum()
    return optax.apply_updates(params, updates), state, (sums[0] + loss * len(rows), sums[1] + right)


rng = np.random.default_rng(0)
for _ in range(epochs):
    order, sums = rng.permutation(len(x)), (jnp.zeros(()), jnp.zeros((), jnp.int32))
    for at in range(0, len(x), batch):
        key, sub = jax.random.split(key)
        params, state, sums = step(params, state, sums, sub, order[at : at + batch])
    jax.block_until_ready(sums)
print(float((jax.jit(forward)(params, x_test).argmax(-1) == y_test).mean()))
