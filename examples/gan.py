"""A generative adversarial network on the digits inside the package: one network draws, the other tells drawn from real.

Both are trained by one compiled step (Goodfellow et al. 2014). At the end the drawn digits are shown, and a classifier
that knows real digits only says how sure it is of them.
"""

import numpy as np
from rich.console import Console

import insitu as si
from insitu.nn import pictures

(x, y), _ = si.data.digits()
x = x.reshape(-1, 64).astype("float32") * 2 - 1  # -1: paper, 1: ink
si.random.seed(0)

drawer = si.nn.Sequential([si.nn.Input((16,)), si.nn.Dense(128, "relu"), si.nn.Dense(128, "relu"), si.nn.Dense(64, "tanh")])
critic = si.nn.Sequential([si.nn.Input((64,)), si.nn.Dense(128, "leaky_relu"), si.nn.Dropout(0.3), si.nn.Dense(64, "leaky_relu"), si.nn.Dense(1)])
draw_optimizer, critic_optimizer = si.optim.Adam(5e-4, beta_1=0.5), si.optim.Adam(5e-4, beta_1=0.5)
loss = si.nn.losses.BinaryCrossentropy(from_logits=True)


@si.compile
def step(real):
    n = real.shape[0]
    noise = si.random.normal(size=(n, 16))

    # gradients go to the variables: a tree of them is a function's argument like any other
    def of_critic(weights):
        told = critic(si.concat([real, si.stop_gradient(drawer(noise))]), training=True)
        return loss(si.concat([si.full((n, 1), 0.9), si.zeros((n, 1))]), told)

    def of_drawer(weights):
        return loss(si.ones((n, 1)), critic(drawer(noise), training=True))

    critic_loss, grads = si.value_and_grad(of_critic)(critic.trainable_weights)
    draw_loss, draw_grads = si.value_and_grad(of_drawer)(drawer.trainable_weights)
    critic_optimizer.apply(grads, critic.trainable_weights)
    draw_optimizer.apply(draw_grads, drawer.trainable_weights)
    return critic_loss, draw_loss


for epoch in range(200):
    order = np.asarray(si.random.permutation(len(x)))
    for at in range(0, len(x) - 63, 64):
        losses = step(x[order[at : at + 64]])
    if epoch % 40 == 39:
        print(f"epoch {epoch + 1}: critic {float(losses[0]):.3f}, drawer {float(losses[1]):.3f}")

judge = si.nn.Sequential([si.nn.Dense(64, "relu"), si.nn.Dense(10, "softmax")])
judge.compile("adam", "sparse_categorical_crossentropy")
judge.fit(x, y, epochs=20, verbose=0)
drawn = drawer.predict(np.asarray(si.random.normal(size=(200, 16))))
said = judge.predict(drawn)
pictures.gallery(Console(), [(d.reshape(8, 8) + 1) / 2 for d in drawn[:8]], [f"{p.argmax()}" for p in said[:8]])
print(f"A classifier of real digits is {said.max(-1).mean():.0%} sure of the drawn ones, and sees {len(set(said.argmax(-1)))} different digits.")
