"""`octavo check` counts the codes that can change when a model is compiled with another rounding than its source has. Here the counts are
made again by running both: a product whose sums take every value of a range, and additions and products of all pairs of codes."""
from common import *

need_oracles(__file__)

import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

os.makedirs(out, exist_ok=True)
os.chdir(out)
failures = []


def save(path, op, inputs, init, scale):
    """QDQ: op of the dequantized inputs (name: scale) and constants (name: codes, scale), its result quantized by `scale`."""
    nodes, tensors, names = [], [], []
    add = lambda name, v: tensors.append(numpy_helper.from_array(np.asarray(v), name))
    for name, s in inputs.items():
        add(name + "_s", np.float32(s))
        nodes.append(helper.make_node("DequantizeLinear", [name, name + "_s"], [name + "_f"]))
        names.append(name + "_f")
    for name, (codes, s) in init.items():
        add(name, codes), add(name + "_s", np.float32(s))
        nodes.append(helper.make_node("DequantizeLinear", [name, name + "_s"], [name + "_f"]))
        names.append(name + "_f")
    add("y_s", np.float32(scale)), add("y_z", np.int8(0))
    nodes += [helper.make_node(op, names, ["y_f"]), helper.make_node("QuantizeLinear", ["y_f", "y_s", "y_z"], ["y"])]
    width = 2 if init else 1
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, TensorProto.INT8, ["N", width]) for n in inputs],
                              [helper.make_empty_tensor_value_info("y")], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def codes(path, profile, **inputs):
    run("opt", path, "--profile", profile, "-o", "m.8vo")
    for name, v in inputs.items():
        np.save(name + ".npy", v)
    run("run", "m.8vo", *[a for n in inputs for a in ("--input", f"{n}={n}.npy")], "-o", "y.npy")
    return np.load("y.npy").astype(int).ravel()


def compare(what, path, profile, of, total, differ, most):
    said = run("check", path, "--profile", profile)
    m = re.search(r"by at most (\d+), for (\d+) of (\d+) " + of, said)
    got = (int(m[2]), int(m[3]), int(m[1])) if m else (0, total, 0)
    print(f"{what} {profile}: {differ} of {total} {of} give other codes, by at most {most}")
    if got != (differ, total, most):
        failures.append(f"{what} under {profile}: check says {got}, running both {(differ, total, most)}")
    j = json.loads(run("check", path, "--profile", profile, "--json"))["rounding"]
    if sum(l["points_differ"] for l in j) != differ:
        failures.append(f"{what} under {profile}: --json says {j}")


a, b = (v.ravel().astype(np.int8) for v in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij"))
sums = a.astype(int) + 100 * b.astype(int)  # takes every integer from end to end
assert np.array_equal(np.unique(sums), np.arange(sums.min(), sums.max() + 1))
pairs = np.stack([a, b], 1)
first = np.unique(sums, return_index=True)[1]
seen = set()
for s in 0.5, 0.01, 0.0123:
    save("dense.onnx", "MatMul", {"x": 1.0}, {"w": (np.array([[1], [100]], np.int8), s)}, 1.0)
    golden = codes("dense.onnx", "onnx", x=pairs)
    for profile in "q31", "tflm", "onnx":
        d = np.abs(codes("dense.onnx", profile, x=pairs) - golden)
        compare(f"dense {s}", "dense.onnx", profile, "accumulators", len(first), int((d[first] > 0).sum()), int(d.max()))
        seen.add(bool(d.any()))
for op, s in ("Add", 0.4), ("Mul", 40.0), ("Sub", 0.5):
    save("pair.onnx", op, {"a": 0.25, "b": 0.3}, {}, s)
    golden = codes("pair.onnx", "onnx", a=a[:, None], b=b[:, None])
    for profile in "q31", "tflm":
        d = np.abs(codes("pair.onnx", profile, a=a[:, None], b=b[:, None]) - golden)
        compare(op, "pair.onnx", profile, "pairs of codes", d.size, int((d > 0).sum()), int(d.max()))
        seen.add(bool(d.any()))
if seen != {True, False}:
    failures.append("the cases do not have both, codes that differ and none")
if failures:
    sys.exit("\n".join(failures))
