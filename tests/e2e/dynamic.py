"""Ranges at run time end to end, against ONNX Runtime and between executors, all from seeded networks:
  codes    DynamicQuantizeLinear's codes, scale and zero point are ONNX Runtime's, bit for bit
  written  what onnxruntime.quantization.quantize_dynamic writes for products, convolutions, an LSTM and an embedding imports, becomes
           dynamic ops, and gives ONNX Runtime's floats within BOUND of their range
  speech   a recurrent keyword network on real features: --dynamic agrees with float
  dtln     two LSTMs of 128 with their states in and out, and a mask: as ONNX Runtime in float within 1e-5; --dynamic
and for each of them: interpreter == C == LLVM, every bit. The convolution takes a batch of 3 in one call, which has one range."""
from common import *

need_oracles(__file__)

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

os.makedirs(out, exist_ok=True)
os.chdir(out)
t = Tally()
rng = np.random.default_rng(7)
ENGINES = {"interp": [], "c": ["--engine", "c"], "jit": ["--engine", "jit"]}


def weight(*shape, scale=1.0):
    return (rng.normal(size=shape) * scale / np.sqrt(shape[-1])).astype(np.float32)


def build(name, nodes, inputs, outputs, constants):
    g = helper.make_graph(nodes, name, [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
                          [helper.make_tensor_value_info(n, t, None) for n, t in outputs],
                          [numpy_helper.from_array(v, n) for n, v in constants.items()])
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    m.ir_version = 9
    onnx.save(m, name + ".onnx")
    return name + ".onnx"


def oracle(path, feeds, **kw):
    so = ort.SessionOptions()
    so.intra_op_num_threads = 1
    so.add_session_config_entry("session.x64quantprecision", "1")  # its default kernels add products in saturating 16 bits: an LSTM of int8 is then wrong by 5 %
    return ort.InferenceSession(path, so, providers=["CPUExecutionProvider"]).run(None, feeds)


def names(path):
    text = open(path).read().splitlines()
    return [l.split()[1] for l in text if l.startswith("input ")], [l.split()[1] for l in text if l.startswith("output ")]


def outputs_of(path, feeds, label, engine, *options):
    ins, outs = names(path)
    args = []
    for n in ins:
        np.save(f"{label}.{n}.npy", feeds[n])
        args += ["--input", f"{n}={label}.{n}.npy"]
    for o in outs:
        args += ["-o", f"{o}={label}.{o}.{engine}.npy"]
    run("run", path, *args, *ENGINES[engine], *options)
    return [np.load(f"{label}.{o}.{engine}.npy") for o in outs]


def same_everywhere(path, feeds, label, *options):
    want = outputs_of(path, feeds, label, "interp")
    for e in ("c", "jit"):
        got = outputs_of(path, feeds, label, e, *options)
        t.check(all(a.tobytes() == b.tobytes() for a, b in zip(want, got)), f"{label}: {e} gives other bits than the interpreter")
    return want


def codes():
    m = build("dql", [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])], [("x", TensorProto.FLOAT, [3, 50])],
              [("y", TensorProto.UINT8), ("s", TensorProto.FLOAT), ("z", TensorProto.UINT8)], {})
    run("import", m, "-o", "dql.8vo")
    for k, x in enumerate([rng.normal(size=(3, 50)), rng.uniform(1, 5, size=(3, 50)), -rng.exponential(size=(3, 50)), np.zeros((3, 50)),
                           rng.normal(size=(3, 50)) * 1e30, rng.integers(-3, 4, size=(3, 50)) / 2]):
        x = x.astype(np.float32)
        got, want = same_everywhere("dql.8vo", {"x": x}, f"dql{k}"), oracle(m, {"x": x})
        t.check(all(np.array_equal(g.reshape(w.shape), w) for g, w in zip(got, want)), f"DynamicQuantizeLinear {k}: not ONNX Runtime's")


def written():
    N = helper.make_node
    nodes = [N("Gather", ["table", "ids"], ["e"]), N("Transpose", ["e"], ["et"], perm=[1, 0, 2]),
             N("LSTM", ["et", "w", "r", "b"], ["ys", "yh", ""], hidden_size=24, direction="bidirectional"),
             N("Transpose", ["yh"], ["yt"], perm=[1, 0, 2]), N("Reshape", ["yt", "shape"], ["flat"]),
             N("MatMul", ["flat", "m"], ["mm"]), N("Add", ["mm", "mb"], ["ma"]), N("Relu", ["ma"], ["h"]),
             N("Gemm", ["h", "g", "gb"], ["y"], transB=1)]
    c = dict(table=weight(30, 16), w=weight(2, 96, 16), r=weight(2, 96, 24), b=weight(2, 192), shape=np.array([1, 48]), m=weight(48, 20),
             mb=weight(20), g=weight(7, 20), gb=weight(7))
    m = build("nlp", nodes, [("ids", TensorProto.INT64, [1, 12])], [("y", TensorProto.FLOAT)], c)
    quantize_dynamic(m, "nlp_q.onnx", weight_type=QuantType.QInt8, per_channel=False)
    quantize_dynamic(m, "nlp_f.onnx", weight_type=QuantType.QUInt8, op_types_to_quantize=["MatMul", "Gather"])
    conv = build("conv", [N("Conv", ["x", "k", "kb"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]), N("Relu", ["c1"], ["r1"]),
                          N("MatMul", ["r1", "m"], ["y"])], [("x", TensorProto.FLOAT, [3, 3, 12, 10])], [("y", TensorProto.FLOAT)],
                 dict(k=weight(9, 3, 3, 3), kb=weight(9), m=weight(5, 6)))
    quantize_dynamic(conv, "conv_q.onnx", weight_type=QuantType.QUInt8, per_channel=False)
    for name, feeds in (("nlp_q", {"ids": rng.integers(0, 30, size=(1, 12))}), ("nlp_f", {"ids": rng.integers(0, 30, size=(1, 12))}),
                        ("conv_q", {"x": rng.normal(size=(3, 3, 12, 10)).astype(np.float32)})):
        run("opt", name + ".onnx", "--quantize", "off", "--io", "float", "-o", name + ".8vo")
        text = open(name + ".8vo").read()
        got, want = same_everywhere(name + ".8vo", feeds, name, "--strict-float")[0], oracle(name + ".onnx", feeds)[0]
        error = np.abs(got.reshape(want.shape) - want).max() / np.abs(want).max()
        print(f"{name}: {text.count(' dynamic')} dynamic ops, {text.count('dynamic_quantize')} left apart, error {error:.2g} of the range")
        t.check(" dynamic" in text and "dynamic_quantize" not in text, f"{name}: the pattern was not found everywhere")
        t.check(error < BOUND, f"{name}: {error:.3g} of the range away from ONNX Runtime")


BOUND = 2e-6  # a few roundings, in the recurrence alone: products, convolutions and tables are equal


def speech():
    need_shared()
    x = np.load(data("kws_test_f32"))[:64]
    x = np.ascontiguousarray(x.reshape(len(x), 49, 10).astype(np.float32))
    N = helper.make_node
    nodes = [N("Transpose", ["x"], ["xt"], perm=[1, 0, 2]), N("GRU", ["xt", "w", "r", "b"], ["ys", "yh"], hidden_size=48, linear_before_reset=1),
             N("Squeeze", ["yh", "zero"], ["h"]), N("Gemm", ["h", "g", "gb"], ["y"], transB=1)]
    scale = 1 / x.std()
    m = build("kws", nodes, [("x", TensorProto.FLOAT, ["N", 49, 10])], [("y", TensorProto.FLOAT)],
              dict(w=weight(1, 144, 10, scale=scale), r=weight(1, 144, 48), b=weight(1, 288), zero=np.array([0]), g=weight(12, 48, scale=3), gb=weight(12)))
    run("import", m, "-o", "kws.8vo")
    run("quantize", "kws.8vo", "--dynamic", "-o", "kws_q.8vo")
    real, got = outputs_of("kws.8vo", {"x": x}, "kws", "interp")[0], same_everywhere("kws_q.8vo", {"x": x}, "kws_q")[0]
    want = oracle(m, {"x": x})[0]
    t.check(np.abs(real - want).max() < 1e-5, f"GRU in float: {np.abs(real - want).max():.3g} away from ONNX Runtime")
    agreement, sqnr = (real.argmax(1) == got.argmax(1)).mean(), 10 * np.log10((real**2).sum() / ((real - got)**2).sum())
    print(f"speech: {agreement:.4f} agreement of dynamic int8 with float, SQNR {sqnr:.1f} dB")
    t.check(agreement >= 0.9 and sqnr > 25, f"speech: agreement {agreement}, SQNR {sqnr} dB")


def dtln():
    """As DTLN's first half: magnitudes of a frame, states in and out, a mask."""
    N, H = helper.make_node, 128
    nodes, c = [], {}
    last = "x"
    for i in (1, 2):
        c |= {f"w{i}": weight(1, 4 * H, 257 if i == 1 else H), f"r{i}": weight(1, 4 * H, H), f"b{i}": weight(1, 8 * H)}
        nodes += [N("LSTM", [last, f"w{i}", f"r{i}", f"b{i}", "", f"h{i}", f"c{i}"], [f"y{i}", f"h{i}o", f"c{i}o"], hidden_size=H),
                  N("Squeeze", [f"y{i}", "one"], [f"s{i}"])]
        last = f"s{i}"
    c |= dict(one=np.array([1]), m=weight(H, 257, scale=2), mb=weight(257))
    nodes += [N("MatMul", ["s2", "m"], ["mm"]), N("Add", ["mm", "mb"], ["ma"]), N("Sigmoid", ["ma"], ["mask"])]
    f = TensorProto.FLOAT
    m = build("dtln", nodes, [("x", f, [4, 1, 257])] + [(n, f, [1, 1, H]) for n in ("h1", "c1", "h2", "c2")],
              [(n, f) for n in ("mask", "h1o", "c1o", "h2o", "c2o")], c)
    feeds = {"x": np.abs(rng.normal(size=(4, 1, 257))).astype(np.float32)} | {n: weight(1, 1, H, scale=3) for n in ("h1", "c1", "h2", "c2")}
    run("import", m, "-o", "dtln.8vo")
    run("quantize", "dtln.8vo", "--dynamic", "-o", "dtln_q.8vo")
    real, want = outputs_of("dtln.8vo", feeds, "dtln", "interp"), oracle(m, feeds)
    for g, w, n in zip(real, want, names("dtln.8vo")[1]):
        t.check(np.abs(g.reshape(w.shape) - w).max() < 1e-5, f"dtln {n}: {np.abs(g.reshape(w.shape) - w).max():.3g} away from ONNX Runtime")
    got = same_everywhere("dtln_q.8vo", feeds, "dtln_q")
    sqnr = 10 * np.log10((real[0]**2).sum() / ((real[0] - got[0])**2).sum())
    print(f"dtln: SQNR of the mask under --dynamic {sqnr:.1f} dB")
    t.check(sqnr > 25, f"dtln: SQNR {sqnr} dB")
    run("compile", "dtln_q.8vo", "--no-float", "-o", "refused", expect=69)


codes()
written()
speech()
dtln()
t.close()
