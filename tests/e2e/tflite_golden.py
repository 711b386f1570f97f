"""The official int8 models give LiteRT's codes, all of them: its reference kernels' with the rounding that TFLite uses (tflm; dense
layers q31), XNNPACK's with onnx (average pools round as TFLite does): profiles tflite_ref and tflite_xnn. Recorded outputs are in
the shared data."""
from common import *

need_shared()
need_oracles(__file__)

import re

import numpy as np

failures = []


os.makedirs(out, exist_ok=True)
os.chdir(out)
for model, data in LITERT_MODELS.items():
    run("import", os.path.join(shared, "models", model + "_qdq.onnx"), "-o", "m.8vo")
    for kernels in "ref", "xnn":
        run("opt", "m.8vo", "--profile", "tflite_" + kernels, "-o", "q.8vo")
        left = re.findall(r" = (quantize|dequantize|observe)\(", open("q.8vo").read())
        run("run", "q.8vo", "--input", os.path.join(shared, "data", data + ".npy"), "-o", "y.npy")
        golden = np.load(os.path.join(shared, "data", "golden", f"{model}_{kernels}.npy"))
        y = np.load("y.npy").reshape(golden.shape)
        equal = int((y == golden).sum())
        print(f"{model} {kernels}: {equal} of {golden.size} codes equal")
        if equal != golden.size or y.dtype != np.int8 or left:
            failures.append(f"{model} {kernels}: {golden.size - equal} codes differ, float ops left: {left}")
if failures:
    sys.exit("\n".join(failures))
