#!/usr/bin/env python3
"""Trains the example network on scikit-learn's handwritten digits (8x8 pixels, 0..16) and writes, beside this file:
digits.8vo + digits.safetensors (the float model), digits_cal.npy (200 training images), digits_test.npy and
digits_labels.npy (200 test images). Needs numpy and scikit-learn; 1 to 2 minutes. Plain numpy: no framework."""
import json, os, struct
import numpy as np
from sklearn.datasets import load_digits

rng = np.random.default_rng(8)


class Conv:
    """3x3 (pad 1) or 1x1 convolution without bias, optionally depthwise; NCHW, weights OIHW."""
    def __init__(self, name, cin, cout, k, depthwise=False):
        self.name, self.k, self.dw = name, k, depthwise
        fan = k * k * (1 if depthwise else cin)
        self.params = {"w": rng.normal(0, np.sqrt(2 / fan), (cout, 1 if depthwise else cin, k, k))}
        self.grads = {}

    def forward(self, x, train):
        p = self.k // 2
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self.win = np.lib.stride_tricks.sliding_window_view(xp, (self.k, self.k), axis=(2, 3))
        w = self.params["w"]
        return np.einsum("nchwij,cij->nchw", self.win, w[:, 0], optimize=True) if self.dw else np.einsum("nchwij,ocij->nohw", self.win, w, optimize=True)

    def backward(self, g):
        w, p = self.params["w"], self.k // 2
        if self.dw:
            self.grads["w"] = np.einsum("nchwij,nchw->cij", self.win, g, optimize=True)[:, None]
        else:
            self.grads["w"] = np.einsum("nchwij,nohw->ocij", self.win, g, optimize=True)
        gp = np.pad(g, ((0, 0), (0, 0), (p, p), (p, p)))
        gw = np.lib.stride_tricks.sliding_window_view(gp, (self.k, self.k), axis=(2, 3))
        flip = w[:, :, ::-1, ::-1]
        return np.einsum("nchwij,cij->nchw", gw, flip[:, 0], optimize=True) if self.dw else np.einsum("nohwij,ocij->nchw", gw, flip, optimize=True)


class BatchNorm:
    def __init__(self, name, c, eps=1e-3):
        self.name, self.eps = name, eps
        self.params = {"scale": np.ones(c), "bias": np.zeros(c)}
        self.mean, self.var, self.grads = np.zeros(c), np.ones(c), {}

    def forward(self, x, train):
        if train:
            m, v = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.mean += 0.05 * (m - self.mean)
            self.var += 0.05 * (v - self.var)
        else:
            m, v = self.mean, self.var
        b = (None, slice(None), None, None)
        self.inv = 1 / np.sqrt(v + self.eps)[b]
        self.xh = (x - m[b]) * self.inv
        return self.xh * self.params["scale"][b] + self.params["bias"][b]

    def backward(self, g):
        b = (None, slice(None), None, None)
        self.grads = {"scale": (g * self.xh).sum((0, 2, 3)), "bias": g.sum((0, 2, 3))}
        g = g * self.params["scale"][b]
        return self.inv * (g - g.mean((0, 2, 3), keepdims=True) - self.xh * (g * self.xh).mean((0, 2, 3), keepdims=True))


class Relu:
    params = {}
    def forward(self, x, train):
        self.on = x > 0
        return x * self.on

    def backward(self, g):
        return g * self.on


class MaxPool:
    params = {}
    def forward(self, x, train):
        n, c, h, w = x.shape
        v = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        self.arg, self.shape = v.argmax(-1), x.shape
        return v.max(-1)

    def backward(self, g):
        n, c, h, w = self.shape
        v = (np.arange(4) == self.arg[..., None]) * g[..., None]
        return v.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)


class Head:
    """Global average pool, then a dense layer."""
    def __init__(self, cin, cout):
        self.name, self.params, self.grads = "fc", {"w": rng.normal(0, np.sqrt(1 / cin), (cout, cin)), "b": np.zeros(cout)}, {}

    def forward(self, x, train):
        self.shape, self.x = x.shape, x.mean((2, 3))
        return self.x @ self.params["w"].T + self.params["b"]

    def backward(self, g):
        self.grads = {"w": g.T @ self.x, "b": g.sum(0)}
        n, c, h, w = self.shape
        return np.broadcast_to((g @ self.params["w"])[:, :, None, None] / (h * w), self.shape)


before = [Conv("c1", 1, 16, 3), BatchNorm("bn1", 16), Relu(), Conv("dw", 16, 16, 3, True), BatchNorm("bn2", 16), Relu(),
          Conv("pw", 16, 32, 1), BatchNorm("bn3", 32), Relu(), MaxPool()]
block = [Conv("c4", 32, 32, 3), BatchNorm("bn4", 32), Relu(), Conv("c5", 32, 32, 3), BatchNorm("bn5", 32)]
after, head = Relu(), Head(32, 10)


def forward(x, train):
    for layer in before:
        x = layer.forward(x, train)
    y = x
    for layer in block:
        y = layer.forward(y, train)
    return head.forward(after.forward(x + y, train), train)


def backward(g):
    g = after.backward(head.backward(g))
    y = g
    for layer in reversed(block):
        y = layer.backward(y)
    g = g + y
    for layer in reversed(before):
        g = layer.backward(g)


def shifted(x):
    """Each image moved by at most one pixel."""
    dy, dx = rng.integers(-1, 2, 2)
    return np.roll(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (dy, dx), (2, 3))[:, :, 1:-1, 1:-1]


def train(x, y, epochs=30, batch=64):
    layers = [l for l in before + block + [head] if l.params]
    moments = {(l.name, k): [np.zeros_like(v), np.zeros_like(v)] for l in layers for k, v in l.params.items()}
    step, steps = 0, epochs * (len(x) // batch)
    for epoch in range(epochs):
        order, loss = rng.permutation(len(x)), 0.0
        for i in range(len(x) // batch):
            idx = order[i * batch:(i + 1) * batch]
            z = forward(shifted(x[idx]), True)
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            loss -= np.log(p[np.arange(batch), y[idx]]).mean()
            backward((p - np.eye(10)[y[idx]]) / batch)
            step += 1
            rate = 4e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for l in layers:
                for k, g in l.grads.items():
                    m, v = moments[l.name, k]
                    m += 0.1 * (g - m)
                    v += 0.01 * (g * g - v)
                    l.params[k] -= rate * (m / (1 - 0.9 ** step) / (np.sqrt(v / (1 - 0.99 ** step)) + 1e-8) + 1e-4 * l.params[k])
        print(f"epoch {epoch + 1}: loss {loss / (len(x) // batch):.4f}", flush=True)


def write_safetensors(path, tensors):
    head, data = {}, b""
    for name, t in tensors.items():
        b = np.ascontiguousarray(t, "<f4").tobytes()
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + data)


TEXT = """octavo 1
model digits "handwritten digits: 8x8 pixels of 0..16 to ten classes; made by train.py"
weights "digits.safetensors"
input image : f32[N,1,8,8]
c1 = conv2d(image, @c1.w) pad=same
n1 = batchnorm(c1, @bn1.scale, @bn1.bias, @bn1.mean, @bn1.var) eps=0.001
r1 = relu(n1)
dw = conv2d(r1, @dw.w) pad=same groups=16
n2 = batchnorm(dw, @bn2.scale, @bn2.bias, @bn2.mean, @bn2.var) eps=0.001
r2 = relu(n2)
pw = conv2d(r2, @pw.w)
n3 = batchnorm(pw, @bn3.scale, @bn3.bias, @bn3.mean, @bn3.var) eps=0.001
r3 = relu(n3)
p1 = max_pool2d(r3) kernel=2 stride=2
c4 = conv2d(p1, @c4.w) pad=same
n4 = batchnorm(c4, @bn4.scale, @bn4.bias, @bn4.mean, @bn4.var) eps=0.001
r4 = relu(n4)
c5 = conv2d(r4, @c5.w) pad=same
n5 = batchnorm(c5, @bn5.scale, @bn5.bias, @bn5.mean, @bn5.var) eps=0.001
sum = add(p1, n5)
r5 = relu(sum)
pooled = mean(r5) axes=(2,3)
logits = dense(pooled, @fc.w, @fc.b)
probs = softmax(logits) axis=1
output probs
"""


def main():
    d = load_digits()
    x, y = d.images[:, None].astype(np.float64), d.target.astype(np.int64)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = x[order], y[order]
    test, rest = slice(0, 200), slice(200, None)
    train(x[rest] / 1.0, y[rest])
    right = (forward(x[test], False).argmax(1) == y[test]).mean()
    print(f"float accuracy on the 200 test images: {100 * right:.1f} %")
    tensors = {}
    for l in before + block + [head]:
        for k, v in l.params.items():
            tensors[f"{l.name}.{k}"] = v
        if isinstance(l, BatchNorm):
            tensors[f"{l.name}.mean"], tensors[f"{l.name}.var"] = l.mean, l.var
    here = os.path.dirname(os.path.abspath(__file__))
    write_safetensors(os.path.join(here, "digits.safetensors"), tensors)
    with open(os.path.join(here, "digits.8vo"), "w") as f:
        f.write(TEXT)
    np.save(os.path.join(here, "digits_cal.npy"), x[rest][:200].astype(np.uint8))
    np.save(os.path.join(here, "digits_test.npy"), x[test].astype(np.uint8))
    np.save(os.path.join(here, "digits_labels.npy"), y[test])


if __name__ == "__main__":
    main()
