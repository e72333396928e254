"""insitu's side of the image workloads: convolutions, networks that see, written as a user of the functions writes them.

Sizes, data and initial weights are the peers' (their ``common.py``), so that losses can be compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from insitu_jobs import SGD, Adam, Tree, machine, peak, softmax_cross_entropy, stream
from workloads import Floats, Job, Labels

import insitu as si
from insitu.nn.activations import relu

__all__ = ["build", "machine"]

#: name: batch, channels, height, width, outputs, window, stride, padding
CONVOLUTIONS = {
    "8x56x56x64 to 64, 3x3": (8, 64, 56, 56, 64, 3, 1, 1),
    "8x14x14x256 to 256, 3x3": (8, 256, 14, 14, 256, 3, 1, 1),
    "1x224x224x3 to 64, 7x7 stride 2": (1, 3, 224, 224, 64, 7, 2, 3),
}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution of a square grid, its borders filled up so that its size is divided by the stride."""

    batch: int
    size: int
    inputs: int
    outputs: int
    window: int
    stride: int = 1
    depthwise: bool = False

    @property
    def name(self) -> str:
        kind = "depthwise " if self.depthwise else f"to {self.outputs}, "
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        return f"{self.batch}x{self.size}x{self.size}x{self.inputs} {kind}{self.window}x{self.window}{stride}"


#: Convolutions whose passes are measured one by one.
LAYERS = [
    *[Layer(8, size, channels, channels, 3, stride) for size, channels in ((56, 64), (14, 256)) for stride in (1, 2)],
    *[Layer(8, 56, 64, 256, 1), Layer(8, 14, 256, 1024, 1), Layer(8, 56, 256, 512, 1, 2)],
    Layer(8, 224, 3, 64, 7, 2),
    *[Layer(16, 112, 96, 96, 3, stride, True) for stride in (1, 2)],
]
PASSES = ("forward", "by the grid", "by the kernel")
VGG = [(3, 64), (64, 64), "M", (64, 128), (128, 128), "M", (128, 256), (256, 256), (256, 256), (256, 256), "M",
       (256, 512), (512, 512), (512, 512), (512, 512), "M", (512, 512)]  # fmt: skip
STYLE = (0, 2, 4, 8, 12)
RESNET18 = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
RESNET50 = [(stage, block) for stage, count in enumerate((3, 4, 6, 3)) for block in range(count)]
TITLES = {
    "c": "two-convolution MNIST net, Adam, batch 50",
    "g": "ResNet-18 (32x32), momentum, batch 32",
    "h": "VGG-19, gradient to a 256x256 picture",
    "i1": "ResNet-50 inference, batch 1",
    "i8": "ResNet-50 inference, batch 8",
}
_RATE = {"c": 1e-4, "g": 0.01, "h": 0.02}


# -- data and weights ----------------------------------------------------------------------------
def batch(net: str) -> tuple[Floats, Labels | None]:
    rng = np.random.default_rng(99)
    if net == "c":
        return rng.random((50, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 50).astype(np.int32)
    if net == "g":
        return rng.standard_normal((32, 32, 32, 3), dtype=np.float32), rng.integers(0, 10, 32).astype(np.int32)
    if net == "h":
        return rng.random((1, 256, 256, 3), dtype=np.float32), None
    return rng.standard_normal((int(net[1:]), 224, 224, 3), dtype=np.float32), None


class _Weights:
    """Initial weights in the peers' order of drawing; kernels of convolutions are drawn as (out, in, taps) and kept as (taps, in, out)."""

    def __init__(self) -> None:
        self.rng, self.made = np.random.default_rng(1234), dict[str, Floats]()

    def dense(self, name: str, inputs: int, outputs: int) -> None:
        self.made[name + ".w"] = (self.rng.standard_normal((inputs, outputs)) * np.sqrt(1.0 / inputs)).astype(np.float32)
        self.made[name + ".b"] = np.zeros(outputs, np.float32)

    def conv(self, name: str, inputs: int, outputs: int, window: int, bias: bool = True) -> None:
        drawn = (self.rng.standard_normal((outputs, inputs, window, window)) * np.sqrt(2.0 / (inputs * window * window))).astype(np.float32)
        self.made[name + ".w"] = np.ascontiguousarray(drawn.transpose(2, 3, 1, 0))
        if bias:
            self.made[name + ".b"] = np.zeros(outputs, np.float32)

    def norm(self, name: str, channels: int, scale: float = 1.0) -> None:
        self.made[name + ".g"], self.made[name + ".b"] = np.full(channels, scale, np.float32), np.zeros(channels, np.float32)


def weights(net: str) -> dict[str, Floats]:
    """Initial weights of a network."""
    w = _Weights()
    if net == "c":
        w.conv("c1", 1, 32, 5)
        w.conv("c2", 32, 64, 5)
        w.dense("h", 3136, 1024)
        w.dense("o", 1024, 10)
    elif net == "g":
        w.conv("stem", 3, 64, 3, False)
        w.norm("stem.n", 64)
        for k, (inputs, outputs, stride) in enumerate(RESNET18):
            w.conv(f"{k}.c1", inputs, outputs, 3, False)
            w.norm(f"{k}.n1", outputs)
            w.conv(f"{k}.c2", outputs, outputs, 3, False)
            w.norm(f"{k}.n2", outputs)
            if stride != 1:
                w.conv(f"{k}.sc", inputs, outputs, 1, False)
                w.norm(f"{k}.ns", outputs)
        w.dense("o", 512, 10)
    elif net == "h":
        for k, (inputs, outputs) in enumerate([layer for layer in VGG if layer != "M"]):  # type: ignore[misc]
            w.conv(f"c{k}", inputs, outputs, 3)  # type: ignore[arg-type]
    else:
        w.conv("stem", 3, 64, 7, False)
        w.norm("stem.n", 64)
        before = 64
        for stage, block in RESNET50:
            inner, outer, name = 64 << stage, 256 << stage, f"{stage}.{block}"
            for part, (inputs, outputs, window) in enumerate(((before, inner, 1), (inner, inner, 3), (inner, outer, 1)), 1):
                w.conv(f"{name}.c{part}", inputs, outputs, window, False)
                w.norm(f"{name}.n{part}", outputs, 0.2 if part == 3 else 1.0)
            if block == 0:
                w.conv(f"{name}.sc", before, outer, 1, False)
                w.norm(f"{name}.ns", outer)
            before = outer
        w.dense("o", 2048, 1000)
    return w.made


# -- networks ------------------------------------------------------------------------------------
def _conv(x: si.Array, w: si.Array, stride: int = 1) -> si.Array:
    return si.conv(x, w, strides=stride, padding=w.shape[0] // 2)


class _Norm:
    """Batch normalisation in training, with moving statistics; of ones and zeros for inference."""

    def __init__(self, moving: dict[str, si.Variable] | None) -> None:
        self.moving = moving

    def __call__(self, x: si.Array, p: Tree, name: str) -> si.Array:
        if self.moving is None:
            return x * (p[name + ".g"] * (1 / np.sqrt(1 + 1e-5))) + p[name + ".b"]
        axes = (0, 1, 2)
        mean = si.mean(x, axis=axes)
        variance = si.mean((x - mean) ** 2, axis=axes)
        count = x.size // x.shape[-1]
        for kind, value in ((".mean", mean), (".var", variance * (count / (count - 1)))):
            kept = self.moving[name + kind]
            kept.assign(0.9 * kept.value + 0.1 * si.stop_gradient(value))
        scale = p[name + ".g"] * si.rsqrt(variance + 1e-5)
        return (x - mean) * scale + p[name + ".b"]


def _mnist_net(p: Tree, x: si.Array, y: si.Array, random: si.random.Generator) -> si.Array:
    h = si.max_pool(relu(_conv(x, p["c1.w"]) + p["c1.b"]))
    h = si.max_pool(relu(_conv(h, p["c2.w"]) + p["c2.b"]))
    h = relu(si.reshape(h, (h.shape[0], -1)) @ p["h.w"] + p["h.b"])
    h = si.where(random.random(h.shape, dtype=si.float32) < 0.5, h * 2, 0)
    return softmax_cross_entropy(h @ p["o.w"] + p["o.b"], y)


def _resnet18(p: Tree, x: si.Array, y: si.Array, norm: _Norm) -> si.Array:
    h = relu(norm(_conv(x, p["stem.w"]), p, "stem.n"))
    for k, (_, _, stride) in enumerate(RESNET18):
        z = relu(norm(_conv(h, p[f"{k}.c1.w"], stride), p, f"{k}.n1"))
        z = norm(_conv(z, p[f"{k}.c2.w"]), p, f"{k}.n2")
        if stride != 1:
            h = norm(_conv(h, p[f"{k}.sc.w"], stride), p, f"{k}.ns")
        h = relu(z + h)
    return softmax_cross_entropy(si.mean(h, axis=(1, 2)) @ p["o.w"] + p["o.b"], y)


def _grams(p: Tree, x: si.Array) -> list[si.Array]:
    grams, k = [], 0
    for layer in VGG:
        if layer == "M":
            x = si.max_pool(x)
            continue
        x = relu(_conv(x, p[f"c{k}.w"]) + p[f"c{k}.b"])
        if k in STYLE:
            f = si.reshape(x, (-1, x.shape[-1]))
            grams.append(f.T @ f / f.shape[0])
        k += 1
    return grams


def _resnet50(p: Tree, x: si.Array) -> si.Array:
    norm = _Norm(None)
    h = si.max_pool(relu(norm(_conv(x, p["stem.w"], 2), p, "stem.n")), 3, strides=2, padding=1)
    for stage, block in RESNET50:
        name, stride = f"{stage}.{block}", 2 if block == 0 and stage > 0 else 1
        z = relu(norm(_conv(h, p[name + ".c1.w"]), p, name + ".n1"))
        z = relu(norm(_conv(z, p[name + ".c2.w"], stride), p, name + ".n2"))
        z = norm(_conv(z, p[name + ".c3.w"]), p, name + ".n3")
        if block == 0:
            h = norm(_conv(h, p[name + ".sc.w"], stride), p, name + ".ns")
        h = relu(z + h)
    return si.mean(h, axis=(1, 2)) @ p["o.w"] + p["o.b"]


# -- jobs ----------------------------------------------------------------------------------------
def build(workload: str, mode: str, threads: int) -> list[Job]:
    si.config.threads = threads
    if workload == "l":
        return list(_convolutions())
    if workload == "layers":
        return [*(layer(which) for layer in map(_layer, LAYERS) for which in PASSES), peak(), stream("copy")]
    if workload == "h":
        return [_style()]
    if workload in ("i1", "i8"):
        return [_inference(workload)]
    return [_training(workload)]


def _convolutions() -> Iterator[Job]:
    for name, (n, inputs, height, width, outputs, window, stride, padding) in CONVOLUTIONS.items():
        rng = np.random.default_rng(7)
        x = si.asarray(rng.standard_normal((n, height, width, inputs), dtype=np.float32))
        w = si.asarray(rng.standard_normal((window, window, inputs, outputs), dtype=np.float32))
        f = si.compile(lambda x, w, s=stride, p=padding: si.conv(x, w, strides=s, padding=p))  # type: ignore[misc]
        across = [(m + 2 * padding - window) // stride + 1 for m in (height, width)]
        yield Job(lambda f=f, x=x, w=w: f(x, w), name=name, flop=2 * n * outputs * inputs * window**2 * across[0] * across[1])  # type: ignore[misc]


def _layer(layer: Layer) -> Callable[[str], Job]:
    """The passes of a convolution by their names: its results, and each of its gradients as a result of its own."""
    rng = np.random.default_rng(7)
    across = -(-layer.size // layer.stride)
    x = si.asarray(rng.standard_normal((layer.batch, layer.size, layer.size, layer.inputs), dtype=np.float32))
    w = si.asarray(rng.standard_normal((layer.window, layer.window, 1 if layer.depthwise else layer.inputs, layer.outputs), dtype=np.float32))
    given = si.asarray(rng.standard_normal((layer.batch, across, across, layer.outputs), dtype=np.float32))

    def conv(x: si.Array, w: si.Array) -> si.Array:
        groups = layer.inputs if layer.depthwise else 1
        return si.conv(x, w, strides=layer.stride, padding="same", groups=groups)

    def one(which: str) -> Job:
        @si.compile
        def run(x: si.Array, w: si.Array, given: si.Array) -> si.Array:
            if which == "forward":
                return conv(x, w)
            if which == "by the grid":
                return si.vjp(lambda x: conv(x, w), x)[1](given)
            return si.vjp(lambda w: conv(x, w), w)[1](given)

        flop = None if layer.depthwise else 2 * given.size * layer.inputs * layer.window**2
        return Job(lambda: run(x, w, given), name=f"{layer.name}, {which}", flop=flop, bytes=4 * (x.size + given.size))

    return one


def _training(net: str) -> Job:
    """One step: loss, gradients and update, as one compiled function."""
    start = weights(net)
    params = {k: si.Variable(v, name=k) for k, v in start.items()}
    optimizer = Adam(params, _RATE[net]) if net == "c" else SGD(params, _RATE[net], 0.9)
    loss: Callable[..., si.Array]
    if net == "c":
        random = si.random.default_rng(0)
        loss = lambda p, x, y: _mnist_net(p, x, y, random)  # noqa: E731
    else:
        names = [k[:-2] for k in start if k.endswith(".g")]
        moving = {
            n + kind: si.Variable(np.full(start[n + ".g"].shape, fill, np.float32)) for n in names for kind, fill in ((".mean", 0), (".var", 1))
        }
        loss = lambda p, x, y: _resnet18(p, x, y, _Norm(moving))  # noqa: E731
    value_and_grad = si.value_and_grad(loss)

    @si.compile
    def step(x: si.Array, y: si.Array) -> si.Array:
        value, grads = value_and_grad({k: v.value for k, v in params.items()}, x, y)
        optimizer.apply(grads)
        return value

    x, y = map(si.asarray, batch(net))  # type: ignore[arg-type]
    return Job(lambda: step(x, y), value=float, name=TITLES[net])


def _style() -> Job:
    """The gradient of a style loss to the picture, and Adam's step on it."""
    fixed = {k: si.asarray(v) for k, v in weights("h").items()}
    picture = {"x": si.Variable(batch("h")[0])}
    optimizer = Adam(picture, _RATE["h"])
    other = si.asarray(np.random.default_rng(5).random((1, 256, 256, 3), dtype=np.float32))
    targets = si.compile(lambda p, x: _grams(p, x))(fixed, other)

    @si.compile
    def step(p: Tree, wanted: list[si.Array]) -> si.Array:
        def loss(tree: Tree) -> si.Array:
            first, *others = [si.mean((g - t) ** 2) for g, t in zip(_grams(p, tree["x"]), wanted, strict=True)]
            return sum(others, start=first)

        value, grads = si.value_and_grad(loss)({"x": picture["x"].value})
        optimizer.apply(grads)
        return value

    return Job(lambda: step(fixed, targets), value=float, name=TITLES["h"])


def _inference(net: str) -> Job:
    fixed = {k: si.asarray(v, copy=False) for k, v in weights(net).items()}
    x = si.asarray(batch(net)[0])
    f = si.compile(lambda x: _resnet50(fixed, x))
    return Job(lambda: f(x), value=lambda h: float(si.mean(si.abs(h))), name=TITLES[net])
