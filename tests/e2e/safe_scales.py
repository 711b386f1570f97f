#!/usr/bin/env python3
"""Rules saturation and act_range, options permute_channels and nudge_scales, on trained networks: what they promise holds for the compiler (every
layer over channels runs by sums of bytes, proved; without them none does), accuracy stays within limits, compiled objects give the
interpreter's codes, and dumps carry all of it: compiling on from each gives the same bytes."""
import os, re, shutil
from common import *

PAIR = ["--saturation", "pair", "--permute-channels", "on", "--nudge-scales", "on"]
QUADS = ["--act-range", "reduced", "--saturation", "pair4", "--permute-channels", "on", "--nudge-scales", "on"]


def compiled(args, prefix):
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    run("compile", *args, "--target", "x86-64-v3", "-o", prefix)
    return read(prefix + ".c") + read(prefix + ".h") + read(prefix + ".json")


def recipes(prefix):
    """Of the layers that vector kernels over channels build by direct sums."""
    return [l["recipe"] for l in json.load(open(prefix + ".json"))["layers"] if re.match("conv2d_vec|dense_vec|gemv_vec", l["kernel"])]


def bits_lost(said):
    return float(re.search(r"saturation: in all .* by ([\d.]+) bits", said)[1])


def quantized(t, name, variant, options, top1, agreement):
    """Quantizes, compiles, checks accuracy and codes; returns the prefix and what --explain said."""
    cal, test, labels = FLOAT_MODELS[name]
    d = folder("safe_scales", name)
    flt, q, prefix = (os.path.join(d, x) for x in ("f.8vo", variant + ".8vo", variant))
    run("import", model(name), "-o", flt)
    p = subprocess.run([octavo, "quantize", flt, "--data", data(cal), *options, "--explain", "-o", q], capture_output=True, text=True)
    t.check(p.returncode == 0, f"{name} {variant}: quantize exits {p.returncode}: {p.stderr[-500:]}")
    e = run_json("eval", q, "--data", data(test), "--labels", data(labels), "--against", flt)
    print(f"{name} {variant}: top-1 {100 * e['top1']:.2f}, agreement {100 * e['agreement']:.2f}, {e['sqnr_db']:.1f} dB", flush=True)
    t.check(e["top1"] >= top1 and e["agreement"] >= agreement, f"{name} {variant}: accuracy {e}")
    compiled([q], prefix)
    # -O3: gcc's loop distribution must find no stores that overlap in part
    run("compile", q, "--target", "host", "--emit", "obj", "--cc", "cc", "--cflags", "-O3 -march=native", "--certify", "-o", prefix + "_host")
    return prefix, p.stderr


def main():
    need_shared()
    t = Tally()
    prefix, _ = quantized(t, "kws_dscnn", "plain", [], 0.90, 0.985)
    t.check(recipes(prefix) and not any("byte" in r for r in recipes(prefix)), f"kws plain: {recipes(prefix)}")
    for name, top1, agreement in (("kws_dscnn", 0.90, 0.98), ("ic_resnet8", 0.745, 0.955)):
        prefix, said = quantized(t, name, "pair", PAIR, top1, agreement)
        left = [r for r in recipes(prefix) if "byte" not in r]
        t.check(len(left) <= (name == "ic_resnet8"), f"{name} pair: not by bytes: {left}")  # the first convolution of ResNet-8 has 3 channels
        alone = subprocess.run([octavo, "quantize", model(name), "--data", data(FLOAT_MODELS[name][0]), "--saturation", "pair", "--explain", "-o", prefix + "_alone.8vo"],
                               capture_output=True, text=True).stderr
        t.check(bits_lost(said) < 0.7 * bits_lost(alone), f"{name}: permuting leaves {bits_lost(said)} of {bits_lost(alone)} bits")
        nudged = re.search(r"in all (\d+) of (\d+) channels proved as they are, (\d+) when moved", said)
        t.check(nudged and nudged[2] == nudged[3], f"{name}: {nudged and nudged[0]}")
    prefix, _ = quantized(t, "kws_dscnn", "quads", QUADS, 0.90, 0.97)
    t.check(all("byte" in r for r in recipes(prefix)) and sum("4 pairs" in r for r in recipes(prefix)) >= 4, f"kws quads: {recipes(prefix)}")

    name, d = "kws_dscnn", folder("safe_scales", "dumps")
    shutil.rmtree(d)
    cal = data(FLOAT_MODELS[name][0])
    one = compiled([model(name), "--data", cal, *QUADS], os.path.join(d, "one", "net"))
    run("opt", model(name), "--data", cal, *QUADS, "--dump-after", "all", "--dump-dir", os.path.join(d, "dumps"), "-o", os.path.join(d, "last.8vo"))
    files, calibrated = sorted(f for f in os.listdir(os.path.join(d, "dumps")) if f.endswith(".8vo")), False
    t.check(any("permute_channels" in f for f in files), f"dumps: {files}")
    for f in files:
        alone = os.path.join(d, "alone")
        shutil.rmtree(alone, ignore_errors=True)
        os.makedirs(alone)
        for part in (f, "store.safetensors"):
            shutil.copy(os.path.join(d, "dumps", part), alone)
        calibrated |= "calibrate" in f
        again = compiled([os.path.join(alone, f)] + ([] if calibrated else ["--data", cal]), os.path.join(d, "again", "net"))
        t.check(again == one, f"compiling on from {f} gives other bytes")
    t.check(calibrated and len(files) >= 12, f"only {len(files)} dumps")
    t.close()


main()
