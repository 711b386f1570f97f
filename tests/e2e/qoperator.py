"""ONNX Runtime's QOperator models: the trained one gives ONNX Runtime's codes, all of them, by the interpreter and by compiled C; and each
operator on random codes, whose codes may differ by one where ONNX Runtime's own kernels disagree among themselves (docs/numerics.md 8). The same of the trained
QDQ model, layer by layer."""
from common import *

need_shared()
need_oracles(__file__)

import collections
import re

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


def unsigned(path, to):
    """The same QDQ model with activations of uint8: all their codes and zero points 128 higher. ONNX Runtime's kernels for int8
    activations saturate sums of pairs where the processor has no VNNI; of uint8 it has exact ones."""
    m = onnx.load(path)
    constant = {i.name: i for i in m.graph.initializer}
    zeros = {n.input[2] for n in m.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear") and n.input[0] not in constant}
    for name in zeros:
        constant[name].CopyFrom(numpy_helper.from_array((numpy_helper.to_array(constant[name]).astype(int) + 128).astype(np.uint8), name))
    onnx.save(m, to)
    return to


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

# The QDQ model layer by layer: ONNX Runtime makes QOperators of it, whose codes are made outputs. An average of the whole image is
# where they part: ONNX Runtime sums codes, Q/DQ means a sum of floats, and a mean of half a code falls to either side.
path, few = os.path.join(shared, "models", "ic_resnet8_ort_qdq.onnx"), x[:50]
np.save("few.npy", few)
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
options.optimized_model_filepath = "fused.onnx"
ort.InferenceSession(unsigned(path, "u8.onnx"), options, providers=["CPUExecutionProvider"])
fused = onnx.load("fused.onnx")
layers = {n.output[0]: n.op_type for n in fused.graph.node if n.op_type.startswith("QLinear")}
fused.graph.output.extend(onnx.ValueInfoProto(name=n) for n in layers)
onnx.save(fused, "layers.onnx")
options.graph_optimization_level, options.optimized_model_filepath = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ""
session = ort.InferenceSession("layers.onnx", options, providers=["CPUExecutionProvider"])
theirs = dict(zip(layers, session.run(list(layers), {"image": few})))
run("opt", path, "--profile", "onnx", "-o", "q.8vo")
text = re.sub(r"^output .*$", "", open("q.8vo").read(), flags=re.M)
name_of = {n: n.replace("_QuantizeLinear_Output", "") for n in layers}
names = {n: v for n, v in name_of.items() if re.search(rf"^{v} : ", text, re.M)}
open("layers.8vo", "w").write(text + "".join(f"output {v}\n" for v in names.values()))
if collections.Counter(layers[n] for n in names) != {"QLinearConv": 9, "QLinearAdd": 3, "QLinearAveragePool": 1}:
    failures.append(f"ic qdq: not all layers are compared: {sorted(names)}")
for engine in "interp", "c":
    run("run", "layers.8vo", "--engine", engine, "--input", "few.npy", *[a for v in names.values() for a in ("-o", f"{v}=l_{v}.npy")])
    total = 0
    for n, v in names.items():
        codes, want = np.load(f"l_{v}.npy").astype(int) + 128, theirs[n].astype(int)
        differ = codes.reshape(want.shape) != want
        total += want.size
        if layers[n] != "QLinearAveragePool":
            if differ.any():
                failures.append(f"ic qdq by {engine}: {differ.sum()} codes of {v} differ")
            continue
        source = next(k.input[0] for k in fused.graph.node if k.output[0] == n)
        mean = theirs[source].astype(np.int64).mean((2, 3), keepdims=True)
        print(f"ic qdq {engine}: of {total} codes of {len(names)} layers {differ.sum()} differ from ONNX Runtime's, all averages of half a code")
        if (mean[differ] % 1 != 0.5).any() or np.abs(codes.reshape(want.shape) - want).max() > 1:
            failures.append(f"ic qdq by {engine}: averages differ elsewhere than in the middle between two codes")
options = ort.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.x64quantprecision", "1")

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
