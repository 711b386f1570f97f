"""Every float model of the shared set: it imports, its shape arithmetic is gone, and the float interpreter's outputs equal ONNX
Runtime's to 1e-4 of the outputs' range on all test data. The int8 models, too, compute what ONNX Runtime computes for them without
optimization, but for codes at the edge between two roundings. Needs the venv of scripts/setup.sh --oracles."""
from common import *

need_shared()
need_oracles(__file__)

import re
from collections import Counter

import numpy as np
import onnxruntime

# Model, test data, and the operators that must be left: nothing else, and so many of each.
FLOAT = {
    "ic_resnet8": ("ic_test1000_f32", "conv2d 9 batchnorm 7 relu 7 add 3 avg_pool2d 1 flatten 1 dense 1 softmax 1"),
    "kws_dscnn": ("kws_test_f32", "conv2d 9 batchnorm 9 relu 9 avg_pool2d 1 flatten 1 dense 1 softmax 1"),
    "kws_dscnn_folded": ("kws_test_f32", "conv2d 9 relu 9 avg_pool2d 1 flatten 1 dense 1 softmax 1"),
    "vww_mobilenetv1_025_96": ("vww_test_f32", "conv2d 27 batchnorm 27 relu 27 avg_pool2d 1 flatten 1 dense 1 softmax 1"),
    "ad_autoencoder": ("ad_test_f32", "dense 10 batchnorm 9 relu 9"),
    "sww_streaming": ("sww_test_f32", "conv2d 8 batchnorm 4 relu 4 flatten 1 dense 1 softmax 1"),
    # 71 nodes of Shape, Gather, Constant, Cast... around four Slice, two Pad and one Reshape
    "resnet20_cifar10": ("resnet20_test1000_f32", "conv2d 19 batchnorm 19 relu 19 add 9 slice 4 pad 2 mean 1 reshape 1 dense 1"),
}
INT8 = {
    "ic_resnet8_int8_qdq": "ic_test1000_f32",
    "kws_dscnn_int8_qdq": "kws_test_f32",
    "vww_mobilenetv1_025_96_int8_qdq": "vww_test_f32",
    "ad_autoencoder_int8_qdq": "ad_test_f32",
    "ic_resnet8_ort_qdq": "ic_test1000_f32",
}
SAME_CODES, SAME_TOP = 0.94, 0.99
BOUND = 1e-4
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)
        print("FAIL", what)


def tried(*args):
    return subprocess.run([octavo, *args], capture_output=True, text=True)


def imported(name):
    onnx, text = f"{shared}/models/{name}.onnx", f"{out}/{name}.8vo"
    r = tried("import", onnx, "-o", text)
    check(r.returncode == 0, f"{name}: import exits {r.returncode}: {r.stderr[:500]}")
    return onnx, text


def operators(text):
    ops = Counter()
    for line in open(text):
        found = re.match(r"[A-Za-z_][\w.]* *(?::[^=]*(?:\w+=[^ ]+ )*)?= ([a-z_0-9]+)\(", line)
        if found:
            ops[found.group(1)] += 1
    return ops


os.makedirs(out, exist_ok=True)
for name, (data, expected) in FLOAT.items():
    onnx, text = imported(name)
    words = expected.split()
    want = Counter(dict(zip(words[::2], map(int, words[1::2]))))
    got = operators(text)
    check(got == want, f"{name}: operators {dict(got - want)} too many, {dict(want - got)} too few")

    x = np.load(f"{shared}/data/{data}.npy")
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    chunk = feed.shape[0] if isinstance(feed.shape[0], int) else len(x)
    theirs = np.concatenate([session.run(None, {feed.name: x[i : i + chunk]})[0] for i in range(0, len(x), chunk)])
    start = time.time()
    r = tried("run", text, "--input", f"{shared}/data/{data}.npy", "-o", f"{out}/{name}.npy")
    check(r.returncode == 0, f"{name}: run exits {r.returncode}: {r.stderr[:500]}")
    if r.returncode:
        continue
    ours = np.load(f"{out}/{name}.npy")
    check(ours.shape == theirs.shape, f"{name}: shapes {ours.shape} and {theirs.shape}")
    if ours.shape == theirs.shape:
        error, span = float(np.abs(ours - theirs).max()), float(theirs.max() - theirs.min())
        print(f"{name}: {len(x)} inputs, largest difference {error:.2e} of a range of {span:.4g} ({error / span:.1e}), {time.time() - start:.1f} s")
        check(np.isfinite(ours).all() and error <= BOUND * span, f"{name}: difference {error} exceeds {BOUND} of {span}")

emulated = onnxruntime.SessionOptions()
emulated.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
for name, data in INT8.items():
    onnx, text = imported(name)
    if not os.path.exists(text):
        continue
    ops = operators(text)
    check(ops["quantize"] > 0 and ops["dequantize"] > 0, f"{name}: no quantize or dequantize left")
    session = onnxruntime.InferenceSession(onnx, emulated, providers=["CPUExecutionProvider"])
    feed, x = session.get_inputs()[0], np.load(f"{shared}/data/{data}.npy")[:100]
    if feed.type == "tensor(int8)":
        declared = re.search(r"^input .* : i8.* scale=(\S+) zero=(\S+)", open(text).read(), re.M)
        scale, zero = np.float32(declared.group(1)), int(declared.group(2))
        x = np.clip(np.rint(x / scale) + zero, -128, 127).astype(np.int8)
    np.save(f"{out}/x.npy", x)
    theirs = session.run(None, {feed.name: x})[0]
    r = tried("run", text, "--input", f"{out}/x.npy", "-o", f"{out}/{name}.npy")
    check(r.returncode == 0, f"{name}: run exits {r.returncode}: {r.stderr[:500]}")
    if r.returncode == 0:
        ours = np.load(f"{out}/{name}.npy")
        same, top = (ours == theirs).mean(), (ours.argmax(1) == theirs.argmax(1)).mean()
        print(f"{name}: {len(x)} inputs, {100 * same:.1f} % of output codes the same, top-1 {100 * top:.1f} %")
        check(ours.dtype == theirs.dtype and same >= SAME_CODES and top >= SAME_TOP, f"{name}: outputs differ")

sys.exit(1 if failures else 0)
