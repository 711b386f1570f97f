"""Random integer graphs of 2 to 30 ops over odd shapes, extreme zero points, 8 and 16 bits, every profile and all attributes, and
inputs for them."""
import collections, math, random, struct

LIMITS = {"i8": (-128, 127), "u8": (0, 255), "i16": (-32768, 32767)}
NPY = {"f32": ("<f4", "f"), "i8": ("|i1", "b"), "u8": ("|u1", "B"), "i16": ("<i2", "h")}  # in a file, in module struct


class Value:
    def __init__(self, name, dtype, dims, scale, zero):
        self.name, self.dtype, self.dims, self.scale, self.zero = name, dtype, list(dims), scale, zero

    def type(self):
        dims = ",".join(str(d) for d in self.dims)
        return f"f32[{dims}]" if self.dtype == "f32" else f"{self.dtype}[{dims}] scale={self.scale!r} zero={self.zero}"

    def elements(self):
        n = 1
        for d in self.dims:
            n *= 1 if d == "N" else d
        return n


class Graph:
    def __init__(self, seed):
        self.r, self.seed, self.lines, self.inputs, self.values, self.consts, self.n, self.used = random.Random(seed), seed, [], [], [], [], 0, collections.Counter()
        r = self.r
        self.batch = r.choice(["N", "N", 1, 2])
        self.pot = r.random() < 0.12  # every scale a power of two, every rounding a shift
        self.types = ["i8", "i8", "i8", "u8", "i16"] if r.random() < 0.25 else ["i8", "i8", "i8", "u8"]
        for i in range(r.choice([1, 1, 1, 2])):
            if r.random() < 0.75:
                dims = [self.batch, r.choice([1, 2, 3, 4, 5, 7, 8, 9, 16, 17]), r.choice([1, 3, 5, 6, 8, 11]), r.choice([1, 2, 4, 5, 7, 8, 13])]
            else:
                dims = [self.batch, r.choice([1, 3, 8, 10, 31, 64])]
            float_in = r.random() < 0.25
            v = Value(f"in{i}", "f32" if float_in else r.choice(self.types), dims, self.scale(), 0)
            if not float_in:
                v.zero = self.zero(v.dtype)
            self.inputs.append(v)
            self.lines.append(f"input {v.name} : {v.type()}")
            if float_in:
                self.used["input"] += 1
                q = Value(f"q{i}", "i8", dims, self.scale(), self.zero("i8"))
                self.emit("quantize", [v.name], q, r.choice(["", "divide=rcp", "order=after"]))
                v = q
            self.values.append(v)

    def scale(self):
        if self.pot:
            return 2.0 ** self.r.randint(-8, 1)
        return self.r.choice([0.5, 0.0078125, 0.1, 0.037, 0.25, 1.0, round(self.r.uniform(0.005, 0.9), 6)])

    def zero(self, dtype):
        lo, hi = LIMITS[dtype]
        return self.r.choice([lo, hi, 0 if lo < 0 else 128, self.r.randint(lo, hi)])

    def emit(self, op, operands, v, attrs=""):
        self.used[op] += 1
        for a in attrs.split():
            self.used[f"{op}.{a.split('=')[0]}"] += 1
        self.lines.append(f"{v.name} : {v.type()} = {op}({', '.join(operands)})" + (f" {attrs}" if attrs else ""))
        if all(v is not w for w in self.values):
            self.values.append(v)

    def fresh(self, dims, dtype=None, like=None):
        self.n += 1
        if like:
            return Value(f"v{self.n}", like.dtype, dims, like.scale, like.zero)
        dtype = dtype or self.r.choice(self.types)
        return Value(f"v{self.n}", dtype, dims, self.scale(), self.zero(dtype))

    def const(self, dtype, dims, within, scales=None, zero=None):
        name = f"k{len(self.consts)}"
        self.consts.append(name)
        t = f"{dtype}[{','.join(map(str, dims))}]"
        if isinstance(scales, list):
            if len(scales) > 8:
                scales = self.scale() / (16.0 if self.pot else 10.0)  # more than eight go to a file: per tensor here
            else:
                t += f" scale[0]=({', '.join(repr(s) for s in scales)})"
        if isinstance(scales, float):
            t += f" scale={scales!r} zero={zero or 0}"
        self.lines.append(f"const @{name} : {t} = random seed={self.r.randint(1, 10**6)} within=({float(within[0])},{float(within[1])})")
        return "@" + name

    def profile(self):
        return "profile=pot" if self.pot else self.r.choice(["profile=q31", "profile=q31", "profile=tflm", "profile=onnx"])

    def clip(self, v):
        lo, hi = LIMITS[v.dtype]
        if self.r.random() < 0.6:
            return ""
        a, b = sorted(self.r.sample(range(lo, hi + 1), 2))
        return f" clip=({float(a)},{float(b)})"

    def pick(self, rank=None):
        c = [v for v in self.values if rank is None or len(v.dims) in (rank if isinstance(rank, tuple) else (rank,))]
        return self.r.choice(c[-6:]) if c else None

    def bytes(self):
        """A value of 8-bit codes."""
        c = [v for v in self.values if v.dtype != "i16"]
        return self.r.choice(c[-6:]) if c else None

    def weights(self, dims, x, reduction):
        """Full-range int8 weights, scaled so that results spread over the codes."""
        lo, hi = self.r.choice([(-128, 128), (-127, 128), (-20, 21), (127, 128), (-128, -127)])
        per = self.r.random() < 0.5
        base = [round(self.r.uniform(0.2, 1.5) * 3.0 / (max(1, reduction) ** 0.5 * 60 * x.scale), 7) for _ in range(dims[0] if per else 1)]
        base = [min(max(b, 1e-6), 100.0) for b in base]
        if self.pot:
            base = [2.0 ** math.floor(math.log2(b)) for b in base]
        w = self.const("i8", dims, (lo, hi), base if per and len(base) <= 8 else base[0])
        b = self.const("i32", [dims[0]], self.r.choice([(-2000, 2000), (-100000, 100000), (0, 1)])) if self.r.random() < 0.8 else None
        return [w] + ([b] if b else [])

    # ---- one method an op: returns False when it does not fit what is there --------------------------------------------------------
    def window(self, x, most=5):
        r = self.r
        kh, kw = r.choice([1, 2, 3, 3, most]), r.choice([1, 2, 3, 3, most])
        dh, dw = r.choice([1, 1, 1, 2]), r.choice([1, 1, 1, 2, 3])
        pad = [r.randint(0, min(2, (k - 1) * d)) for k, d in ((kh, dh), (kw, dw), (kh, dh), (kw, dw))]
        sh, sw = r.choice([1, 1, 2, 3]), r.choice([1, 1, 2])
        oh = (x.dims[2] + pad[0] + pad[2] - (kh - 1) * dh - 1) // sh + 1
        ow = (x.dims[3] + pad[1] + pad[3] - (kw - 1) * dw - 1) // sw + 1
        ok = oh >= 1 and ow >= 1 and x.dims[2] + pad[0] + pad[2] >= (kh - 1) * dh + 1 and x.dims[3] + pad[1] + pad[3] >= (kw - 1) * dw + 1
        return (kh, kw, dh, dw, pad, sh, sw, oh, ow) if ok else None

    def conv2d(self):
        x = self.pick(4)
        win = x and self.window(x)
        if not win:
            return False
        kh, kw, dh, dw, pad, sh, sw, oh, ow = win
        c = x.dims[1]
        kind = self.r.choice(["full", "full", "depthwise", "grouped"])
        groups = 1 if kind == "full" else c if kind == "depthwise" else self.r.choice([g for g in range(1, c + 1) if c % g == 0])
        o = groups * self.r.choice([1, 1, 2, 3]) if groups > 1 else self.r.choice([1, 2, 3, 4, 5, 8, 11, 16, 17])
        if o > 40:
            return False
        y = self.fresh([x.dims[0], o, oh, ow])
        w = self.weights([o, c // groups, kh, kw], x, c // groups * kh * kw)
        self.emit("conv2d", [x.name] + w, y, f"pad=({','.join(map(str, pad))}) stride=({sh},{sw}) dilation=({dh},{dw}) groups={groups}{self.clip(y)} {self.profile()}")
        return True

    def dense(self):
        x = self.pick((2, 3))
        if not x:
            return False
        o = self.r.choice([1, 2, 4, 5, 10, 16, 33])
        y = self.fresh(x.dims[:-1] + [o])
        self.emit("dense", [x.name] + self.weights([o, x.dims[-1]], x, x.dims[-1]), y, f"{self.profile()}{self.clip(y)}".strip())
        return True

    def matmul(self):
        x = self.pick((3, 4))
        if not x:
            return False
        perm = list(range(len(x.dims)))
        perm[-1], perm[-2] = perm[-2], perm[-1]
        t = self.fresh([x.dims[i] for i in perm], like=x)
        self.emit("transpose", [x.name], t, f"perm=({','.join(map(str, perm))})")
        y = self.fresh(x.dims[:-1] + [x.dims[-2]])
        self.emit("matmul", [x.name, t.name], y, f"{self.profile()}{self.clip(y)}")
        return True

    def pointwise(self, op, attrs=""):
        x = self.pick()
        y = self.fresh(x.dims)
        self.emit(op, [x.name], y, (attrs + " " + self.profile()).strip())
        return True

    def relu(self): return self.pointwise("relu")
    def relu6(self): return self.pointwise("relu6")
    def sigmoid(self): return self.pointwise("sigmoid")
    def tanh(self): return self.pointwise("tanh")
    def hardswish(self): return self.pointwise("hardswish")
    def hardsigmoid(self): return self.pointwise("hardsigmoid")
    def exp(self): return self.pointwise("exp")
    def sqrt(self): return self.pointwise("sqrt")
    def rarer(self): return self.pointwise(self.r.choice(["abs", "sign", "floor", "round", "reciprocal", "log", "erf", "softplus", "elu"]))
    def leaky_relu(self): return self.pointwise("leaky_relu", f"alpha={self.r.choice([0.1, 0.2, 0.01, 0.5])}")
    def clip_(self): return self.pointwise("clip", f"clip=({self.r.choice([-1.0, 0.0, -2.5])},{self.r.choice([1.0, 3.0, 6.0])})")

    def lut(self):
        x = self.bytes()
        if not x:
            return False
        y = self.fresh(x.dims, self.r.choice(["i8", "u8"]))
        lo, hi = LIMITS[y.dtype]
        self.emit("lut", [x.name, self.const(y.dtype, [256], (lo, hi + 1))], y)
        return True

    def softmax(self):
        x, profile = self.bytes(), self.profile()
        if not x:
            return False
        y = self.fresh(x.dims, self.r.choice(["i8", "i8", "u8"]))
        if profile == "profile=tflm" or self.r.random() < 0.3:  # tflm takes no other parameters
            y.scale, y.zero = 0.00390625, LIMITS[y.dtype][0]
        self.emit("softmax", [x.name], y, f"axis={self.r.randint(1, len(x.dims) - 1)} {profile}")
        return True

    def binary(self, op, clips=True):
        r, x = self.r, self.pick()
        y = self.fresh(x.dims)
        same = [v for v in self.values if v.dims == x.dims]
        if r.random() < 0.6:
            b = r.choice(same).name
        else:  # a constant: scalar, per channel, or whole
            dims = r.choice([[1], [x.dims[1]] + [1] * (len(x.dims) - 2), [1 if d == "N" else d for d in x.dims[1:]]])
            dtype = self.r.choice(self.types)
            lo, hi = LIMITS[dtype]
            b = self.const(dtype, dims, (lo, hi + 1), self.scale(), self.zero(dtype))
        self.emit(op, [x.name, b] if r.random() < 0.8 or b.startswith("@") else [b, x.name], y, self.profile() + (self.clip(y) if clips else ""))
        return True

    def add(self): return self.binary("add")
    def sub(self): return self.binary("sub")
    def mul(self): return self.binary("mul")
    def extreme(self): return self.binary(self.r.choice(["max", "min"]), clips=False)

    def pool(self, op):
        x = self.pick(4)
        win = x and self.window(x, 4)
        if not win:
            return False
        kh, kw, dh, dw, pad, sh, sw, oh, ow = win
        if op == "avg_pool2d":
            dh = dw = 1
        pad = [min(pad[0], kh - 1), min(pad[1], kw - 1), min(pad[2], kh - 1), min(pad[3], kw - 1)]
        span = lambda size, a, b, k, d, s: (size + a + b - (k - 1) * d - 1) // s + 1
        oh, ow = span(x.dims[2], pad[0], pad[2], kh, dh, sh), span(x.dims[3], pad[1], pad[3], kw, dw, sw)
        if oh < 1 or ow < 1 or x.dims[2] + pad[0] + pad[2] < (kh - 1) * dh + 1 or x.dims[3] + pad[1] + pad[3] < (kw - 1) * dw + 1:
            return False
        attrs = f"pad=({','.join(map(str, pad))}) kernel=({kh},{kw}) stride=({sh},{sw})"
        if op == "max_pool2d":
            y = self.fresh([x.dims[0], x.dims[1], oh, ow], like=x)
            attrs += f" dilation=({dh},{dw})"
        else:
            y = self.fresh([x.dims[0], x.dims[1], oh, ow])
            attrs += self.r.choice(["", " count_pad"]) + " " + self.profile()
        self.emit(op, [x.name], y, attrs)
        return True

    def max_pool2d(self): return self.pool("max_pool2d")
    def avg_pool2d(self): return self.pool("avg_pool2d")

    def mean(self):
        x = self.pick((3, 4))
        if not x:
            return False
        axes = sorted(self.r.sample(range(1, len(x.dims)), self.r.randint(1, len(x.dims) - 1)))
        keep = self.r.random() < 0.5 or len(axes) == len(x.dims) - 1  # a result keeps at least two axes
        dims = [1 if i in axes else d for i, d in enumerate(x.dims)] if keep else [d for i, d in enumerate(x.dims) if i not in axes]
        self.emit("mean", [x.name], self.fresh(dims), f"axes=({','.join(map(str, axes))})" + (" keepdims" if keep else "") + " " + self.profile())
        return True

    def reshape(self):
        x = self.pick()
        per = 1
        for d in x.dims[1:]:
            per *= d
        divisors = [d for d in range(1, per + 1) if per % d == 0]
        a = self.r.choice(divisors)
        dims = [x.dims[0], a, per // a]
        self.emit("reshape", [x.name], self.fresh(dims, like=x), f"shape=({','.join(map(str, dims))})")
        return True

    def flatten(self):
        x = self.pick((3, 4))
        if not x:
            return False
        per = 1
        for d in x.dims[1:]:
            per *= d
        self.emit("flatten", [x.name], self.fresh([x.dims[0], per], like=x), "axis=1")
        return True

    def unsqueeze(self):
        x = self.pick((2, 3))
        if not x:
            return False
        at = self.r.randint(1, len(x.dims))
        dims = x.dims[:at] + [1] + x.dims[at:]
        y = self.fresh(dims, like=x)
        self.emit("unsqueeze", [x.name], y, f"axes=({at})")
        if self.r.random() < 0.5:
            self.emit("squeeze", [y.name], self.fresh(x.dims, like=x), f"axes=({at})")
        return True

    def squeeze(self):
        c = [v for v in self.values if len(v.dims) > 2 and 1 in v.dims[1:]]
        if not c:
            return False
        x = self.r.choice(c)
        at = self.r.choice([i for i in range(1, len(x.dims)) if x.dims[i] == 1])
        self.emit("squeeze", [x.name], self.fresh(x.dims[:at] + x.dims[at + 1:], like=x), f"axes=({at})")
        return True

    def transpose(self):
        x = self.pick((3, 4))
        if not x:
            return False
        perm = list(range(1, len(x.dims)))
        self.r.shuffle(perm)
        perm = [0] + perm
        self.emit("transpose", [x.name], self.fresh([x.dims[i] for i in perm], like=x), f"perm=({','.join(map(str, perm))})")
        return True

    def slice(self):
        x = self.pick()
        axis = self.r.randint(1, len(x.dims) - 1)
        d = x.dims[axis]
        step = self.r.choice([1, 1, 2, 3, -1])
        begin, end = (self.r.randint(0, d - 1), d) if step > 0 else (d - 1, -d - 1)
        n = len(range(d)[begin:end:step]) if step > 0 else len(range(d)[::step])
        dims = list(x.dims)
        dims[axis] = n
        self.emit("slice", [x.name], self.fresh(dims, like=x), f"axes=({axis}) begin=({begin}) end=({end}) step=({step})")
        return True

    def pad(self):
        x = self.pick()
        before = [0] + [self.r.randint(0, 2) for _ in x.dims[1:]]
        after = [0] + [self.r.randint(0, 2) for _ in x.dims[1:]]
        dims = [x.dims[0]] + [d + a + b for d, a, b in zip(x.dims[1:], before[1:], after[1:])]
        y = self.fresh(dims, like=x)
        if y.elements() > 20000:
            return False
        self.emit("pad", [x.name], y, f"pads=({','.join(map(str, before + after))}) value={self.r.choice([0.0, 0.0, 1.5, -2.0])}")
        return True

    def concat(self):
        x = self.pick()
        axis = self.r.randint(1, len(x.dims) - 1)
        others = [v for v in self.values if len(v.dims) == len(x.dims) and all(a == b for i, (a, b) in enumerate(zip(v.dims, x.dims)) if i != axis)]
        parts = [x] + [self.r.choice(others) for _ in range(self.r.randint(1, 2))]
        dims = list(x.dims)
        dims[axis] = sum(p.dims[axis] for p in parts)
        y = self.fresh(dims, like=x if self.r.random() < 0.5 else None)
        if y.elements() > 20000:
            return False
        self.emit("concat", [p.name for p in parts], y, f"axis={axis} {self.profile()}")
        return True

    def requantize(self):
        x = self.pick()
        y = self.fresh(x.dims)
        self.emit("requantize", [x.name], y, f"{self.profile()}{self.clip(y)}")
        return True

    def dequantize(self):
        x = self.pick()
        f = Value(self.fresh(x.dims).name, "f32", x.dims, 0, 0)
        self.emit("dequantize", [x.name], f)
        self.values.remove(f)
        self.outputs.append(f.name)
        return True

    def build(self):
        self.outputs = []
        ops = [self.conv2d, self.conv2d, self.dense, self.dense, self.matmul, self.relu, self.relu6, self.sigmoid, self.tanh, self.hardswish,
               self.hardsigmoid, self.exp, self.sqrt, self.leaky_relu, self.clip_, self.lut, self.softmax, self.add, self.sub, self.mul, self.extreme,
               self.rarer, self.rarer, self.rarer, self.max_pool2d,
               self.avg_pool2d, self.mean, self.reshape, self.flatten, self.squeeze, self.unsqueeze, self.transpose, self.slice, self.pad, self.concat,
               self.requantize, self.dequantize]
        want, tries = self.r.randint(2, 30), 0
        while sum(self.used.values()) and len([l for l in self.lines if " = " in l and not l.startswith("const")]) < want and tries < 300 or tries == 0:
            tries += 1
            self.r.choice(ops)()
        self.outputs += [self.values[-1].name] + ([self.r.choice(self.values).name] if self.r.random() < 0.3 else [])
        outputs = list(dict.fromkeys(o for o in self.outputs if all(o != v.name for v in self.inputs))) or [self.values[-1].name]
        return f"octavo 1\nmodel g{self.seed}\n" + "\n".join(self.lines) + "\n" + "".join(f"output {o}\n" for o in outputs), outputs


def codes(v, rng, samples):
    """Bytes for input v: `samples` along a symbolic batch; also what their shape is."""
    dims = [samples if d == "N" else d for d in v.dims]
    n = math.prod(dims)
    if v.dtype == "f32":
        x = [rng.choice([0.0, -0.0, 1e9, -1e9, 0.5, rng.gauss(0, 20)]) if rng.random() < 0.2 else rng.gauss(0, 20) for _ in range(n)]
    else:
        lo, hi = LIMITS[v.dtype]
        x = [rng.choice([lo, hi]) if rng.random() < 0.2 else rng.randint(lo, hi) for _ in range(n)]
    return struct.pack(f"<{n}{NPY[v.dtype][1]}", *x), dims
