"""C for AVX-512 without and with VNNI, on a processor that has neither: the intrinsics come from SIMDe and loops
(Inputs/avx512_by_simde.h), everything else is the file as octavo emits it. Whole trained networks, quantized as usual and for sums of
16 bits, give the interpreter's codes. OCTAVO_FULL=1: more networks and inputs."""
from common import *

need_shared()
need_oracles(__file__)

import ctypes
import re

import numpy as np

HEADER = os.path.join(source, "tests", "e2e", "Inputs", "avx512_by_simde.h")
if not os.path.exists("/usr/include/simde/x86/avx512.h"):
    sys.exit("SIMDe is not installed: run scripts/setup.sh --tests")
FLAGS = ["-O0", "-std=c11", "-mavx2", "-mfma", "-flax-vector-conversions", "-Wno-psabi", "-ffp-contract=off", "-fPIC", "-include", HEADER]
NETS = {"ad_autoencoder": 8, "kws_dscnn": 4, "vww_mobilenetv1_025_96": 1}  # inputs
if full:
    NETS |= {"ad_autoencoder": 24, "kws_dscnn": 24, "ic_resnet8": 6, "vww_mobilenetv1_025_96": 4, "resnet20_cifar10": 2}
QUANTIZERS = {"plain": [], "sums of 16 bits": ["--saturation", "pair4", "--act-range", "reduced"]}
TARGETS = "x86-64-v4", "x86-64-v4-vnni"
failures, checks = [], 0
os.makedirs(out, exist_ok=True)
os.chdir(out)
for net, count in NETS.items():
    cal, test, _ = FLOAT_MODELS[net]
    x = np.load(data(test))[:count]
    np.save("x.npy", x)
    for quantizer, options in QUANTIZERS.items():
        run("quantize", model(net), "--data", data(cal), *options, "-o", "q.8vo")
        run("run", "q.8vo", "--input", "x.npy", "-o", "want.npy")
        want = np.load("want.npy").reshape(count, -1)
        text = open("q.8vo").read()
        scale, zero = re.search(r"^input .* scale=(\S+) zero=(\S+)", text, re.M).groups()
        codes = np.clip(np.rint(x / np.float32(scale)) + int(zero), -128, 127).astype(np.int8)
        for target in TARGETS:
            run("compile", "q.8vo", "--target", target, "-o", "net")
            c, found = re.subn(r'^#pragma GCC target\("avx512.*$', '#pragma GCC target("avx2,fma")', open("net.c").read(), flags=re.M)
            if not found or "_mm512_" not in c:
                sys.exit(f"{net} for {target} is no AVX-512 code")
            c = c.replace('"+v"(a)', '"+m"(a)')  # no register holds 64 bytes here
            c = re.sub(r"(?<=^#define OCT_INLINE ).*$", "static __attribute__((noinline))", c, flags=re.M)  # or gcc takes 35 s
            open("simde.c", "w").write(c)
            library = f"./net-{checks}.so"  # a new name: a loaded library stays loaded
            subprocess.run(["gcc", *FLAGS, "-c", "simde.c", "-o", "simde.o"], check=True)
            weights = ["net.weights.S"] if "incbin" in open("net.weights.S").read() else []
            subprocess.run(["gcc", "-shared", "simde.o", *weights, "-o", library], check=True)
            f = ctypes.CDLL(library).net_run
            memory = np.zeros(json.load(open("net.json"))["arena_bytes"] + 64, np.uint8)
            arena = memory[-memory.ctypes.data % 64:]
            y = np.zeros(want.shape[1:], want.dtype)
            differ = 0
            for i in range(count):
                one = np.ascontiguousarray(codes[i])
                f(one.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p), arena.ctypes.data_as(ctypes.c_void_p))
                differ += int((y != want[i]).sum())
            checks += 1
            print(f"{net}, {quantizer}, {target}: {differ} of {want.size} codes differ; {', '.join(sorted(set(re.findall('_mm512_(?:dp[a-z]+|madd[a-z]*)', c)))) or 'vectors of gcc'}")
            if differ:
                failures.append(f"{net}, {quantizer}, {target}: {differ} codes differ")
if failures:
    sys.exit("\n".join(failures))
print(f"{checks} checks")
