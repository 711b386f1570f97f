"""The networks and layers that octavo and its peers are timed on.

A net is a float ONNX file with batch 1, batch norms folded, and inputs to calibrate and to ask with. The trained ones come from the
shared folder; MobileNetV1 and ResNet-18 have seeded random weights (He initialisation, so that activations keep their size), as
have the single layers. Random nets say nothing about accuracy, and nothing here is chosen for a recipe."""
import os
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHARED = {"ad": ("ad_autoencoder", "ad_cal_f32", "ad_test_f32"), "kws": ("kws_dscnn", "kws_cal_f32", "kws_test_f32"),
          "ic": ("ic_resnet8", "ic_cal_f32", "ic_test1000_f32"), "vww": ("vww_mobilenetv1_025_96", "vww_cal_f32", "vww_test_f32"),
          "resnet20": ("resnet20_cifar10", "resnet20_cal_f32", "resnet20_test1000_f32")}
# kernel, stride, groups == channels?, input channels, output channels, height, width
LAYERS = {"3x3 64->64 56x56": (3, 1, False, 64, 64, 56, 56), "3x3 256->256 14x14": (3, 1, False, 256, 256, 14, 14),
          "1x1 256->256 28x28": (1, 1, False, 256, 256, 28, 28), "depthwise 3x3 256 28x28": (3, 1, True, 256, 256, 28, 28),
          "3x3 16->16 32x32": (3, 1, False, 16, 16, 32, 32), "3x3 32->32 16x16": (3, 1, False, 32, 32, 16, 16),
          "3x3 64->64 8x8": (3, 1, False, 64, 64, 8, 8), "1x1 64->64 25x5": (1, 1, False, 64, 64, 25, 5)}
LABELS = {"kws": "kws_test_labels", "ic": "cifar_test1000_labels", "resnet20": "cifar_test1000_labels"}
CALIBRATION, SAMPLES = 64, 16


class Builder:
    def __init__(self, seed, shape):
        self.r, self.nodes, self.init, self.n, self.shape = np.random.default_rng(seed), [], [], 0, shape

    def name(self, base):
        self.n += 1
        return f"{base}{self.n}"

    def node(self, op, inputs, **attrs):
        y = self.name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [y], name=y, **attrs))
        return y

    def const(self, a):
        name = self.name("w")
        self.init.append(numpy_helper.from_array(np.asarray(a, np.float32), name))
        return name

    def conv(self, x, ci, co, k, stride=1, depthwise=False, relu=True, gain=2.0):
        fan = k * k * (1 if depthwise else ci)
        w = self.r.normal(0, np.sqrt(gain / fan), (co, 1 if depthwise else ci, k, k))
        y = self.node("Conv", [x, self.const(w), self.const(self.r.normal(0, 0.1, co))], kernel_shape=[k, k], strides=[stride, stride],
                      pads=[k // 2] * 4, group=ci if depthwise else 1)
        return self.node("Relu", [y]) if relu else y

    def head(self, x, c, classes):
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])], axis=1)
        return self.node("Gemm", [x, self.const(self.r.normal(0, np.sqrt(1 / c), (classes, c))), self.const(np.zeros(classes))], transB=1)

    def save(self, y, path):
        g = helper.make_graph(self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
                              [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.init)
        m = onnx.shape_inference.infer_shapes(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
        onnx.checker.check_model(m)
        onnx.save(m, path)


def mobilenet_v1(path):
    b = Builder(1, [1, 3, 224, 224])
    x, c = b.conv("x", 3, 32, 3, 2), 32
    for co, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        x = b.conv(b.conv(x, c, c, 3, stride, True), c, co, 1)
        c = co
    b.save(b.head(x, c, 1000), path)


def resnet18(path):
    b = Builder(2, [1, 3, 224, 224])
    x = b.node("MaxPool", [b.conv("x", 3, 64, 7, 2)], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    c = 64
    for co, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        y = b.conv(b.conv(x, c, co, 3, stride), co, co, 3, relu=False, gain=0.5)
        x = b.node("Relu", [b.node("Add", [y, x if co == c else b.conv(x, c, co, 1, stride, relu=False, gain=1.0)])])
        c = co
    b.save(b.head(x, c, 1000), path)


def layer(path, spec):
    k, stride, depthwise, ci, co, h, w = spec
    b = Builder(3, [1, ci, h, w])
    b.save(b.conv("x", ci, co, k, stride, depthwise), path)


def fold_dense(m):
    """Gemm, BatchNormalization -> Gemm, which ONNX Runtime leaves as they are."""
    const = {i.name: i for i in m.graph.initializer}
    made = {n.output[0]: n for n in m.graph.node}
    for bn in [n for n in m.graph.node if n.op_type == "BatchNormalization" and made[n.input[0]].op_type == "Gemm"]:
        gemm = made[bn.input[0]]
        gamma, beta, mean, var = (numpy_helper.to_array(const[i]).astype(np.float64) for i in bn.input[1:5])
        eps = next((a.f for a in bn.attribute if a.name == "epsilon"), 1e-5)
        w, b = (numpy_helper.to_array(const[i]).astype(np.float64) for i in gemm.input[1:3])
        k = gamma / np.sqrt(var + eps)
        rows = any(a.name == "transB" and a.i for a in gemm.attribute)
        const[gemm.input[1]].CopyFrom(numpy_helper.from_array((w * (k[:, None] if rows else k)).astype(np.float32), gemm.input[1]))
        const[gemm.input[2]].CopyFrom(numpy_helper.from_array(((b - mean) * k + beta).astype(np.float32), gemm.input[2]))
        gemm.output[0] = bn.output[0]
        m.graph.node.remove(bn)


def simplify(source, path):
    """Batch 1, constants and batch norms folded: ONNX Runtime's own basic optimizations, so that every peer gets the same nodes."""
    import onnxruntime as ort
    m = onnx.load(source)
    for v in list(m.graph.input) + list(m.graph.output):
        if v.type.tensor_type.shape.dim:
            v.type.tensor_type.shape.dim[0].dim_value = 1
    fold_dense(m)
    fixed = path + ".fixed"
    onnx.save(m, fixed)
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    so.optimized_model_filepath = path
    so.log_severity_level = 3
    ort.InferenceSession(fixed, so, providers=["CPUExecutionProvider"])
    os.remove(fixed)
    m = onnx.load(path)
    keep = [o for o in m.opset_import if o.domain in ("", "ai.onnx")]
    del m.opset_import[:]
    m.opset_import.extend(keep)
    onnx.save(onnx.shape_inference.infer_shapes(m), path)


def prepare(name, folder, shared):
    """Writes FOLDER/{net.onnx, cal.npy, x.npy}; returns False when the shared folder is needed and absent."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "net.onnx")
    if all(os.path.exists(os.path.join(folder, f)) and os.path.getmtime(os.path.join(folder, f)) > os.path.getmtime(__file__)
           for f in ("net.onnx", "cal.npy", "x.npy")):
        return True
    if name in SHARED:
        model, cal, test = SHARED[name]
        if not os.path.isdir(os.path.join(shared, "models")):
            return False
        simplify(os.path.join(shared, "models", model + ".onnx"), path)
        load = lambda f, n: np.load(os.path.join(shared, "data", f + ".npy"))[:n].astype(np.float32)
        cal, x = load(cal, 200), load(test, SAMPLES)
    else:
        if name in LAYERS:
            layer(path, LAYERS[name])
        elif name == "tiny":
            b = Builder(5, [1, 1])
            b.save(b.node("Relu", ["x"]), path)
        else:
            {"mobilenetv1": mobilenet_v1, "resnet18": resnet18}[name](path)
        shape = [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim][1:]
        r = np.random.default_rng(4)
        large = name in ("mobilenetv1", "resnet18")  # reference kernels take a second for each
        cal, x = (r.normal(0, 1, [k, *shape]).astype(np.float32) for k in ((8, 4) if large else (CALIBRATION, SAMPLES)))
    np.save(os.path.join(folder, "cal.npy"), cal)
    np.save(os.path.join(folder, "x.npy"), x)
    return True


def samples(name, shared):
    """Files of a trained net's test samples and labels (None where there are none), or None."""
    at = lambda f: os.path.join(shared, "data", f + ".npy") if f else None
    return (at(SHARED[name][2]), at(LABELS.get(name))) if name in SHARED else None


def macs(path):
    m = onnx.shape_inference.infer_shapes(onnx.load(path))
    shape = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*m.graph.value_info, *m.graph.output, *m.graph.input]}
    weights = {i.name: list(i.dims) for i in m.graph.initializer}
    total = 0
    for n in m.graph.node:
        if n.op_type == "Conv":
            total += int(np.prod(shape[n.output[0]][2:])) * int(np.prod(weights[n.input[1]]))
        elif n.op_type in ("Gemm", "MatMul"):
            total += int(np.prod(weights[n.input[1]]))
    return total
