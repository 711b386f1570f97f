#!/usr/bin/env python3
"""--preset onnxruntime against ONNX Runtime's own code: from the same ranges and weights, ONNX Runtime's functions make the same
scales, zero points and codes, bit for bit, on ic and kws, per tensor and per channel. (Ranges come from octavo's calibration: two
engines that add in another order find ranges that differ in their last bits.) The other presets: what they set."""
import os, re, struct, sys
from common import *

need_shared()
need_oracles(__file__)
import numpy as np
from onnx import TensorProto
from onnxruntime.quantization import quant_utils as ort

t = Tally()


def tensors(path):
    """name -> array of a safetensors file."""
    raw = read(path)
    n = struct.unpack("<Q", raw[:8])[0]
    kinds = {"F32": "<f4", "I8": "i1", "U8": "u1", "I32": "<i4"}
    return {k: np.frombuffer(raw[8 + n:], kinds[v["dtype"]], offset=v["data_offsets"][0], count=int(np.prod(v["shape"]))).reshape(v["shape"])
            for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__" and v["dtype"] in kinds}


def fixed(op):
    return op in ("softmax", "sigmoid", "hardsigmoid")  # octavo and TFLite give these 1/256, whatever the range


for net, cal in ("ic_resnet8", "ic_cal_f32"), ("kws_dscnn_folded", "kws_cal_f32"):
    for channel in False, True:
        d = folder("presets", f"{net}-{channel}")
        more = ["--granularity", "channel"] if channel else []
        base = ["opt", model(net), "--data", data(cal), "--preset", "onnxruntime", *more]
        run(*base, "--stop-after", "calibrate", "-o", f"{d}/cal.8vo")
        run(*base, "--stop-after", "insert_qdq", "-o", f"{d}/q.8vo")
        before, after, f, q = open(f"{d}/cal.8vo").read(), open(f"{d}/q.8vo").read(), tensors(f"{d}/cal.safetensors"), tensors(f"{d}/q.safetensors")
        ops = dict(re.findall(r"^([\w.]+) : .*? = (\w+)\(", before, re.M))
        seen = {"activations": 0, "weights": 0, "channels": 0}
        lo, hi = ort.get_qmin_qmax_for_qType(TensorProto.INT8)
        for value, least, most in re.findall(r" = observe\(([\w.]+)\).* range=\(([^,]+),([^)]+)\)", before):
            got = re.search(rf"^{re.escape(value)}\.q : i8\[.*?\] scale=(\S+) zero=(\S+) = quantize\({re.escape(value)}\)", after, re.M)
            if fixed(ops.get(value)) or not got:
                continue
            zero, scale = ort.compute_scale_zp(np.float32(least), np.float32(most), lo, hi, False)
            t.check((np.float32(got[1]), int(got[2])) == (np.float32(scale), int(zero)), f"{net}, {value}: {got[1]} {got[2]}, ONNX Runtime {scale} {zero}")
            seen["activations"] += 1
        for name in [k for k in f if f"{k}.q" in q and q[f"{k}.q"].dtype == np.int8 and f[k].ndim > 1]:
            w, codes = f[name], q[f"{name}.q"]
            text = re.search(rf"^const @{re.escape(name)}\.q : i8\[.*?\] scale(\[0\])?=(\S+)", after, re.M)
            scales = q[f"{name}.q:scale"] if text[2] == "file" else np.float32([float(x) for x in text[2].strip("()").split(",")])
            t.check(bool(text[1]) == channel, f"{net}, {name}: granularity")
            for c, part in enumerate(w if channel else [w]):
                zero, scale, theirs = ort.quantize_data(part.flatten(), TensorProto.INT8, True)
                ours = codes[c] if channel else codes
                t.check(np.float32(scale) == scales[c] and int(zero) == 0, f"{net}, {name}[{c}]: scale {scales[c]}, ONNX Runtime {scale}")
                t.check(np.array_equal(np.asarray(theirs).astype(np.int8), ours.flatten()), f"{net}, {name}[{c}]: codes")
                seen["channels"] += 1
            seen["weights"] += 1
        t.check(min(seen["activations"], seen["weights"]) >= 5, f"{net}: {seen}")
        print(net, "per channel" if channel else "per tensor", seen)

# ---- what the others set, on a small model
DIGITS = os.path.join(source, "examples", "digits", "digits")
d = folder("presets")
expect = {"tflite": ("i8", "tflm", True), "cmsis-nn": ("i8", "tflm", True), "fbgemm": ("u8", "onnx", True), "qnnpack": ("u8", "onnx", False)}
for name, (act, profile, channel) in expect.items():
    run("quantize", DIGITS + ".8vo", "--data", DIGITS + "_cal.npy", "--preset", name, "-o", f"{d}/q.8vo")
    text = open(f"{d}/q.8vo").read()
    conv = [line for line in text.split("\n") if " = conv2d(" in line]
    t.check(conv and all(f" : {act}[" in line and (profile == "onnx") == ("profile=onnx" in line) for line in conv), f"{name}: {conv[:1]}")
    t.check(("scale[0]" in text) == channel, f"{name}: granularity")
    t.check(name != "fbgemm" or all("127.0)" in line for line in conv), f"fbgemm: activations of 7 bits: {conv[:1]}")
run("import", DIGITS + ".8vo", "--preset", "tflite-xnn", "-o", f"{d}/i.8vo")
t.check("option profile=tflite_xnn" in open(f"{d}/i.8vo").read(), "import --preset tflite-xnn")
run("import", DIGITS + ".8vo", "--preset", "tensorrt", "-o", f"{d}/i.8vo", expect=64)
t.close()
