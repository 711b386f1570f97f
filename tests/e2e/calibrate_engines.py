#!/usr/bin/env python3
"""quantize --engine jit and c: calibration by compiled code leaves the interpreter's statistics, model and weights, byte for byte."""
from common import *


def main():
    need_shared()
    t = Tally()
    for name in ("kws_dscnn", "ad_autoencoder", "sww_streaming", "ic_resnet8"):
        made = {}
        for engine in ("interp", "jit", "c"):
            d = folder(name, engine)
            run("quantize", model(name), "--data", data(FLOAT_MODELS[name][0]), "--engine", engine, "--save-stats", os.path.join(d, "s.stats"), "-o", os.path.join(d, "q.8vo"))
            made[engine] = {f: read(os.path.join(d, f)) for f in sorted(os.listdir(d))}
        t.check(set(made["interp"]) == {"q.8vo", "q.safetensors", "s.stats"}, f"{name}: quantize wrote {sorted(made['interp'])}")
        for engine in ("jit", "c"):
            for f, bytes_ in made["interp"].items():
                t.check(made[engine].get(f) == bytes_, f"{name}: {f} by {engine} is not the interpreter's")
    t.close()


main()
