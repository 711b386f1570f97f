"""TFLite files give LiteRT's codes, all of them, by the interpreter and by compiled C: the reference kernels' with profile tflite_ref
(the default), XNNPACK's with tflite_xnn. Inputs are quantized and laid out as TFLite wants them; recorded outputs are in the shared
data."""
from common import *

need_shared()
need_oracles(__file__)

import re

import numpy as np

failures = []

os.makedirs(out, exist_ok=True)
os.chdir(out)
for model, data in {**LITERT_MODELS, "mobilenet_v2_int8": "imagenet3_224_f32"}.items():
    for kernels in "ref", "xnn":
        path = os.path.join(shared, "models", model + ".tflite")
        run("import", path, "--profile", "tflite_" + kernels, "-o", "m.8vo")
        text = open("m.8vo").read()
        shape, scale, zero = re.search(r"^input .*: i8\[([^\]]*)\] scale=(\S+) zero=(\S+)", text, re.M).groups()
        x = np.load(os.path.join(shared, "data", data + ".npy"))
        codes = np.clip(np.rint(x / np.float32(scale)) + int(zero), -128, 127).astype(np.int8)
        if codes.ndim == 4 and shape.split(",")[1] != "3":
            codes = codes.transpose(0, 2, 3, 1)
        np.save("x.npy", np.ascontiguousarray(codes))
        golden = np.load(os.path.join(shared, "data", "golden", f"{model}_{kernels}.npy"))
        for engine in "interp", "c":
            run("run", "m.8vo", "--engine", engine, "--input", "x.npy", "-o", "y.npy")
            y = np.load("y.npy").reshape(golden.shape)
            differ = int((y != golden).sum())
            print(f"{model} {kernels} {engine}: {differ} of {golden.size} codes differ")
            if differ or y.dtype != np.int8:
                failures.append(f"{model} {kernels} {engine}: {differ} codes differ")
        if re.search(r" = (quantize|dequantize|observe)\(", text):
            failures.append(f"{model}: float ops in an integer model")
if failures:
    sys.exit("\n".join(failures))
