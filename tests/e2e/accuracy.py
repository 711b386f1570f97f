#!/usr/bin/env python3
"""What quantization costs on the shared networks: top-1 of float and int8, agreement, SQNR of the output, against the limits that
the project set itself. Everything runs through octavo alone (interpreter)."""
import os
from common import *

# model: (top-1 may fall by, agreement at least) or (SQNR of the output in dB at least)
CLASSIFIERS = {"ic_resnet8": (0.5, 96.5), "resnet20_cifar10": (0.5, 98.0), "kws_dscnn": (1.0, 99.0), "kws_dscnn_folded": (1.0, 99.0)}
SQNR = {"vww_mobilenetv1_025_96": 26.9, "ad_autoencoder": 30.8, "sww_streaming": 33.7}


def main():
    need_shared()
    t = Tally()
    print(f"{'model':24} {'float':>7} {'int8':>7} {'agree':>7}  output SQNR")
    for name, (cal, test, labels) in FLOAT_MODELS.items():
        d = folder(name)
        flt, q = os.path.join(d, "f.8vo"), os.path.join(d, "q.8vo")
        run("import", model(name), "-o", flt)
        run("quantize", flt, "--data", data(cal), "-o", q)
        tensors = {x["name"]: x for x in run_json("compare", flt, q, "--data", data(test))["tensors"]}
        outputs = [line.split()[-1] for line in open(q) if line.startswith("output ")]
        db = min(tensors[o]["sqnr_db"] for o in outputs)
        if labels:
            e = run_json("eval", q, "--data", data(test), "--labels", data(labels), "--against", flt)
            top, ftop, agree = (100 * e[k] for k in ("top1", "float_top1", "agreement"))
            print(f"{name:24} {ftop:7.2f} {top:7.2f} {agree:7.2f}  {db:.1f} dB", flush=True)
            drop, least = CLASSIFIERS[name]
            t.check(top >= ftop - drop - 1e-9, f"{name}: int8 top-1 {top:.2f} is more than {drop} below float {ftop:.2f}")
            t.check(agree >= least - 1e-9, f"{name}: agreement {agree:.2f} is below {least}")
        else:
            print(f"{name:24} {'':23}  {db:.1f} dB", flush=True)
            t.check(db >= SQNR[name], f"{name}: output SQNR {db:.2f} dB is below {SQNR[name]}")
    t.close()


main()
