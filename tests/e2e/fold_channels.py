#!/usr/bin/env python3
"""Constant channels of real models: half of the person detector's multiplications go, and every output code stays. Without the pass
(option fold_channels=off) and with it, on all test inputs, for the official int8 file and for the float model's own quantization."""
import os
from common import *


def main():
    need_shared()
    t = Tally()
    vww, calibration = "vww_mobilenetv1_025_96", data("vww_cal_f32")
    for label, source, flags in (("official int8", model(vww + "_int8_qdq"), []), ("own int8", model(vww), ["--data", calibration]),
                                 ("own int8, resnet20", model("resnet20_cifar10"), ["--data", data("resnet20_cal_f32")])):
        d = folder(label.replace(" ", "_"))
        test = data("resnet20_test1000_f32" if "resnet20" in label else "vww_test_f32")
        macs, outputs, proofs = [], [], []
        for fold in ("on", "off"):
            text, q, y = (os.path.join(d, f"{fold}.{x}") for x in ("in.8vo", "8vo", "npy"))
            run("import", source, "-o", text)
            lines = open(text).read().split("\n")
            lines.insert(2, f"option fold_channels={fold}")
            with open(text, "w") as f:
                f.write("\n".join(lines))
            run("quantize", text, *flags, "-o", q)
            run("run", q, "--input", test, "-o", y)
            macs.append(run_json("inspect", q)["macs"])
            run("compile", q, "-o", os.path.join(d, fold))
            proofs.append(json.loads(read(os.path.join(d, fold + ".json")))["proofs"]["constant_channel"])
            outputs.append(read(y))
        print(f"{label}: {macs[1]} MACs, {macs[0]} with constant channels taken out; channels {proofs[0]}", flush=True)
        t.check(proofs[0]["accepted"] > 0 and proofs[1]["accepted"] == 0, f"{label}: the report counts {proofs}")
        t.check(outputs[0] == outputs[1], f"{label}: outputs differ")
        t.check(macs[0] < macs[1], f"{label}: nothing was taken out")
        if "resnet20" not in label:
            t.check(macs[0] < 0.53 * macs[1], f"{label}: only {macs[1] - macs[0]} of {macs[1]} MACs were taken out")
    t.close()


main()
