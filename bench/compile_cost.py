#!/usr/bin/env python3
"""What it costs to make an object of a quantized model: the LLVM back end beside the C path with gcc -O2 and -O3, for this machine and for
Cortex-M4. Seconds of processor time and the most memory that any process of the command took, both of its compiler too.

    python3 bench/compile_cost.py build-release/octavo [../shared] [--check]

--check: only what may cost no more than was promised, by the LLVM back end: exit 1 beyond 15 s or 500 MB for ResNet-20, 5 s for ResNet-8."""
import os, subprocess, sys, tempfile

# column: model, calibration data, most seconds and megabytes
MODELS = {"ad": ("ad_autoencoder", "ad", None), "kws": ("kws_dscnn", "kws", None), "ic": ("ic_resnet8", "ic", (5, 500)),
          "resnet20": ("resnet20_cifar10", "resnet20", (15, 500)), "vww": ("vww_mobilenetv1_025_96", "vww", None), "sww": ("sww_streaming", "sww", None)}
M4 = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard"
WAYS = {"LLVM": [], "gcc -O2": ["--cc", "gcc", "--cflags", "-O2"], "gcc -O3": ["--cc", "gcc", "--cflags", "-O3"],
        "LLVM, M4": ["--target", "cortex-m4"], "gcc -O3, M4": ["--target", "cortex-m4", "--cc", M4, "--cflags", "-O3"]}


def cost(*command):
    """Seconds and megabytes of a command with all its children."""
    p = subprocess.Popen(command)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"{' '.join(command)}: exit {p.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    args = [a for a in sys.argv[1:] if a != "--check"]
    check = "--check" in sys.argv
    octavo, shared = os.path.abspath(args[0]), os.path.abspath(args[1] if len(args) > 1 else "../shared")
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        ways = {"LLVM": []} if check else WAYS
        print("| | " + " | ".join(ways) + " |\n|---|" + "---|" * len(ways))
        for name, (model, data, limit) in MODELS.items():
            if check and not limit:
                continue
            q = f"{tmp}/{name}.8vo"
            cost(octavo, "quantize", f"{shared}/models/{model}.onnx", "--data", f"{shared}/data/{data}_cal_f32.npy", "-o", q)
            cells = []
            for way, flags in ways.items():
                seconds, megabytes = min(cost(octavo, "compile", q, "--emit", "obj", *flags, "-o", f"{tmp}/net") for _ in range(1 if check else 3))
                cells.append(f"{seconds:.2f} s, {megabytes:.0f} MB")
                if way == "LLVM" and limit and (seconds > limit[0] or megabytes > limit[1]):
                    failed += 1
                    print(f"{name}: {cells[-1]}, more than {limit[0]} s or {limit[1]} MB", file=sys.stderr)
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
