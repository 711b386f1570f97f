#!/usr/bin/env python3
"""Instructions per inference on Cortex-M: the shared networks' own int8 quantization, beside CMSIS-NN's published counts.

    bench/cortex_m.py build-release/octavo [../shared]        prints Markdown tables

Each figure is `octavo bench --emulate`: the object boots in qemu, a plugin counts, and the outputs of that very run are compared with
the interpreter's; a difference ends this. They are not cycles and no time. Flash is code and read-only data of the object that
--emit obj makes with the same flags, RAM is the arena. The scalar row is the same network for a machine without the DSP extension,
run on the M4. Needs arm-none-eabi-gcc, qemu-system-arm, cc; Python's own library only."""
import json, os, subprocess, sys, tempfile

octavo, shared = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "../shared")
NETS = {"ad": "ad_autoencoder", "kws": "kws_dscnn", "ic": "ic_resnet8", "vww": "vww_mobilenetv1_025_96"}
GCC = "arm-none-eabi-gcc -mcpu=%s -mthumb -mfloat-abi=hard"
SCALAR = ["--target", "thumbv7m-none-unknown-eabihf", "--cpu", "cortex-m4"]
# Name of the row, target, cpu, flags of gcc or None for the object of the LLVM back end.
ROWS = [
    ("scalar, M4, gcc -O2", SCALAR, "cortex-m4", "-O2"),
    ("M4, gcc -Os", ["--target", "cortex-m4"], "cortex-m4", "-Os"),
    ("M4, gcc -O2", ["--target", "cortex-m4"], "cortex-m4", "-O2"),
    ("M4, gcc -O3", ["--target", "cortex-m4"], "cortex-m4", "-O3"),
    ("M4, LLVM", ["--target", "cortex-m4"], "cortex-m4", None),
    ("M7, gcc -O2", ["--target", "cortex-m7"], "cortex-m7", "-O2"),
    ("M7, LLVM", ["--target", "cortex-m7"], "cortex-m7", None),
    ("M55, gcc -O2", ["--target", "cortex-m55"], "cortex-m55", "-O2"),
    ("M55, LLVM", ["--target", "cortex-m55"], "cortex-m55", None),
]
# PERFORMANCE.md section 5 of the shared folder: instructions by the same counting, flash and arena on M4.
CMSIS = {"portable C": [955344, 10564506, 41764588, 32151962], "M4 DSP, best switches": [570180, 7394204, 28452399, 23250559],
         "M55 MVE, best": [59611, 1679041, 4421548, 6016585]}
CMSIS_FLASH, CMSIS_ARENA = [277020, 54104, 102372, 269828], [768, 16000, 49728, 64512]


def run(*args):
    p = subprocess.run([octavo, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(args)} exits {p.returncode}: {p.stdout}{p.stderr}")
    return p.stdout


def measure(q, data, target, cpu, flags, tmp):
    cc = ["--cc", GCC % cpu, "--cflags", flags] if flags else []
    counted = json.loads(run("bench", q, *target, "--emulate", "--data", data, "--json", *cc))
    run("compile", q, *target, "--emit", "obj", "-o", f"{tmp}/m", *cc)
    report = json.load(open(f"{tmp}/m.json"))
    return counted, report["text_bytes"] + report["rodata_bytes"], report["arena_bytes"]


def row(name, cells):
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    got = {}
    row("instructions per inference (flash / arena bytes)", NETS)
    print("|---" * (len(NETS) + 1) + "|")
    with tempfile.TemporaryDirectory() as tmp:
        for short, net in NETS.items():
            cal = f"{shared}/data/{short}_cal_f32.npy"
            run("quantize", f"{shared}/models/{net}.onnx", "--data", cal, "-o", f"{tmp}/{short}.8vo")
        for name, target, cpu, flags in ROWS:
            cells = []
            for short in NETS:
                counted, flash, arena = measure(f"{tmp}/{short}.8vo", f"{shared}/data/{short}_cal_f32.npy", target, cpu, flags, tmp)
                got[name, short] = counted
                cells.append(f"{counted['instructions']:,} ({flash:,} / {arena:,})")
            row(name, cells)
    for name, counts in CMSIS.items():
        row(f"CMSIS-NN, {name} (published)", [f"{n:,}" + (f" ({f:,} / {a:,})" if "M4" in name else "")
                                             for n, f, a in zip(counts, CMSIS_FLASH, CMSIS_ARENA)])
    for name, *_ in ROWS:
        for theirs, counts in CMSIS.items():
            if ("M55" in theirs) == ("M55" in name) and ("portable" in theirs) == ("scalar" in name):
                row(f"{name} / CMSIS-NN {theirs}", [f"{got[name, short]['instructions'] / n:.2f}" for short, n in zip(NETS, counts)])
    print("\nBy layer, M4, gcc -O2 (instructions for each MAC):\n\n| network | layer | kernel | instructions | MACs | |\n|---|---|---|---|---|---|")
    for short in NETS:
        for l in sorted(got["M4, gcc -O2", short]["layers"], key=lambda l: -l["instructions"])[:6]:
            each = f"{l['instructions'] / l['macs']:.2f}" if l["macs"] else ""
            print(f"| {short} | {l['name']} | {l['kernel']} | {l['instructions']:,} | {l['macs']:,} | {each} |")


main()
