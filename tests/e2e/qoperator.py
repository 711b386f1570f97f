"""ONNX Runtime's QOperator models: the trained one gives ONNX Runtime's codes, all of them, by the interpreter and by compiled C; and each
operator on random codes, whose codes may differ by one where ONNX Runtime's own kernels disagree among themselves (docs/numerics.md 8)."""
from common import *

need_shared()
need_oracles(__file__)

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

failures = []
os.makedirs(out, exist_ok=True)
os.chdir(out)
options = ort.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.x64quantprecision", "1")  # sums that do not saturate


def by_ort(path, feeds):
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


path = os.path.join(shared, "models", "ic_resnet8_ort_qoperator.onnx")
data = os.path.join(shared, "data", "ic_test1000_f32.npy")
constant = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
x = np.load(data)
probs = np.concatenate([by_ort(path, {"image": x[i:i + 100]}) for i in range(0, len(x), 100)])
golden = np.rint(probs / constant["probs_scale"]) + constant["probs_zero_point"]
run("import", path, "-o", "m.8vo")
for engine in "interp", "c":
    run("opt", "m.8vo", "-o", "q.8vo")
    run("run", "q.8vo", "--engine", engine, "--input", data, "-o", "y.npy")
    y = np.load("y.npy").reshape(golden.shape)
    differ = int((y != golden).sum())
    print(f"ic {engine}: {differ} of {golden.size} codes differ from ONNX Runtime's")
    if differ:
        failures.append(f"ic by {engine}: {differ} codes differ")

rng = np.random.default_rng(7)
S, U8, I8 = np.float32, np.uint8, np.int8
CASES = {
    "QLinearMatMul": ("", [("b", rng.integers(-127, 128, (6, 5)).astype(I8), S(0.02), I8(0))], (4, 6), {}, 0.2, 120),
    "QLinearAdd": ("com.microsoft", [("b", rng.integers(0, 256, (4, 6)).astype(U8), S(0.02), U8(99))], (4, 6), {}, 0.06, 90),
    "QLinearMul": ("com.microsoft", [("b", rng.integers(0, 256, (4, 6)).astype(U8), S(0.02), U8(99))], (4, 6), {}, 0.06, 90),
    "QLinearGlobalAveragePool": ("com.microsoft", [], (2, 3, 5, 5), {"channels_last": 0}, 0.02, 128),
    "QLinearAveragePool": ("com.microsoft", [], (2, 3, 6, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}, 0.04, 128),
    "QLinearSigmoid": ("com.microsoft", [], (4, 6), {}, 1 / 256, 0),
    "QLinearLeakyRelu": ("com.microsoft", [], (4, 6), {"alpha": 0.1}, 0.04, 60),
    "QLinearSoftmax": ("com.microsoft", [], (4, 6), {"axis": 1, "opset": 17}, 1 / 256, 0),
    "QLinearConcat": ("com.microsoft", [("b", rng.integers(0, 256, (4, 2)).astype(U8), S(0.02), U8(99))], (4, 6), {"axis": 1}, 0.03, 128),
}
for op, (domain, others, shape, attributes, scale, zero) in CASES.items():
    init, names = [], ["q", "xs", "xz"]
    add = lambda name, v: init.append(numpy_helper.from_array(np.asarray(v), name))
    add("xs", S(0.03)), add("xz", U8(110)), add("ys", S(scale)), add("yz", U8(zero))
    for name, v, s, z in others:
        add(name, v), add(name + "s", s), add(name + "z", z)
        names += [name, name + "s", name + "z"]
    names = ["ys", "yz", *names] if op == "QLinearConcat" else [*names, "ys", "yz"]
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), helper.make_node(op, names, ["r"], domain=domain, **attributes),
             helper.make_node("DequantizeLinear", ["r", "ys", "yz"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [helper.make_empty_tensor_value_info("y")], init)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8), "op.onnx")
    x = (rng.integers(0, 256, shape).astype(np.float32) - 110) * S(0.03)
    np.save("x.npy", x)
    golden = np.rint(by_ort("op.onnx", {"x": x}) / S(scale)) + zero
    run("opt", "op.onnx", "-o", "q.8vo")
    text = open("q.8vo").read()
    run("run", "q.8vo", "--input", "x.npy", "-o", "y.npy")
    run("run", "q.8vo", "--engine", "c", "--input", "x.npy", "-o", "c.npy")
    y = np.load("y.npy").reshape(golden.shape).astype(int)
    most, differ = int(np.abs(y - golden).max()), int((y != golden).sum())
    print(f"{op}: {differ} of {golden.size} codes differ, by at most {most}")
    if most > 1 or not np.array_equal(np.load("y.npy"), np.load("c.npy")) or "quantize(" in text:
        failures.append(f"{op}: codes {most} apart, or compiled C differs, or floats are left")
if failures:
    sys.exit("\n".join(failures))
