#!/usr/bin/env python3
"""Objects need nothing of others: no object that octavo makes for any target, and none that a C compiler makes of its C for the cross
targets, names a function of a compiler's library, for the shared networks and for single ops in every profile: 64-bit products, shifts,
divisions. Conversions between codes and floats, on a processor without FPU, are the exception: they are left out by --no-float, and
otherwise dropped by a linker when nobody calls them."""
import subprocess
from common import *

t = Tally()
d = folder("s")
digits = os.path.join(source, "examples", "digits", "digits")
LLVM = os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so"))
if not LLVM and os.environ.get("CI"):
    sys.exit("built without the LLVM back end")

# Every way to requantize (one shift, a shift for each channel, to the left, of sums beyond 32 bits), averages, exponentials, tables,
# and what else computes in 64 bits.
SINGLES = """octavo 1
input a : i8[N,3,6,6] scale=0.05 zero=-7
input w : i16[N,5,4,4] scale=0.0003 zero=0
const @k : i8[4,3,3,3] scale[0]=(0.01, 0.02, 0.00003, 0.4) = random seed=1 within=(-128.0,128.0)
const @b : i32[4] = random seed=2 within=(-9000.0,9000.0)
const @k16 : i8[3,5,1,1] scale[0]=(0.003, 0.9, 70.0) = random seed=3 within=(-128.0,128.0)
const @k4 : i8[4,3,1,1] scale[0]=(4.0, 90.0, 3000.0, 0.7) = random seed=4 within=(-128.0,128.0)
const @d : i8[10,36] scale=0.01 = random seed=5 within=(-128.0,128.0)
"""
for profile in "q31", "tflm":
    p = f"profile={profile}"
    SINGLES += f"""
conv.{profile} : i8[N,4,4,4] scale=0.1 zero=5 = conv2d(a, @k, @b) pad=(0,0,0,0) stride=(1,1) dilation=(1,1) groups=1 {p}
left.{profile} : i8[N,4,6,6] scale=0.0021 zero=-128 = conv2d(a, @k4, @b) pad=(0,0,0,0) stride=(1,1) dilation=(1,1) groups=1 {p}
wide.{profile} : i16[N,3,4,4] scale=0.01 zero=0 = conv2d(w, @k16) pad=(0,0,0,0) stride=(1,1) dilation=(1,1) groups=1 {p}
avg.{profile} : i8[N,3,4,4] scale=0.07 zero=3 = avg_pool2d(a) pad=(1,1,0,0) kernel=(4,4) stride=(1,1) count_pad {p}
avg7.{profile} : i8[N,3,6,6] scale=0.05 zero=-7 = avg_pool2d(a) pad=(1,1,1,1) kernel=(3,3) stride=(1,1) {p}
mean.{profile} : i8[N,3] scale=0.02 zero=1 = mean(a) axes=(2,3) {p}
soft.{profile} : i8[N,3,6,6] scale=0.00390625 zero=-128 = softmax(a) axis=1 {p}
flat.{profile} : i8[N,3,36] scale=0.05 zero=-7 = reshape(a) shape=(N,3,36)
dense.{profile} : i8[N,3,10] scale=0.4 zero=0 = dense(flat.{profile}, @d) {p}
turn.{profile} : i16[N,5,4,4] scale=0.0003 zero=0 = transpose(w) perm=(0,1,3,2)
matmul.{profile} : i16[N,5,4,4] scale=0.000007 zero=0 = matmul(w, turn.{profile}) {p}
mul.{profile} : i16[N,5,4,4] scale=0.000001 zero=0 = mul(w, turn.{profile}) {p}
add.{profile} : i16[N,5,4,4] scale=0.00071 zero=0 = add(w, turn.{profile}) {p}
sub.{profile} : i8[N,3,6,6] scale=0.01 zero=100 = sub(a, avg7.{profile}) {p}
tanh.{profile} : i8[N,3,6,6] scale=0.0078125 zero=0 = tanh(a) {p}
requant.{profile} : i16[N,3,6,6] scale=0.00011 zero=0 = requantize(a) {p}
""" + "".join(f"output {n}.{profile}\n" for n in "conv left wide avg avg7 mean soft dense matmul mul add sub tanh requant".split())


def npy(kind, shape, raw):
    text = repr({"descr": kind, "fortran_order": False, "shape": shape})
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + raw


def needs(path):
    text = subprocess.run(["nm", "-u", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines() if line.strip()}


def compile_for(q, target, name, *args):
    to = os.path.join(d, name + "-" + target, "net")
    run("compile", q, "--target", target, "--emit", "obj", "-o", to, *args)
    return to + ".o"


# ---- the models
singles = os.path.join(d, "singles.8vo")
with open(singles, "w") as f:
    f.write(SINGLES)
run("check", singles)
nets = {"singles": singles, "digits": os.path.join(d, "digits.8vo")}
run("quantize", digits + ".8vo", "--data", digits + "_cal.npy", "-o", nets["digits"])
if os.path.isdir(os.path.join(shared, "models")):
    for name, (cal, _, _) in FLOAT_MODELS.items():
        nets[name] = os.path.join(d, name + ".8vo")
        run("quantize", model(name), "--data", head(data(cal), os.path.join(d, "cal.npy"), 8), "-o", nets[name])

# ---- the single ops are right
with open(os.path.join(d, "w.npy"), "wb") as f:
    f.write(npy("<i2", (8, 5, 4, 4), b"".join(struct.pack("<h", v * 7919 % 65536 - 32768) for v in range(640))))
with open(os.path.join(d, "a.npy"), "wb") as f:
    f.write(npy("|i1", (8, 3, 6, 6), bytes(v * 151 % 256 for v in range(864))))
outputs = [line.split()[1] for line in SINGLES.splitlines() if line.startswith("output")]
for engine in ("interp", "c", "jit") if LLVM else ("interp", "c"):
    outs = [x for o in outputs for x in ("-o", f"{o}={d}/{o}.{engine}.npy")]
    run("run", singles, "--input", f"a={d}/a.npy", "--input", f"w={d}/w.npy", "--engine", engine, *outs)
    for o in outputs:
        t.check(read(f"{d}/{o}.interp.npy") == read(f"{d}/{o}.{engine}.npy"), f"{o}: {engine} differs from the interpreter")

# Every network where most is lacking; elsewhere, what is made by the same kernels only once.
FEW = [n for n in nets if n in ("singles", "kws_dscnn")]

# ---- octavo's own objects
targets = {x["name"]: x for x in run_json("targets")["targets"]}
soft = {"cortex-m0plus"}
for target in targets if LLVM else ():
    if not targets[target]["triple"]:
        continue
    for name in nets if target in soft else FEW:
        got = needs(compile_for(nets[name], target, name, "--no-float"))
        t.check(not got, f"{target}, {name}: the object needs {got}")
    print(target, flush=True)
    # With the conversions: only those may need floats, and only without an FPU.
    got = needs(compile_for(nets["digits"], target, "float"))
    t.check(all(s.startswith(("__aeabi_f", "__aeabi_ui2f", "__aeabi_i2f")) for s in got) and bool(got) == (target in soft), f"{target}: conversions need {got}")
t.check(not LLVM or {"cortex-m0plus", "armv7", "cortex-m33"} <= set(targets), "targets are missing")

# ---- objects of C compilers
GCC = {"cortex-m0plus": "arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb", "cortex-m4": "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard",
       "cortex-m33": "arm-none-eabi-gcc -mcpu=cortex-m33 -mthumb -mfloat-abi=hard", "armv7": "arm-linux-gnueabihf-gcc -mfpu=neon",
       "aarch64": "aarch64-linux-gnu-gcc"}
CALLS = {"memcpy", "memset"}  # gcc may call these whatever one says
for target, cc in GCC.items():
    for name in nets if target in soft else FEW:
        for flags in ("-O0", "-Os", "-O2") if name == "singles" else ("-O2",):
            got = needs(compile_for(nets[name], target, name, "--no-float", "--cc", cc, "--cflags", flags)) - CALLS
            t.check(not got, f"{target}, {name} by {cc} {flags}: the object needs {got}")
    print(target, "by", cc.split()[0], flush=True)

# ---- the linker drops conversions that nobody calls, and with them what they need
main = os.path.join(d, "main.c")
with open(main, "w") as f:
    f.write('#include "net.h"\nstatic signed char x[64], y[10];\nstatic unsigned char arena[NET_ARENA_SIZE + 64];\nvoid _start(void);\n'
            "void _start(void) { for (;;) (void)net_run(x, y, arena); }\n")
for how in (["--cc", GCC["cortex-m0plus"]], []) if LLVM else (["--cc", GCC["cortex-m0plus"]],):
    net = compile_for(nets["digits"], "cortex-m0plus", "drop", *how)
    exe = os.path.join(d, "drop.elf")
    link = [*GCC["cortex-m0plus"].split(), "-O2", "-nostdlib", "-Wl,--gc-sections", "-I", os.path.dirname(net), main, net, "-o", exe]
    p = subprocess.run(link, capture_output=True, text=True) # no library at all: with the conversions it could not link
    t.check(p.returncode == 0 or "-nostdlib" not in link, f"{how}: {p.stderr[:600]}")
    if p.returncode == 0:
        names = subprocess.run(["nm", exe], capture_output=True, text=True, check=True).stdout
        t.check("net_run" in names and "quantize" not in names.replace("requantize", ""), f"{how}: conversions are left: {names}")
t.close()
