"""insitu's side of every workload, as a user of the public interface writes it."""

from __future__ import annotations

from collections.abc import Callable

import workloads
from workloads import Job

import insitu as si
from insitu.nn.activations import relu


def build(workload: str, mode: str, threads: int) -> list[Job]:
    si.config.threads = threads
    if workload == "matmul":
        return [*map(_product, workloads.PRODUCTS), peak(), *(stream("read", p.bytes) for p in workloads.FAR)]
    if workload == "j":
        return [_chain(), _softmax(), _layer_norm()]
    return [training(workload)]


def machine() -> dict[str, float]:
    """What this machine can do now with the threads of this process: GFLOP/s of fma, GB/s of the better triad."""
    from insitu.runtime import measure
    from insitu.runtime.memory import pool

    threads = si.config.threads
    found = {
        "gflops": measure.peak_gflops(threads),
        "triad_gbs": max(measure.bandwidth(kernel, "memory", threads) for kernel in ("triad", "triad_nt")),
    }
    pool.trim()
    return found


# -- matrix products -----------------------------------------------------------------------------
def _product(product: workloads.Product) -> Job:
    flip_a, flip_b = (side == "t" for side in product.case)

    @si.compile
    def multiply(a: si.Array, b: si.Array) -> si.Array:
        for _ in range(product.chain):
            a = (a.mT if flip_a else a) @ (b.mT if flip_b else b)
        return a

    a, b = map(si.asarray, product.operands())
    return Job(lambda: multiply(a, b), name=product.name, flop=product.flop, bytes=product.bytes)


def peak() -> Job:
    """The machine's multiply-adds on registers: what products and convolutions are measured against."""
    from insitu.runtime import measure

    program, out, flop = measure.multiply_adds(si.config.threads)
    return Job(lambda: program.run([out.ptr]), name="peak", flop=flop)


def stream(kernel: str, nbytes: int = 0) -> Job:
    """Arrays of so many bytes in all, if not of many, that are read or copied: what kernels that do little with each byte are measured against."""
    from insitu.runtime import measure

    program, held, arrays, moved = measure.streams(kernel, "memory", si.config.threads, nbytes)

    def run() -> object:
        program.run(arrays)
        return held  # the arrays' memory

    return Job(run, name=kernel, bytes=moved)


# -- element-wise and row kernels ----------------------------------------------------------------
def _chain() -> Job:
    x, y = (si.asarray(workloads.normal(workloads.CHAIN, seed=s)) for s in (1, 2))
    f = si.compile(lambda x, y: si.tanh(x * y + si.sin(x)) * si.exp(-x * x))
    return Job(lambda: f(x, y), name="chain", bytes=workloads.TRAFFIC["chain"])


def _softmax() -> Job:
    @si.compile
    def softmax(z: si.Array) -> si.Array:
        e = si.exp(z - si.max(z, axis=-1, keepdims=True))
        return e / si.sum(e, axis=-1, keepdims=True)

    z = si.asarray(workloads.normal(*workloads.SOFTMAX, seed=7))
    return Job(lambda: softmax(z), name="softmax", bytes=workloads.TRAFFIC["softmax"])


def _layer_norm() -> Job:
    @si.compile
    def layer_norm(x: si.Array, scale: si.Array, shift: si.Array) -> si.Array:
        d = x - si.mean(x, axis=-1, keepdims=True)
        return d * si.rsqrt(si.mean(d * d, axis=-1, keepdims=True) + 1e-5) * scale + shift

    x = si.asarray(workloads.normal(*workloads.LAYER_NORM, seed=7))
    scale, shift = si.ones(x.shape[1], dtype=si.float32), si.zeros(x.shape[1], dtype=si.float32)
    return Job(lambda: layer_norm(x, scale, shift), name="layer norm", bytes=workloads.TRAFFIC["layer norm"])


# -- training ------------------------------------------------------------------------------------
Tree = dict[str, si.Array]


def softmax_cross_entropy(z: si.Array, y: si.Array) -> si.Array:
    z = z - si.max(z, axis=1, keepdims=True)
    picked = si.take_along_axis(z, y[:, None], axis=1)[:, 0]
    return si.mean(si.log(si.sum(si.exp(z), axis=1)) - picked)


def _sigmoid_cross_entropy(z: si.Array, y: si.Array) -> si.Array:
    target = (y[:, None] == si.arange(10, dtype=y.dtype)).astype(z.dtype)
    each = si.maximum(z, 0) - z * target + si.log1p(si.exp(-si.abs(z)))
    return si.sum(each) / z.shape[0]


def _loss(net: str) -> Callable[[Tree, si.Array, si.Array], si.Array]:
    def net_a(p: Tree, x: si.Array, y: si.Array) -> si.Array:
        return softmax_cross_entropy(x @ p["o.w"] + p["o.b"], y)

    def net_b(p: Tree, x: si.Array, y: si.Array) -> si.Array:
        h = si.sigmoid(x @ p["h.w"] + p["h.b"])
        return _sigmoid_cross_entropy(h @ p["o.w"] + p["o.b"], y)

    def net_d(p: Tree, x: si.Array, y: si.Array) -> si.Array:
        h = relu(x @ p["h1.w"] + p["h1.b"])
        h = relu(h @ p["h2.w"] + p["h2.b"])
        return softmax_cross_entropy(h @ p["o.w"] + p["o.b"], y)

    return {"a": net_a, "b": net_b, "d": net_d}[net]


class SGD:
    """Gradient descent, with momentum if asked for."""

    def __init__(self, params: dict[str, si.Variable], rate: float, momentum: float = 0.0) -> None:
        self.params, self.rate, self.momentum = params, rate, momentum
        self.speed = {k: si.Variable(si.zeros_like(v.value)) for k, v in params.items()} if momentum else {}

    def apply(self, grads: Tree) -> None:
        for k, g in grads.items():
            if self.momentum:
                g = self.speed[k].value * self.momentum + g
                self.speed[k].assign(g)
            self.params[k].assign(self.params[k].value - self.rate * g)


class Adam:
    """Adam (arXiv 1412.6980) in the order of operations of its section 2's last paragraph."""

    def __init__(self, params: dict[str, si.Variable], rate: float) -> None:
        self.params, self.rate = params, rate
        self.m = {k: si.Variable(si.zeros_like(v.value)) for k, v in params.items()}
        self.v = {k: si.Variable(si.zeros_like(v.value)) for k, v in params.items()}
        self.power1, self.power2 = si.Variable(si.asarray(1.0)), si.Variable(si.asarray(1.0))

    def apply(self, grads: Tree) -> None:
        self.power1.assign(self.power1.value * 0.9)
        self.power2.assign(self.power2.value * 0.999)
        rate = self.rate * si.sqrt(1 - self.power2.value) / (1 - self.power1.value)
        for k, g in grads.items():
            self.m[k].assign(0.9 * self.m[k].value + 0.1 * g)
            self.v[k].assign(0.999 * self.v[k].value + 0.001 * (g * g))
            self.params[k].assign(self.params[k].value - rate * self.m[k].value / (si.sqrt(self.v[k].value) + 1e-8))


def training(net: str) -> Job:
    """One step of a network: loss, gradients and update, as one compiled function."""
    params = {k: si.Variable(v, name=k) for k, v in workloads.weights(net).items()}
    rate = workloads.LEARNING_RATE[net]
    optimizer = Adam(params, rate) if net == "b" else SGD(params, rate, 0.9 if net == "d" else 0.0)
    value_and_grad = si.value_and_grad(_loss(net))

    @si.compile
    def step(x: si.Array, y: si.Array) -> si.Array:
        value, grads = value_and_grad({k: v.value for k, v in params.items()}, x, y)
        optimizer.apply(grads)
        return value

    x, y = map(si.asarray, workloads.batch(net))
    return Job(lambda: step(x, y), value=float, name=workloads.TITLES[net])
