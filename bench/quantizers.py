#!/usr/bin/env python3
"""What the quantizer's choices for 16-bit sums cost and bring, on the trained networks: accuracy of each variant, how many layers then
run by which byte sums, and the time of one inference beside plain int8.

    python3 bench/quantizers.py build-release/octavo ../shared FOLDER          quantizes, evaluates, compiles, times; a Markdown table
    python3 bench/quantizers.py build-release/octavo ../shared FOLDER --time   times what FOLDER holds once more

Top-1 and agreement are over the shared test data, by compiled C; SQNR is of the first output against float. Times are of this machine's
widest vectors, one thread, medians of ROUNDS rounds in turn; the output of the timed run is compared with the interpreter's."""
import ctypes, json, os, re, statistics, subprocess, sys

octavo, shared, folder = map(os.path.abspath, sys.argv[1:4])
ROUNDS, SECONDS = 11, 0.012
NETS = {"kws": ("kws_dscnn", "kws", "kws_test_f32", "kws_test_labels"), "ic": ("ic_resnet8", "ic", "ic_test1000_f32", "cifar_test1000_labels"),
        "resnet20": ("resnet20_cifar10", "resnet20", "resnet20_test1000_f32", "cifar_test1000_labels"),
        "vww": ("vww_mobilenetv1_025_96", "vww", "vww_test_f32", None), "ad": ("ad_autoencoder", "ad", "ad_test_f32", None)}
SAFE = ["--nudge-scales", "on", "--permute-channels", "on"]
VARIANTS = {"plain int8": [], "nudged": SAFE[:2], "pair": ["--saturation", "pair"], "pair, permuted": ["--saturation", "pair", *SAFE],
            "pair2, permuted": ["--saturation", "pair2", *SAFE], "7 bits": ["--act-range", "reduced"],
            "7 bits, pair4": ["--act-range", "reduced", "--saturation", "pair4"],
            "7 bits, pair4, permuted": ["--act-range", "reduced", "--saturation", "pair4", *SAFE],
            "7 bits, pair16, permuted": ["--act-range", "reduced", "--saturation", "pair16", *SAFE]}
HARNESS = """#include <time.h>
#include "net.h"
double measure(double seconds, const void *x, void *y, void *arena) {
    struct timespec a, b;
    long n = 0;
    double t;
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        for (int i = 0; i < 4; i++) NAME_run(x, y, arena);
        n += 4;
        clock_gettime(CLOCK_MONOTONIC, &b);
        t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    } while (t < seconds);
    return t / (double)n;
}
"""


def run(*args):
    p = subprocess.run([octavo, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(args)}\n{p.stderr}")
    return p.stdout, p.stderr


def prepare(net, variant, options):
    """One variant of one network, in a folder of its own: evaluated, compiled. Its row of figures."""
    model, cal, test, labels = NETS[net]
    d = os.path.join(folder, net, re.sub(r"\W+", "_", variant))
    os.makedirs(d, exist_ok=True)
    flt, q, data = f"{folder}/{net}/float.8vo", f"{d}/net.8vo", lambda name: f"{shared}/data/{name}.npy"
    if not os.path.exists(flt):
        run("import", f"{shared}/models/{model}.onnx", "-o", flt)
    said = run("quantize", flt, "--data", data(f"{cal}_cal_f32"), *options, "--explain", "-o", q)[1]
    bits = re.search(r"saturation: in all .* by ([\d.]+) bits", said)
    score = json.loads(run("eval", q, "--data", data(test), *(["--labels", data(labels)] if labels else []), "--against", flt, "--engine", "c", "--json")[0])
    run("compile", q, "--target", "host", "-o", f"{d}/net")
    layers = [l["recipe"] for l in json.load(open(f"{d}/net.json"))["layers"] if l["kernel"].split("_")[0] in ("conv2d", "dense", "gemv")]
    row = {"top1": score["top1"], "float_top1": score["float_top1"], "agreement": score["agreement"] if labels or net == "vww" else None, "sqnr": score["sqnr_db"],
           "bits": float(bits[1]) if bits else 0, "bytes": sum("byte" in l for l in layers), "layers": len(layers)}
    json.dump(row, open(f"{d}/row.json", "w"))
    name = re.search(r"int (\w+)_run\(", open(f"{d}/net.h").read())[1]
    open(f"{d}/harness.c", "w").write(HARNESS.replace("NAME", name))
    sources = [f"{d}/{f}" for f in ("net.c", "harness.c", "net.weights.S") if os.path.exists(f"{d}/{f}")]
    subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-I", d, "-o", f"{d}/net.so", *sources], check=True, cwd=d)
    one = f"{d}/one.npy"
    raw = open(data(test), "rb").read()
    start = 10 + int.from_bytes(raw[8:10], "little")
    header = raw[10:start].decode()
    shape = [int(x) for x in re.search(r"'shape': \(([^)]*)\)", header)[1].split(",") if x.strip()]
    size = (len(raw) - start) // shape[0]
    text = header.rstrip().replace(f"({shape[0]},", "(1,")
    text += " " * (-(len(text) + 11) % 64) + "\n"
    open(one, "wb").write(raw[:8] + len(text).to_bytes(2, "little") + text.encode() + raw[start:start + size])
    open(f"{d}/x.f32", "wb").write(raw[start:start + size])
    run("run", q, "--input", one, "-o", f"{d}/y.npy", "--engine", "interp")


class Compiled:
    def __init__(self, d):
        lib, header = ctypes.CDLL(f"{d}/net.so"), open(f"{d}/net.h").read()
        x = open(f"{d}/x.f32", "rb").read()
        self.x, self.y = ctypes.create_string_buffer(len(x) // 4), ctypes.create_string_buffer(1 << 16)
        self.memory = ctypes.create_string_buffer(json.load(open(f"{d}/net.json"))["arena_bytes"] + 64)
        self.arena = ctypes.c_void_p((ctypes.addressof(self.memory) + 63) // 64 * 64)
        getattr(lib, re.search(r"void (\w+_quantize_\w+)\(", header)[1])(x, self.x)
        self.measure = lib.measure
        self.measure.restype, self.measure.argtypes = ctypes.c_double, [ctypes.c_double] + 3 * [ctypes.c_void_p]
        raw = open(f"{d}/y.npy", "rb").read()
        self.right, self.times = raw[10 + int.from_bytes(raw[8:10], "little"):], []

    def turn(self):
        self.times.append(self.measure(SECONDS, self.x, self.y, self.arena))
        if self.y.raw[:len(self.right)] != self.right:
            sys.exit("a timed output differs from the interpreter's")


def percent(x):
    return "-" if x is None else f"{100 * x:.2f} %"


def main():
    if "--time" not in sys.argv:
        for net in NETS:
            for variant, options in VARIANTS.items():
                prepare(net, variant, options)
    where = {(n, v): os.path.join(folder, n, re.sub(r"\W+", "_", v)) for n in NETS for v in VARIANTS}
    compiled = {k: Compiled(d) for k, d in where.items()}
    for r in range(ROUNDS):
        for k in (list(compiled) if r % 2 else list(compiled)[::-1]):
            compiled[k].turn()
    print("| net | variant | top-1 | agreement | output SQNR | weight bits lost | layers by byte sums | us | of plain |\n|---|---|---|---|---|---|---|---|---|")
    for net in NETS:
        plain = statistics.median(compiled[net, "plain int8"].times)
        for v in VARIANTS:
            row, t = json.load(open(f"{where[net, v]}/row.json")), statistics.median(compiled[net, v].times)
            if v == "plain int8" and row["float_top1"] is not None:
                print(f"| {net} | float | {percent(row['float_top1'])} | | | | | | |")
            print(f"| {net} | {v} | {percent(row['top1'])} | {percent(row['agreement'])} | {row['sqnr']:.1f} dB | {row['bits']:.2f} | {row['bytes']} of {row['layers']} "
                  f"| {1e6 * t:.1f} | {t / plain:.2f} |")


main()
