"""The official int8 models give LiteRT's codes, all of them: its reference kernels' with the rounding that TFLite uses (tflm; dense
layers q31), XNNPACK's with onnx (average pools round as TFLite does). Recorded outputs are in the shared data; the profiles are
edited into the text of the model, as a user would."""
from common import *

need_shared()
need_oracles(__file__)

import re

import numpy as np

MODELS = {
    "kws_dscnn_int8": "kws_test_f32",
    "ic_resnet8_int8": "ic_test1000_f32",
    "vww_mobilenetv1_025_96_int8": "vww_test_f32",
    "ad_autoencoder_int8": "ad_test_f32",
}
# Kernels: the profile of the model, and the ops that have another.
KERNELS = {"ref": ("tflm", {"dense": "q31"}), "xnn": ("onnx", {"avg_pool2d": "tflm"})}
failures = []


os.makedirs(out, exist_ok=True)
os.chdir(out)
for model, data in MODELS.items():
    run("import", os.path.join(shared, "models", model + "_qdq.onnx"), "-o", "m.8vo")
    imported = open("m.8vo").read()
    for kernels, (profile, others) in KERNELS.items():
        with open("m.8vo", "w") as f:
            f.write(re.sub(r"^weights", f"option profile={profile}\nweights", imported, count=1, flags=re.M))
        run("opt", "m.8vo", "-o", "q.8vo")
        text = open("q.8vo").read()
        for op, other in others.items():
            text = re.sub(rf"( = {op}\(.*)profile={profile}", rf"\1profile={other}", text)
        left = re.findall(r" = (quantize|dequantize|observe)\(", text)
        with open("q.8vo", "w") as f:
            f.write(text)
        run("run", "q.8vo", "--input", os.path.join(shared, "data", data + ".npy"), "-o", "y.npy")
        golden = np.load(os.path.join(shared, "data", "golden", f"{model}_{kernels}.npy"))
        y = np.load("y.npy").reshape(golden.shape)
        equal = int((y == golden).sum())
        print(f"{model} {kernels}: {equal} of {golden.size} codes equal")
        if equal != golden.size or y.dtype != np.int8 or left:
            failures.append(f"{model} {kernels}: {golden.size - equal} codes differ, float ops left: {left}")
if failures:
    sys.exit("\n".join(failures))
