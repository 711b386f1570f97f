"""Integer models written here, compiled by gcc and clang at -O0 and -O3 with the flags of P13: the interpreter's bits, always.
Shapes below, at and above each tile, strides, dilation, lopsided pads, groups, extreme zero points, weights that saturate."""
import os, random, subprocess, sys

O, OUT = os.environ["OCTAVO"], os.environ["OCTAVO_OUT"]
P13 = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wcast-align -Werror"
os.makedirs(OUT, exist_ok=True)
os.chdir(OUT)
random.seed(7)


def conv(i):
    groups, per, ci = random.choice([(1, 1, 1), (1, 4, 3), (1, 5, 8), (1, 9, 2), (1, 17, 5), (7, 1, 1), (16, 1, 1), (2, 3, 4), (3, 4, 1)])
    kh, kw, s, d = random.choice([1, 2, 3, 5]), random.choice([1, 3, 4]), random.choice([1, 2, 3]), random.choice([1, 1, 2])
    pads = [random.randrange(max(1, (k - 1) * d + 1)) for k in (kh, kw, kh, kw)]
    h, w = (kh - 1) * d + random.randrange(1, 9), (kw - 1) * d + random.randrange(1, 8)
    zx, zy = random.choice([-128, 127, 0, 5]), random.choice([-128, 127, -3])
    limit, clip = random.choice(["(127,128)", "(-127,128)", "(-128,-127)", "(-9,9)"]), random.choice(["", "clip=(-50.0,90.0)"])
    profile = random.choice(["q31", "tflm"])
    scales = ",".join("%.4f" % random.uniform(0.001, 0.02) for _ in range(groups * per))
    q = f"scale[0]=({scales})" if groups * per <= 8 else "scale=0.01"
    return f"""octavo 1
model m
input x : i8[N,{groups * ci},{h},{w}] scale=0.05 zero={zx}
const @w : i8[{groups * per},{ci},{kh},{kw}] {q} = random seed={i} within={limit}
const @b : i32[{groups * per}] = random seed={i + 1} within=(-20000,20000)
y : i8 scale={random.choice(["0.03", "0.5", "7.0"])} zero={zy} = conv2d(x, @w, @b) pad=({",".join(map(str, pads))}) stride={s} dilation={d} groups={groups} {clip} profile={profile}
output y
""", (groups * ci, h, w)


def dense(i):
    n, m = random.choice([1, 7, 8, 9, 23]), random.choice([1, 5, 64])
    return f"""octavo 1
model m
input x : i8[N,{m}] scale=0.05 zero={random.choice([-128, 127, 4])}
const @w : i8[{n},{m}] scale=0.01 = random seed={i} within=(-128,128)
y : i8 scale=0.1 zero=-5 = dense(x, @w)
output y
""", (m,)


def npy(path, shape, n):
    data = bytes(random.choice([0, 127, 128, random.randrange(256)]) for _ in range(n * eval("*".join(map(str, shape)))))
    head = "{'descr': '|i1', 'fortran_order': False, 'shape': (%d, %s), }" % (n, ", ".join(map(str, shape)))
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data)


def run(*args):
    r = subprocess.run([O, "run", "m.8vo", "--input", "x.npy", *args], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"run {args}: exit {r.returncode}\n{r.stderr}\n" + open("m.8vo").read())


for i in range(40):
    text, shape = dense(i) if i % 5 == 4 else conv(i)
    open("m.8vo", "w").write(text)
    npy("x.npy", shape, 8)
    run("-o", "want.npy")
    cc, level = ["gcc", "clang-19"][i % 2], ["-O0", "-O3"][i // 2 % 2]
    run("-o", "got.npy", "--engine", "c", "--cc", cc, "--cflags", f"{P13} {level}")
    if open("want.npy", "rb").read() != open("got.npy", "rb").read():
        sys.exit(f"compiled C differs from the interpreter ({cc} {level}):\n{text}")
print("40 models equal")
